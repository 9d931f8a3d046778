"""Logs on standard error: one line for each record, as text or as JSON.

Fields travel in `extra`; what a whole call has in common (method, request id) is asked for at each
record.  Nothing that a caller sent can begin a line of its own: control characters are escaped.
"""

import enum
import json
import logging
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TextIO

Fields = Callable[[], Mapping[str, str]]

_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_NO_FIELDS: Mapping[str, str] = MappingProxyType({})
# Made once: `json.dumps` with options makes an encoder at each call.
_encode = json.JSONEncoder(default=str).encode


class LogFormat(enum.StrEnum):
    """How a record is written."""

    TEXT = "text"
    JSON = "json"


class _Formatter(logging.Formatter):
    """What both formats share."""

    def __init__(self, fields_of_call: Fields) -> None:
        super().__init__()
        self._fields_of_call = fields_of_call

    def fields_of(self, record: logging.LogRecord) -> dict[str, object]:
        """The fields of the call, then those of the record itself."""
        own = {key: value for key, value in vars(record).items() if key not in _OF_EVERY_RECORD}
        return {**self._fields_of_call(), **own}

    def traceback_of(self, record: logging.LogRecord) -> str:
        """The traceback, or nothing."""
        return self.formatException(record.exc_info) if record.exc_info else ""


class TextFormatter(_Formatter):
    """`2026-01-31T12:00:00.000Z INFO csi_zfs.rpc.server: serving socket_path="/run/csi.sock"`."""

    def format(self, record: logging.LogRecord) -> str:
        """See the class; a traceback follows on indented lines."""
        fields = (f" {key}={_quoted(value)}" for key, value in self.fields_of(record).items())
        message = _escaped(record.getMessage())
        line = f"{_time_of(record)} {record.levelname} {record.name}: {message}{''.join(fields)}"
        traceback = self.traceback_of(record).splitlines()
        return "\n    ".join([line, *map(_escaped, traceback)])


class JsonFormatter(_Formatter):
    """One JSON object with time, level, logger, message, the fields, and a traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        """See the class."""
        entry: dict[str, object] = {
            "time": _time_of(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= self.fields_of(record)
        if traceback := self.traceback_of(record):
            entry["traceback"] = traceback
        return _encode(entry)


def configure_logging(
    log_format: LogFormat,
    level: int,
    *,
    fields_of_call: Fields = lambda: _NO_FIELDS,
    stream: TextIO | None = None,
) -> None:
    """Send the records of the whole process, from `level` up, to `stream` (standard error).

    Replaces what was configured before.
    """
    formatter = JsonFormatter if log_format is LogFormat.JSON else TextFormatter
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter(fields_of_call))
    logging.basicConfig(handlers=[handler], level=level, force=True)


def _time_of(record: logging.LogRecord) -> str:
    time = datetime.fromtimestamp(record.created, UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _quoted(value: object) -> str:
    if isinstance(value, bool | int | float):
        return str(value)
    return _encode(value)


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
