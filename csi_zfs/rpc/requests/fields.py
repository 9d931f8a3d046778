"""The fields that many requests share: names, ids, maps, sizes, topologies."""

import re
from collections.abc import Mapping
from typing import TypeVar

from google.protobuf.message import Message

from csi_zfs.domain.errors import InvalidRequestError, NotFoundError
from csi_zfs.domain.ids import (
    EphemeralId,
    GroupSnapshotId,
    InvalidIdError,
    SnapshotId,
    VolumeId,
)
from csi_zfs.domain.secrets import Secrets, SecretUse
from csi_zfs.domain.sizes import KIB, CapacityRange
from csi_zfs.rpc.generated import csi_pb2

MAX_NAME_BYTES = 128
# The specification says 4 KiB; the tokens of many audiences in a volume's context can be more.
MAX_MAP_BYTES = 64 * KIB

# The specification's own list: control characters, except tab, line feed and carriage return.
_BANNED_IN_NAMES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

IdT = TypeVar("IdT", VolumeId, SnapshotId, GroupSnapshotId)
AnyIdT = TypeVar("AnyIdT", VolumeId, SnapshotId, GroupSnapshotId, EphemeralId)


class MissingFieldError(InvalidRequestError):
    """A required field is not set."""


class InvalidFieldError(InvalidRequestError):
    """A field has a value that it can never have."""


class UnknownIdError(NotFoundError):
    """The id is none that this driver hands out, so nothing here can bear it."""


def require_fields(request: Message, *fields: str) -> None:
    """Check that each of these strings, lists and messages is set; raises `MissingFieldError`."""
    for field in fields:
        value = getattr(request, field)
        if not (request.HasField(field) if isinstance(value, Message) else value):
            raise MissingFieldError(f"{field} is missing")


def parse_name(text: str) -> str:
    """The name that a caller suggests for a new thing."""
    if len(text.encode()) > MAX_NAME_BYTES:
        raise InvalidFieldError(f"name is longer than {MAX_NAME_BYTES} bytes")
    if _BANNED_IN_NAMES.search(text):
        raise InvalidFieldError(f"name {text!r} has control characters")
    return text


def parse_known_id(kind: type[IdT], text: str) -> IdT:
    """The id of a thing that has to exist; one that cannot be ours is `UnknownIdError`."""
    try:
        return kind.parse(text)
    except InvalidIdError as exc:
        raise UnknownIdError(
            f"{kind.WHAT} {text[:MAX_NAME_BYTES]!r} is none of this driver"
        ) from exc


def parse_id_if_ours(kind: type[AnyIdT], text: str) -> AnyIdT | None:
    """The id of a thing that need not exist; None for one that cannot be ours."""
    try:
        return kind.parse(text)
    except InvalidIdError:
        return None


def parse_node_volume_id(text: str) -> VolumeId | EphemeralId:
    """The id of a volume on a node: one of ours, or the kubelet's of an ephemeral one."""
    return parse_id_if_ours(EphemeralId, text) or parse_known_id(VolumeId, text)


def parse_map(field: str, values: Mapping[str, str]) -> dict[str, str]:
    """A map of strings, of a bounded size; which keys and values it may have is not known here."""
    size_bytes = sum(len(key.encode()) + len(value.encode()) for key, value in values.items())
    if size_bytes > MAX_MAP_BYTES:
        raise InvalidFieldError(f"{field} has more than {MAX_MAP_BYTES} bytes")
    return dict(values)


def parse_secrets(use: SecretUse, values: Mapping[str, str]) -> Secrets:
    """The fields of the call's Secret; which of them it has to have, the services know."""
    return Secrets(use, parse_map("secrets", values))


def parse_topology(field: str, topology: csi_pb2.Topology) -> dict[str, str]:
    """Where something is to be reachable."""
    return parse_map(field, topology.segments)


def parse_capacity_range(capacity_range: csi_pb2.CapacityRange) -> CapacityRange:
    """The sizes that a caller accepts; a range that is not set says nothing."""
    return CapacityRange(
        required_bytes=capacity_range.required_bytes, limit_bytes=capacity_range.limit_bytes
    )
