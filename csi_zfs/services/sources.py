"""Where a new volume's content comes from: nothing, a snapshot, or a live volume.

And whether it may.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from csi_zfs.datasets import names
from csi_zfs.datasets.api import DatasetKind, Features, UnsupportedFeatureError
from csi_zfs.domain.capabilities import (
    DEFAULT_FS_TYPE,
    NATIVE_FS_TYPE,
    AccessType,
    VolumeCapability,
)
from csi_zfs.domain.errors import InvalidRequestError, OperationPendingError
from csi_zfs.domain.ids import SnapshotId, VolumeId
from csi_zfs.domain.model import ContentSource
from csi_zfs.services.catalogue import Catalogue
from csi_zfs.services.entries import SnapshotEntry
from csi_zfs.services.locks import KeyedLocks
from csi_zfs.services.records import DiskFormat, FormatState


class SourceFormatError(InvalidRequestError):
    """The source holds another file system than the one asked for."""


class SourceMovedError(OperationPendingError):
    """The source's volume was deleted in this very moment.

    A repeated call finds the snapshot where it is now.
    """


@dataclass(frozen=True, slots=True)
class Source:
    """A snapshot or live volume on its pool, ready to be cloned from.

    `salt` only for an encrypted one, `volume_id` only for a live volume.
    """

    pool_id: str
    name: str
    size_bytes: int
    disk: DiskFormat
    salt: str = ""
    volume_id: VolumeId | None = None

    @property
    def dataset_name(self) -> str:
        """The dataset, or that of the snapshot."""
        return names.split_snapshot(self.name)[0]


class Sources:
    """Finds content sources and keeps them in place while they are copied.  Thread-safe."""

    def __init__(self, catalogue: Catalogue, locks: KeyedLocks) -> None:
        """Look in this catalogue, under these locks."""
        self._catalogue = catalogue
        self._locks = locks

    @contextmanager
    def hold(self, content_source: ContentSource) -> Iterator[Source]:
        """The source, which nobody deletes, moves or resizes for the length of a `with` block.

        Raises `VolumeNotFoundError`, `SnapshotNotFoundError`, `LockTakenError`, `SourceMovedError`.
        """
        if isinstance(content_source, SnapshotId):
            with self._hold_snapshot(content_source) as source:
                yield source
        else:
            with self._locks.hold(shared=[self._catalogue.volume(content_source).dataset_name]):
                entry = self._catalogue.read_volume(content_source)
                yield Source(
                    content_source.pool_id,
                    entry.dataset_name,
                    entry.size_bytes,
                    entry.record.disk,
                    entry.record.salt,
                    content_source,
                )

    @contextmanager
    def _hold_snapshot(self, snapshot_id: SnapshotId) -> Iterator[Source]:
        before = self._catalogue.snapshot(snapshot_id)
        with self._locks.hold(shared=[before.dataset_name, snapshot_key(snapshot_id.leaf)]):
            entry = self._catalogue.read_snapshot(snapshot_id)
            require_unmoved(before, entry)
            yield Source(
                snapshot_id.pool_id,
                entry.name,
                entry.size_bytes,
                entry.record.disk,
                entry.record.salt,
            )


def require_unmoved(locked: SnapshotEntry, found: SnapshotEntry) -> None:
    """Raise `SourceMovedError` if a snapshot is below another dataset than the one locked."""
    if found.dataset_name != locked.dataset_name:
        raise SourceMovedError(
            f"the source volume of snapshot {found.snapshot_id} was just deleted: repeat this call"
        )


def snapshot_key(leaf: str) -> str:
    """The lock key of all snapshots and groups of one leaf."""
    return f"@{leaf}"


def blank_disk(capability: VolumeCapability, features: Features) -> DiskFormat:
    """What a new, empty volume will hold on a pool with these features.

    A file system of ZFS itself, where the pool has them and no other is asked for.  Raises
    `UnsupportedFeatureError` where one is asked for that the pool does not have.
    """
    if capability.access_type is AccessType.BLOCK:
        return DiskFormat(AccessType.BLOCK)
    default = NATIVE_FS_TYPE if features.native_filesystem else DEFAULT_FS_TYPE
    disk = DiskFormat(AccessType.MOUNT, capability.fs_type or default)
    if not disk.is_native:
        return disk
    if not features.native_filesystem:
        raise UnsupportedFeatureError(f"fs_type {disk.fs_type}: only a pool on OpenZFS has that")
    return replace(disk, state=FormatState.FORMATTED)


def kind_of(disk: DiskFormat) -> DatasetKind:
    """What kind of dataset holds this."""
    return DatasetKind.FILESYSTEM if disk.is_native else DatasetKind.ZVOL


def disk_from(source: Source, capability: VolumeCapability) -> DiskFormat:
    """What a copy of `source` will hold.

    Raises `SourceFormatError` where the capability asks for something else.

    A volume that was a block device may hold anything, so a copy of it counts as formatted: it is
    never formatted again, and what it holds is looked at when it is staged.
    """
    disk = source.disk
    if disk.is_native or capability.fs_type == NATIVE_FS_TYPE:
        return _native_copy(disk, capability)
    if capability.access_type is AccessType.BLOCK:
        return replace(
            disk, access_type=AccessType.BLOCK, state=FormatState.FORMATTED, has_twin_uuid=True
        )
    if disk.access_type is AccessType.BLOCK:
        fs_type = capability.fs_type or disk.fs_type or DEFAULT_FS_TYPE
        return DiskFormat(AccessType.MOUNT, fs_type, FormatState.FORMATTED, has_twin_uuid=True)
    if disk.state is not FormatState.FORMATTED:
        return replace(disk, fs_type=capability.fs_type or disk.fs_type)
    _require_source_format(disk, capability)
    return replace(disk, has_twin_uuid=True)


def _native_copy(disk: DiskFormat, capability: VolumeCapability) -> DiskFormat:
    """A copy has the kind of its source: no block device becomes a file system of ZFS, or back."""
    if capability.access_type is not disk.access_type:
        msg = f"the source is a {disk.access_type} volume, and so is every copy of it"
        raise SourceFormatError(msg)
    _require_source_format(disk, capability)
    return disk


def _require_source_format(disk: DiskFormat, capability: VolumeCapability) -> None:
    if capability.fs_type not in ("", disk.fs_type):
        msg = (
            f"fs_type {capability.fs_type}: the source holds {disk.fs_type}; ask for that, or for "
            "none"
        )
        raise SourceFormatError(msg)
