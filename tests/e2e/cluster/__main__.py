"""The command: ``python -m tests.e2e.cluster --help``."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from tests.e2e.cluster import addons, backup, binaries, choose, images, paths
from tests.e2e.cluster.cluster import SERVERS, Cluster
from tests.e2e.cluster.machine import NoMachine
from tests.e2e.cluster.shell import CommandFailed, TooLate, say, tail


def make_binaries(options: argparse.Namespace) -> None:
    """Build the programs that are missing."""
    for name, path in binaries.ensure(*options.names).items():
        sys.stdout.write(f"{name:24} {path}\n")


def make_images(options: argparse.Namespace) -> None:
    """Make the images that are missing."""
    for name, path in images.ensure(*options.names, again=options.again).items():
        sys.stdout.write(f"{images.all_images()[name].full_name:48} {path}\n")


def up(options: argparse.Namespace) -> None:
    """Boot, unless it runs, and install what was asked for."""
    cluster, started = Cluster(), time.monotonic()
    if not cluster.is_running():
        cluster.boot()
    addons.install_basics(cluster)
    say(f"  {time.monotonic() - started:6.1f} s  booted")
    if not options.without_cnpg:
        addons.install_cloudnative_pg(cluster)
    if options.with_backup:
        backup.install(cluster)
    if options.with_metrics:
        addons.install_metrics(cluster)
    say(f"  {time.monotonic() - started:6.1f} s  in all")


def install_cnpg(_options: argparse.Namespace) -> None:
    """Install CloudNativePG in the running cluster."""
    addons.install_cloudnative_pg(Cluster())


def install_backup(_options: argparse.Namespace) -> None:
    """Install the S3 server and the barman plugin in the running cluster."""
    backup.install(Cluster())


def install_metrics(_options: argparse.Namespace) -> None:
    """Install metrics-server in the running cluster."""
    addons.install_metrics(Cluster())


def down(_options: argparse.Namespace) -> None:
    """End the cluster."""
    Cluster().down()


def status(_options: argparse.Namespace) -> None:
    """Show servers, nodes and pods."""
    cluster = Cluster()
    for name in SERVERS:
        process = cluster.machine.server(name)
        told = f"pid {process.pid}" if process else "not running"
        sys.stdout.write(f"{name:24} {told}\n")
    if cluster.is_running():
        sys.stdout.write("\n" + cluster.kubectl("get", "nodes,pods", "--all-namespaces"))


def load(options: argparse.Namespace) -> None:
    """Import image archives."""
    for archive in options.archives:
        sys.stdout.write(Cluster().load(archive) + "\n")


def run_inside(options: argparse.Namespace) -> NoReturn:
    """Become the command, in the cluster's network."""
    cluster = Cluster()
    variables = paths.environment() | choose.SourceCluster().variables()
    words = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not words:
        raise CommandFailed("expected a command: run -- kubectl get pods")
    command = cluster.machine.connected(words)
    os.execvpe(command[0], command, variables)


def which(_options: argparse.Namespace) -> None:
    """Print the kind of cluster that end-to-end tests would use."""
    sys.stdout.write(f"{choose.chosen_kind()}\n")


def reboot(_options: argparse.Namespace) -> None:
    """Pull the plug and start again."""
    Cluster().reboot()


def restart_apiserver(_options: argparse.Namespace) -> None:
    """Restart kube-apiserver."""
    Cluster().restart_apiserver()


def logs(options: argparse.Namespace) -> None:
    """Print the end of a server's log."""
    text = Cluster().machine.log(options.server).read_text(errors="replace")
    sys.stdout.write(tail(text, options.lines) + "\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    made = argparse.ArgumentParser(
        prog="python -m tests.e2e.cluster",
        description="A single-node Kubernetes cluster from source packages, for end-to-end tests.",
        epilog=f"Needs root, the Go tool and the packages of make apt. Kept below {paths.cache()}.",
    )
    commands = made.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, does: Callable[[argparse.Namespace], None], told: str
    ) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=told, description=told)
        one.set_defaults(does=does)
        return one

    one = command("binaries", make_binaries, "build the programs that are not in the cache")
    one.add_argument("names", nargs="*", metavar="NAME", help=", ".join(binaries.TOOLS))
    one = command("images", make_images, "make the base images that are not in the cache")
    one.add_argument("names", nargs="*", metavar="NAME", help=", ".join(images.all_images()))
    one.add_argument("--again", action="store_true", help="also those that are in the cache")
    one = command("up", up, "boot a fresh cluster, unless one runs")
    one.add_argument("--without-cnpg", action="store_true", help="leave CloudNativePG out")
    one.add_argument("--with-backup", action="store_true", help="S3 server and barman plugin too")
    one.add_argument("--with-metrics", action="store_true", help="metrics-server (kubectl top) too")
    command("metrics", install_metrics, "install metrics-server, for kubectl top")
    command("backup", install_backup, "install an S3 server and the barman plugin")
    command("cnpg", install_cnpg, "install CloudNativePG in the running cluster")
    command("down", down, "end the cluster and remove everything but the caches")
    command("status", status, "show servers, nodes and pods")
    one = command("load", load, "import OCI or Docker archives for pods")
    one.add_argument("archives", nargs="+", type=Path, metavar="ARCHIVE")
    one = command("run", run_inside, "run a command in the cluster's network, with kubectl, helm")
    one.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    command("which", which, "print which kind of cluster end-to-end tests would use")
    command("reboot", reboot, "pull the plug and start again with the same disk")
    command("restart-apiserver", restart_apiserver, "restart kube-apiserver")
    one = command("logs", logs, "print the end of a server's log")
    one.add_argument("server", choices=[*SERVERS, "machine"])
    one.add_argument("--lines", type=int, default=100)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command."""
    options = parser().parse_args(arguments)
    try:
        options.does(options)
    except (CommandFailed, TooLate, NoMachine, KeyError, ValueError) as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; `down` or the next `up` removes what is there")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
