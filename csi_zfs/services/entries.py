"""Volumes and snapshots as the services handle them.

Where they are on a pool, and the driver's record of them.
"""

from dataclasses import dataclass

from csi_zfs.datasets import names
from csi_zfs.datasets.api import Dataset, DatasetManager, DatasetSnapshot
from csi_zfs.domain.ids import SnapshotId, VolumeId
from csi_zfs.domain.model import Snapshot, Volume
from csi_zfs.services import records
from csi_zfs.services.records import SnapshotRecord, VolumeRecord


@dataclass(frozen=True, slots=True)
class VolumeEntry:
    """A volume: which dataset it is, and the driver's record of it."""

    volume_id: VolumeId
    size_bytes: int
    is_thick: bool
    origin: str
    record: VolumeRecord

    @property
    def dataset_name(self) -> str:
        """The dataset that holds its data."""
        return names.dataset_of(self.volume_id.leaf)


@dataclass(frozen=True, slots=True)
class SnapshotEntry:
    """A snapshot: below which dataset it is now, and the driver's record of it."""

    snapshot_id: SnapshotId
    dataset_name: str
    size_bytes: int
    created_ns: int
    record: SnapshotRecord

    @property
    def name(self) -> str:
        """The snapshot's name on the pool."""
        return names.snapshot_of(self.dataset_name, self.snapshot_id.leaf)


def entry_of_volume(pool: DatasetManager, dataset: Dataset) -> VolumeEntry:
    """The entry for a dataset of ours; raises `RecordCorruptError`."""
    return VolumeEntry(
        volume_id=VolumeId(pool.pool_id, names.leaf_of_dataset(dataset.name), dataset.uid),
        size_bytes=dataset.size_bytes,
        is_thick=dataset.is_thick,
        origin=dataset.origin,
        record=records.parse_volume(dataset.user_properties),
    )


def entry_of_snapshot(pool: DatasetManager, snapshot: DatasetSnapshot) -> SnapshotEntry:
    """The entry for a snapshot of ours; raises `RecordCorruptError`."""
    dataset_name, leaf = names.split_snapshot(snapshot.name)
    return SnapshotEntry(
        snapshot_id=SnapshotId(pool.pool_id, leaf, snapshot.uid),
        dataset_name=dataset_name,
        size_bytes=snapshot.size_bytes,
        created_ns=snapshot.created_ns,
        record=records.parse_snapshot(snapshot.user_properties),
    )


def volume_of(entry: VolumeEntry) -> Volume:
    """The volume as callers see it."""
    record = entry.record
    return Volume(
        volume_id=entry.volume_id,
        volume_name=record.volume_name,
        capacity_bytes=entry.size_bytes,
        access_type=record.disk.access_type,
        fs_type=record.disk.fs_type,
        content_source=record.content_source,
    )


def snapshot_of(entry: SnapshotEntry) -> Snapshot:
    """The snapshot as callers see it."""
    record = entry.record
    return Snapshot(
        snapshot_id=entry.snapshot_id,
        snapshot_name=record.snapshot_name,
        source_volume_id=record.source_volume_id,
        size_bytes=entry.size_bytes,
        created_ns=entry.created_ns,
        group_snapshot_id=record.group.group_snapshot_id if record.group else None,
    )
