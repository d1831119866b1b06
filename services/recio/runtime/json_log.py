"""Logs as one JSON object a line, with whose they are and without secrets.

Fields: ``at`` (wall time, RFC 3339), ``level``, ``service``, ``account`` and ``environment`` where
they are known, ``message``, whatever ids the caller gives as ``extra``, and ``error`` with its
trace. Values of keys that name a secret, private keys and passwords inside addresses are replaced.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TextIO

import msgspec

from recio.domain.units import format_time_us
from recio.runtime.settings import MASK

_STANDARD: Final = frozenset(
    logging.LogRecord("", 0, "", 0, "", (), None).__dict__.keys() | {"message", "asctime"}
)
_SECRET_KEY: Final = re.compile(r"password|secret|token|private|signature|cookie|key_id", re.ASCII)
_SECRET_TEXT: Final = re.compile(
    r"-----BEGIN[^-]*PRIVATE KEY-----.*?(?:-----END[^-]*-----|\Z)|(?<=://)([^:/@\s]*):[^@\s]+(?=@)",
    re.ASCII | re.DOTALL,
)


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        fields: dict[str, Any] = {
            "at": format_time_us(int(record.created * 1_000_000)),
            "level": record.levelname.lower(),
        }
        for key, value in record.__dict__.items():
            if key not in _STANDARD and value is not None:
                fields[key] = MASK if _SECRET_KEY.search(key) else _plain(value)
        fields["message"] = redacted(record.getMessage())
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = redacted("".join(traceback.format_exception(record.exc_info[1])))
        return msgspec.json.encode(fields, enc_hook=str).decode()


class ContextLog(logging.LoggerAdapter[logging.Logger]):
    """Adds whose line it is; what the caller gives as ``extra`` comes on top."""

    def process(
        self, msg: object, kwargs: MutableMapping[str, Any]
    ) -> tuple[object, MutableMapping[str, Any]]:
        """Join both sets of fields."""
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


def redacted(text: str) -> str:
    """Return the text without private keys and passwords.

    >>> redacted("postgresql://recio:hidden@db/recio")
    'postgresql://recio:********@db/recio'
    """
    return _SECRET_TEXT.sub(lambda match: f"{match[1]}:{MASK}" if match[1] else MASK, text)


def set_up(*, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every log line of this process to ``stream`` (standard error) as JSON."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("uvicorn.error", "uvicorn.access", "asyncio", "websockets"):
        logging.getLogger(name).setLevel("WARNING")


def context_log(service: str, *, account: str | None, environment: str) -> ContextLog:
    """Return the log of one service."""
    whose: Mapping[str, object] = {
        "service": service,
        "account": account,
        "environment": environment,
    }
    return ContextLog(logging.getLogger(f"recio.{service}"), whose)


def _plain(value: object) -> object:
    if isinstance(value, str):
        return redacted(value)
    if value is None or isinstance(value, bool | int | float | list | tuple | dict):
        return value
    return str(value)
