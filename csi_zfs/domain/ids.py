"""The ids that the driver hands out, and the one strict grammar by which it takes them back.

An id says where a thing is (`pool_id`), how it is called there (`leaf`) and which one of that name
it is (`uid`): a late retry with the id of a deleted thing meets another uid and touches nothing.
See docs/explanation/architecture.md.
"""

import re
from dataclasses import dataclass
from typing import ClassVar, Self

from csi_zfs.domain.errors import InvalidRequestError

MAX_ID_BYTES = 89
# With the longest leaves below it, a path must stay under the 255 bytes that ZFS allows.
MAX_POOL_PARENT_BYTES = 120
_COMPONENT = r"[A-Za-z0-9][A-Za-z0-9_.:-]*"
# `<zpool>/<dataset>`: the parent of a pool on OpenZFS.
POOL_PARENT_PATTERN = rf"{_COMPONENT}(?:/{_COMPONENT})+"
LEAF_PATTERN = r"[a-z0-9][a-z0-9._-]{0,47}"
HEX16_PATTERN = r"[0-9a-f]{16}"


class InvalidIdError(InvalidRequestError):
    """The text is not an id of the kind asked for."""


@dataclass(frozen=True, slots=True, order=True)
class _Id:
    """`zfs1:<pool id>:<kind>:<leaf>:<uid>`; ordered by pool, then leaf, then uid."""

    pool_id: str
    leaf: str
    uid: str

    KIND: ClassVar[str]
    WHAT: ClassVar[str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an id; raises `InvalidIdError` for anything but the exact grammar."""
        match = _GRAMMAR.fullmatch(text)
        if match is None or match["kind"] != cls.KIND:
            msg = f"{cls.WHAT} {text[:128]!r} is not zfs1:<pool id>:{cls.KIND}:<leaf>:<uid>"
            raise InvalidIdError(msg)
        return cls(pool_id=match["pool_id"], leaf=match["leaf"], uid=match["uid"])

    def __str__(self) -> str:
        """The text that a caller keeps; at most `MAX_ID_BYTES` bytes."""
        return f"zfs1:{self.pool_id}:{self.KIND}:{self.leaf}:{self.uid}"


_GRAMMAR = re.compile(
    rf"zfs1:(?P<pool_id>{HEX16_PATTERN}):(?P<kind>[vsg])"
    rf":(?P<leaf>{LEAF_PATTERN}):(?P<uid>{HEX16_PATTERN})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, order=True)
class VolumeId(_Id):
    """Names one volume."""

    KIND: ClassVar[str] = "v"
    WHAT: ClassVar[str] = "volume_id"


@dataclass(frozen=True, slots=True, order=True)
class SnapshotId(_Id):
    """Names one snapshot."""

    KIND: ClassVar[str] = "s"
    WHAT: ClassVar[str] = "snapshot_id"


@dataclass(frozen=True, slots=True, order=True)
class GroupSnapshotId(_Id):
    """Names one group of snapshots that were taken at one instant."""

    KIND: ClassVar[str] = "g"
    WHAT: ClassVar[str] = "group_snapshot_id"


@dataclass(frozen=True, slots=True)
class EphemeralId:
    """The kubelet's own id of an inline ephemeral volume: `csi-` and 64 hex digits."""

    text: str

    _PATTERN: ClassVar[re.Pattern[str]] = re.compile(r"csi-[0-9a-f]{64}", re.ASCII)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an id; raises `InvalidIdError` for anything but the exact grammar."""
        if cls._PATTERN.fullmatch(text) is None:
            msg = f"volume_id {text[:128]!r} is not csi-<64 hex digits>"
            raise InvalidIdError(msg)
        return cls(text)

    def __str__(self) -> str:
        """The kubelet's text."""
        return self.text


def parse_pool_id(text: str) -> str:
    """The pool's id in an id, or the text itself if it is one; raises `InvalidIdError`."""
    match = _GRAMMAR.fullmatch(text)
    if match is not None:
        return match["pool_id"]
    if re.fullmatch(HEX16_PATTERN, text) is None:
        raise InvalidIdError(f"{text[:128]!r} is neither 16 hex digits nor zfs1:<pool id>:...")
    return text
