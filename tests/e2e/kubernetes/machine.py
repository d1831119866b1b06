"""The test cluster's one node, as far as tests touch it from outside of Kubernetes."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.e2e.cluster.cluster import Cluster
from tests.e2e.cluster.shell import CommandFailed
from tests.e2e.kubernetes import product_image

_NETWORK: Final = 0x40000000
"""CLONE_NEWNET of sched.h."""


@dataclass(frozen=True, slots=True)
class Node:
    """The node of a cluster from source packages."""

    cluster: Cluster

    def reboot(self) -> None:
        """Pull the plug, start again, and move this process into the new machine's network."""
        self.cluster.reboot()
        self.enter_network()

    def enter_network(self) -> None:
        """Use the machine's network from now on; children and new sockets do as well.

        Raises:
            CommandFailed: the kernel says no.
        """
        first = self.cluster.machine.first_process()
        if first is None:
            raise CommandFailed("the cluster is not running: python -m tests.e2e.cluster up")
        libc = ctypes.CDLL(None, use_errno=True)
        with Path(f"/proc/{first.pid}/ns/net").open() as namespace:
            if libc.setns(namespace.fileno(), _NETWORK) != 0:
                raise CommandFailed(f"setns: {os.strerror(ctypes.get_errno())}")

    def second_tag(self, tag: str) -> str:
        """Give the product's image another tag and return it."""
        other = f"{tag}-next"
        product_image.name_again(self.cluster, tag, other)
        return other
