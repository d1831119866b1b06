"""The command ``recio-operator``: runs a release's operator, prepares and ends a release.

Every command has its own help: ``recio-operator COMMAND --help``. Exit status 0 is success, 1 a failure
that the message explains, 2 words that were not understood.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from recio.domain.errors import RecioError
from recio.runtime import json_log
from recio.runtime import settings as environment
from recio_operator import kube, release
from recio_operator import settings as own
from recio_operator.settings import OperatorSettings

_SETTINGS: Final = """variables (an option wins over its variable):
  RECIO_OPERATOR_RELEASE_FILE            the release's description (/etc/recio/release/release.json)
  RECIO_OPERATOR_NAMESPACE               the namespace to watch (the release's)
  RECIO_OPERATOR_KUBECONFIG              the cluster (the one that we run in)
  RECIO_OPERATOR_LOG_LEVEL               DEBUG, INFO, WARNING, ERROR (INFO)
"""
_RUN: Final = (
    _SETTINGS
    + """  RECIO_OPERATOR_DATABASE_PASSWORD_FILE  of the login recio_operator
                                         (/etc/recio/database/recio_operator)
  RECIO_OPERATOR_HTTP_HOST, _HTTP_PORT   probes and metrics (0.0.0.0, 8080; port 0: any)
  RECIO_OPERATOR_WORKERS                 how many accounts are looked at together (10)
  RECIO_OPERATOR_BOOKS_SECONDS           how often the database is asked (5)
  RECIO_OPERATOR_RESYNC_SECONDS          how often everything is listed anew (600)

examples:
  recio-operator run
  recio-operator run --kubeconfig ~/.kube/config --namespace trading --release release.json
"""
)
_PREPARE: Final = (
    _SETTINGS
    + """  RECIO_OPERATOR_OWNER_DIRECTORY         username and password of the database's owner
                                         (/etc/recio/owner)
  RECIO_OPERATOR_PREPARE_SECONDS         how long to wait for the database (600)

Secrets that exist are kept; doing it again changes nothing.

examples:
  recio-operator prepare
  recio-operator prepare --kubeconfig ~/.kube/config --release release.json
"""
)


_UNINSTALL: Final = (
    _SETTINGS
    + """
The operator must run: it lets the accounts leave. Exit status 1 says who has not left and why.

examples:
  recio-operator uninstall --timeout 600
  recio-operator uninstall --kubeconfig ~/.kube/config --release release.json
"""
)
END_PATIENCE_S: Final = 0.5
_KOPF_ENDING: Final = "kopf._core.reactor.running"
"""Warns at each end that handlers for the end were not called; there are none."""


def main(words: Sequence[str] | None = None) -> int:
    """Run the command that the words name; return the exit status."""
    arguments = _parser().parse_args(words)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except RecioError as error:
        print(f"recio-operator: {error}", file=sys.stderr)  # noqa: T201 (a command)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="recio-operator",
        description="Turns TradingAccounts into running traders, and keeps them so.",
        epilog="`recio-operator COMMAND --help` tells the options and variables of each.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, about, epilog, run in (
        ("run", "watch accounts and keep their workloads as they should be", _RUN, _run),
        (
            "prepare",
            "make the release's Secrets and bring its database up to date",
            _PREPARE,
            _prepare,
        ),
        ("uninstall", "delete all accounts and wait until they have left", _UNINSTALL, _uninstall),
    ):
        command = commands.add_parser(
            name,
            help=about,
            description=f"{about[0].upper()}{about[1:]}.",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_argument("--release", metavar="FILE", help="the release's description")
        command.add_argument("--namespace", metavar="NAME", help="the namespace to watch")
        command.add_argument("--kubeconfig", metavar="FILE", help="the cluster")
        command.set_defaults(command=run)
        if name == "uninstall":
            command.add_argument(
                "--timeout", type=float, default=300.0, metavar="SECONDS", help="how long (300)"
            )
    return parser


def told(arguments: argparse.Namespace) -> OperatorSettings:
    """Return the settings: options over variables over defaults.

    Raises:
        SettingsInvalid: names each variable that is unknown or does not fit.
    """
    found = own.of(environment.from_environment())
    options = {
        "release_file": arguments.release,
        "namespace": arguments.namespace,
        "kubeconfig": arguments.kubeconfig,
    }
    return msgspec.structs.replace(
        found, **{name: value for name, value in options.items() if value}
    )


def _run(arguments: argparse.Namespace) -> int:
    settings = told(arguments)
    json_log.set_up(level=settings.log_level)
    for name, level in (("kopf", "WARNING"), ("aiohttp", "WARNING"), (_KOPF_ENDING, "ERROR")):
        logging.getLogger(name).setLevel(level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_operate(settings))
    return 0


async def _operate(settings: OperatorSettings) -> None:
    from recio_operator.process import OperatorProcess, on_signals  # noqa: PLC0415 (loads kopf)

    stop = asyncio.Event()
    on_signals(stop)
    made = release.load(Path(settings.release_file))
    api = await kube.connect(settings.namespace or made.namespace, kubeconfig=settings.kubeconfig)
    await OperatorProcess(settings, made, api).run(stop)
    # Everything of ours is closed; what a library still waits for must not hold up the end.
    asyncio.get_running_loop().call_later(END_PATIENCE_S, os._exit, 0)


def _prepare(arguments: argparse.Namespace) -> int:
    from recio_operator.prepare import prepare  # noqa: PLC0415 (loads the driver)

    settings = told(arguments)
    prepare(settings, release.load(Path(settings.release_file)), say=_say)
    return 0


def _uninstall(arguments: argparse.Namespace) -> int:
    uvloop.run(_leave(told(arguments), arguments.timeout))
    return 0


async def _leave(settings: OperatorSettings, timeout_s: float) -> None:
    from recio_operator.uninstall import uninstall  # noqa: PLC0415 (as the other commands)

    made = release.load(Path(settings.release_file))
    api = await kube.connect(settings.namespace or made.namespace, kubeconfig=settings.kubeconfig)
    try:
        await uninstall(api, timeout_s=timeout_s, say=_say)
    finally:
        await api.close()


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 (a command)


if __name__ == "__main__":
    sys.exit(main())
