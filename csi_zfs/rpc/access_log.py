"""One line in the log for each call."""

import logging
from collections.abc import Mapping

import grpc
from google.protobuf.message import Message

from csi_zfs.rpc.redaction import render
from csi_zfs.rpc.status import Status

# Calls that only look are many (probes, statistics): they are logged at DEBUG unless they fail.
_CHANGES = ("Create", "Delete", "Expand", "Modify", "Publish", "Stage", "Unpublish", "Unstage")
_ALARMING = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS})

_NAMING_FIELDS = frozenset(
    {"volume_id", "snapshot_id", "group_snapshot_id", "name"}
    | {"source_volume_id", "source_volume_ids", "snapshot_ids"}
    | {"staging_target_path", "target_path", "volume_path", "volume_publish_path"}
)
_NAMED_THINGS = frozenset({"volume", "snapshot", "group_snapshot", "volume_health"})
# `name` is taken in log records.
_KEYS = {"name": "requested_name"}
_MAX_TEXT = 128
_MAX_ITEMS = 16

_log = logging.getLogger(__name__)


class AccessLog:
    """Writes about the calls of one method.  Thread-safe."""

    def __init__(self, method: str) -> None:
        self._method = method
        name = method.rpartition("/")[2]
        self._level = logging.INFO if any(word in name for word in _CHANGES) else logging.DEBUG

    def begun(self, request: Message, call: Mapping[str, str]) -> None:
        """Show the request, without secrets, to who wants to know everything."""
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("%s begins", self._method, extra={**call, "request": render(request)})

    def ended(
        self,
        messages: tuple[Message | None, Message | None],
        call: Mapping[str, str],
        *,
        failure: Status | None,
        seconds: float,
    ) -> None:
        """Tell of which things the request and the reply speak, how the call ended and when."""
        level = self._level if failure is None else _level_of(failure)
        if not _log.isEnabledFor(level):
            return
        fields: dict[str, object] = {**call, "duration_s": round(seconds, 6)}
        for message in messages:
            if message is not None:
                fields |= names_in(message)
        if failure is None:
            _log.log(level, "%s", self._method, extra=fields | {"code": grpc.StatusCode.OK.name})
        else:
            fields |= {"code": failure.code.name, "error": failure.details}
            _log.log(level, "%s failed", self._method, extra=fields)

    def surprised(self, call: Mapping[str, str]) -> None:
        """Keep the traceback of the error that is being handled, which nobody foresaw."""
        _log.exception("%s met an unexpected error", self._method, extra=dict(call))


def _level_of(failure: Status) -> int:
    return logging.ERROR if failure.code in _ALARMING else logging.INFO


def names_in(message: Message) -> dict[str, object]:
    """The ids, names and paths of what a message is about, shortened where they are very long."""
    found: dict[str, object] = {}
    for field, value in message.ListFields():
        if field.name in _NAMED_THINGS:
            found |= names_in(value)
        elif field.name in _NAMING_FIELDS:
            found[_KEYS.get(field.name, field.name)] = (
                [text[:_MAX_TEXT] for text in value[:_MAX_ITEMS]]
                if field.is_repeated
                else value[:_MAX_TEXT]
            )
    return found
