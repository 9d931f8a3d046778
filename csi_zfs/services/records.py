"""What the driver keeps beside each dataset and snapshot.

Its own facts, as the engine's user properties.

The record on the pool is the truth; whatever is in memory is made from it.  Values are text,
because that is what every engine stores; `parse_*` is strict, and a record that it refuses is
reported as damage, never guessed at.
"""

import enum
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from csi_zfs.datasets.api import RecordCorruptError
from csi_zfs.datasets.keys import SALT_BYTES
from csi_zfs.domain.capabilities import NATIVE_FS_TYPE, AccessType
from csi_zfs.domain.errors import InvalidRequestError
from csi_zfs.domain.ids import GroupSnapshotId, SnapshotId, VolumeId
from csi_zfs.domain.model import ContentSource

_SALT = re.compile(f"[0-9a-f]{{{2 * SALT_BYTES}}}", re.ASCII)


class FormatState(enum.StrEnum):
    """How far the making of a volume's file system has come (rules.md A4).

    BLANK: never formatted, never written.  FORMATTING: proved blank, then a format began; never
    mounted.
    FORMATTED: holds somebody's data; never formatted again.
    """

    BLANK = "blank"
    FORMATTING = "formatting"
    FORMATTED = "formatted"


@dataclass(frozen=True, slots=True)
class DiskFormat:
    """What a dataset's blocks hold; it travels with them into snapshots and clones.

    `filesystem_bytes` is the size that the file system is known to fill; `has_twin_uuid` says that
    another file system with the same UUID may be mounted on this node.
    """

    access_type: AccessType
    fs_type: str = ""
    state: FormatState = FormatState.BLANK
    filesystem_bytes: int = 0
    has_twin_uuid: bool = False

    @property
    def is_native(self) -> bool:
        """Whether it is a file system of ZFS itself: there are no blocks, and nothing to format."""
        return self.fs_type == NATIVE_FS_TYPE


@dataclass(frozen=True, slots=True)
class VolumeRecord:
    """The driver's facts about a volume.

    `ephemeral_id` is set for inline ephemeral ones, which have no CSI name; `salt` for encrypted
    ones (datasets/keys.py).
    """

    volume_name: str
    disk: DiskFormat
    parameters: Mapping[str, str] = field(default_factory=dict)
    content_source: ContentSource | None = None
    ephemeral_id: str = ""
    salt: str = ""


@dataclass(frozen=True, slots=True)
class GroupMembership:
    """To which group a snapshot belongs.

    `size` is how many snapshots were taken with it, itself included; None in records of old.
    """

    group_snapshot_id: GroupSnapshotId
    group_snapshot_name: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class SnapshotRecord:
    """The driver's facts about a snapshot."""

    snapshot_name: str
    source_volume_id: VolumeId
    disk: DiskFormat
    group: GroupMembership | None = None
    salt: str = ""


def format_volume(record: VolumeRecord) -> dict[str, str]:
    """The user properties for a volume's record."""
    return {
        "volume_name": record.volume_name,
        "parameters": json.dumps(dict(record.parameters), sort_keys=True),
        "content_source": str(record.content_source or ""),
        "ephemeral_id": record.ephemeral_id,
        **_format_salt(record.salt),
        **_format_disk(record.disk),
    }


def parse_volume(user_properties: Mapping[str, str]) -> VolumeRecord:
    """A volume's record; raises `RecordCorruptError`."""
    try:
        return VolumeRecord(
            volume_name=user_properties["volume_name"],
            disk=_parse_disk(user_properties),
            parameters=_parse_text_map(user_properties["parameters"]),
            content_source=_parse_content_source(user_properties["content_source"]),
            ephemeral_id=user_properties["ephemeral_id"],
            salt=_parse_salt(user_properties),
        )
    except (KeyError, ValueError, InvalidRequestError) as exc:
        msg = f"the record of a volume cannot be read: {exc!r}"
        raise RecordCorruptError(msg) from exc


def is_our_volume(user_properties: Mapping[str, str]) -> bool:
    """Whether the driver made this dataset; one that was made by hand is left alone."""
    return "volume_name" in user_properties


def format_snapshot(record: SnapshotRecord) -> dict[str, str]:
    """The user properties for a snapshot's record."""
    group = record.group
    return {
        "snapshot_name": record.snapshot_name,
        "source_volume_id": str(record.source_volume_id),
        "group_snapshot_id": str(group.group_snapshot_id) if group else "",
        "group_snapshot_name": group.group_snapshot_name if group else "",
        "group_size": str(group.size or "") if group else "",
        **_format_salt(record.salt),
        **_format_disk(record.disk),
    }


def parse_snapshot(user_properties: Mapping[str, str]) -> SnapshotRecord:
    """A snapshot's record; raises `RecordCorruptError`."""
    try:
        return SnapshotRecord(
            snapshot_name=user_properties["snapshot_name"],
            source_volume_id=VolumeId.parse(user_properties["source_volume_id"]),
            disk=_parse_disk(user_properties),
            group=_parse_group(user_properties),
            salt=_parse_salt(user_properties),
        )
    except (KeyError, ValueError, InvalidRequestError) as exc:
        msg = f"the record of a snapshot cannot be read: {exc!r}"
        raise RecordCorruptError(msg) from exc


def is_our_snapshot(user_properties: Mapping[str, str]) -> bool:
    """Whether the driver took this snapshot.

    One that was taken by hand is neither listed nor destroyed.
    """
    return "snapshot_name" in user_properties


def _format_disk(disk: DiskFormat) -> dict[str, str]:
    return {
        "access_type": disk.access_type.value,
        "fs_type": disk.fs_type,
        "format_state": disk.state.value,
        "filesystem_bytes": str(disk.filesystem_bytes),
        "has_twin_uuid": "yes" if disk.has_twin_uuid else "no",
    }


def _parse_disk(user_properties: Mapping[str, str]) -> DiskFormat:
    return DiskFormat(
        access_type=AccessType(user_properties["access_type"]),
        fs_type=user_properties["fs_type"],
        state=FormatState(user_properties["format_state"]),
        filesystem_bytes=_parse_number(user_properties["filesystem_bytes"]),
        has_twin_uuid={"yes": True, "no": False}[user_properties["has_twin_uuid"]],
    )


def _format_salt(salt: str) -> dict[str, str]:
    return {"salt": salt} if salt else {}


def _parse_salt(user_properties: Mapping[str, str]) -> str:
    salt = user_properties.get("salt", "")
    if salt and _SALT.fullmatch(salt) is None:
        msg = f"{salt[:64]!r} is not a salt"
        raise ValueError(msg)
    return salt


def _parse_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        msg = f"{text[:64]!r} is not a whole number"
        raise ValueError(msg)
    return int(text)


def _parse_text_map(text: str) -> dict[str, str]:
    parsed = json.loads(text)
    if not isinstance(parsed, dict) or not all(isinstance(value, str) for value in parsed.values()):
        msg = "parameters is not a map of texts"
        raise ValueError(msg)
    return parsed


def _parse_content_source(text: str) -> ContentSource | None:
    if not text:
        return None
    return SnapshotId.parse(text) if ":s:" in text else VolumeId.parse(text)


def _parse_group(user_properties: Mapping[str, str]) -> GroupMembership | None:
    if not user_properties["group_snapshot_id"]:
        return None
    return GroupMembership(
        GroupSnapshotId.parse(user_properties["group_snapshot_id"]),
        user_properties["group_snapshot_name"],
        _parse_number(size) if (size := user_properties.get("group_size", "")) else None,
    )
