"""Volumes and snapshots in memory: by id, by name, by source, by group, and in order."""

import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from csi_zfs.domain.ids import GroupSnapshotId, SnapshotId, VolumeId
from csi_zfs.services.entries import SnapshotEntry, VolumeEntry
from csi_zfs.services.listing import SortedIds

KeyT = TypeVar("KeyT")


class Index:
    """Volumes and snapshots.  Thread-safe."""

    def __init__(self) -> None:
        """Begin empty."""
        self._guard = threading.RLock()
        self._clear()

    def _clear(self) -> None:
        self._volumes: dict[str, VolumeEntry] = {}
        self._volumes_by_leaf: dict[str, set[str]] = defaultdict(set)
        self._volume_ids = SortedIds()
        self._snapshots: dict[str, SnapshotEntry] = {}
        self._snapshots_by_leaf: dict[str, set[str]] = defaultdict(set)
        self._snapshots_by_source: dict[str, SortedIds] = defaultdict(SortedIds)
        self._snapshots_by_dataset: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._snapshot_ids = SortedIds()
        self._groups: dict[str, set[str]] = defaultdict(set)
        self._groups_by_leaf: dict[str, set[str]] = defaultdict(set)

    def refill(self, volumes: Iterable[VolumeEntry], snapshots: Iterable[SnapshotEntry]) -> None:
        """Forget everything, and know these instead; changes by others wait until that is done."""
        with self._guard:
            self._clear()
            for volume in volumes:
                self._index_volume(volume)
            for snapshot in snapshots:
                self._index_snapshot(snapshot)
            self._volume_ids = SortedIds(self._volumes)
            self._snapshot_ids = SortedIds(self._snapshots)

    def put_volume(self, entry: VolumeEntry) -> None:
        """Know a volume, or know it anew."""
        with self._guard:
            self._index_volume(entry)
            self._volume_ids.add(str(entry.volume_id))

    def _index_volume(self, entry: VolumeEntry) -> None:
        key = str(entry.volume_id)
        self._volumes[key] = entry
        self._volumes_by_leaf[entry.volume_id.leaf].add(key)

    def forget_volume(self, volume_id: VolumeId) -> None:
        """Stop knowing a volume; a missing one is no error."""
        key = str(volume_id)
        with self._guard:
            if self._volumes.pop(key, None) is not None:
                _discard(self._volumes_by_leaf, volume_id.leaf, key)
                self._volume_ids.discard(key)

    def put_snapshots(self, entries: Iterable[SnapshotEntry]) -> None:
        """Know snapshots, all at one instant."""
        with self._guard:
            for entry in entries:
                self._index_snapshot(entry)
                self._snapshot_ids.add(str(entry.snapshot_id))

    def _index_snapshot(self, entry: SnapshotEntry) -> None:
        key = str(entry.snapshot_id)
        known = self._snapshots.get(key)
        if known is not None:
            _discard(self._snapshots_by_dataset, _place_of(known), key)
        self._snapshots[key] = entry
        self._snapshots_by_dataset[_place_of(entry)].add(key)
        self._snapshots_by_leaf[entry.snapshot_id.leaf].add(key)
        self._snapshots_by_source[str(entry.record.source_volume_id)].add(key)
        if entry.record.group:
            group_snapshot_id = entry.record.group.group_snapshot_id
            self._groups[str(group_snapshot_id)].add(key)
            self._groups_by_leaf[group_snapshot_id.leaf].add(str(group_snapshot_id))

    def forget_snapshot(self, snapshot_id: SnapshotId) -> None:
        """Stop knowing a snapshot; a missing one is no error."""
        key = str(snapshot_id)
        with self._guard:
            entry = self._snapshots.pop(key, None)
            if entry is None:
                return
            _discard(self._snapshots_by_leaf, snapshot_id.leaf, key)
            _discard(self._snapshots_by_dataset, _place_of(entry), key)
            self._snapshot_ids.discard(key)
            source = str(entry.record.source_volume_id)
            self._snapshots_by_source[source].discard(key)
            if not self._snapshots_by_source[source]:
                del self._snapshots_by_source[source]
            if entry.record.group:
                self._leave_group(entry.record.group.group_snapshot_id, key)

    def _leave_group(self, group_snapshot_id: GroupSnapshotId, key: str) -> None:
        group = str(group_snapshot_id)
        _discard(self._groups, group, key)
        if group not in self._groups:
            _discard(self._groups_by_leaf, group_snapshot_id.leaf, group)

    def move_snapshots(self, pool_id: str, dataset_name: str, new_name: str) -> None:
        """Know that the snapshots of a dataset are below another name now.

        It was renamed, or a clone of it was promoted.
        """
        with self._guard:
            for key in list(self._snapshots_by_dataset.get((pool_id, dataset_name), ())):
                self._index_snapshot(replace(self._snapshots[key], dataset_name=new_name))

    def knows(self, object_id: VolumeId | SnapshotId) -> bool:
        """Whether the volume or snapshot is known; proves nothing about the pool."""
        return str(object_id) in self._volumes or str(object_id) in self._snapshots

    def volumes_named(self, leaf: str) -> list[VolumeEntry]:
        """The volumes of this leaf: one at most on each pool."""
        with self._guard:
            return [self._volumes[key] for key in sorted(self._volumes_by_leaf.get(leaf, ()))]

    def snapshots_named(self, leaf: str) -> list[SnapshotEntry]:
        """The snapshots of this leaf: one at most below each volume."""
        with self._guard:
            return [self._snapshots[key] for key in sorted(self._snapshots_by_leaf.get(leaf, ()))]

    def snapshots_of(self, source_volume_id: VolumeId) -> list[SnapshotEntry]:
        """The snapshots of a volume, the volume itself deleted or not."""
        with self._guard:
            ids, _ = self._sorted_snapshots_of(source_volume_id).page(after="", max_entries=0)
            return [self._snapshots[key] for key in ids]

    def group_members(self, group_snapshot_id: GroupSnapshotId) -> list[SnapshotEntry]:
        """The snapshots of a group; empty if there is no such group."""
        with self._guard:
            return [
                self._snapshots[key] for key in sorted(self._groups.get(str(group_snapshot_id), ()))
            ]

    def groups_named(self, leaf: str) -> list[GroupSnapshotId]:
        """The groups of this leaf."""
        with self._guard:
            return [
                GroupSnapshotId.parse(group) for group in sorted(self._groups_by_leaf.get(leaf, ()))
            ]

    def volume_page(self, *, after: str, max_entries: int) -> tuple[list[VolumeEntry], str]:
        """One page of volumes, and the token of the next."""
        with self._guard:
            ids, token = self._volume_ids.page(after=after, max_entries=max_entries)
            return [self._volumes[key] for key in ids], token

    def snapshot_page(
        self, *, after: str, max_entries: int, source_volume_id: VolumeId | None
    ) -> tuple[list[SnapshotEntry], str]:
        """One page of snapshots (of one volume, or of all), and the token of the next."""
        with self._guard:
            ids = (
                self._sorted_snapshots_of(source_volume_id)
                if source_volume_id
                else self._snapshot_ids
            )
            page, token = ids.page(after=after, max_entries=max_entries)
            return [self._snapshots[key] for key in page], token

    def counts(self, pool_id: str) -> tuple[int, int]:
        """How many volumes and snapshots a pool has."""
        prefix = f"zfs1:{pool_id}:"
        with self._guard:
            return (
                sum(key.startswith(prefix) for key in self._volumes),
                sum(key.startswith(prefix) for key in self._snapshots),
            )

    def _sorted_snapshots_of(self, source_volume_id: VolumeId) -> SortedIds:
        return self._snapshots_by_source.get(str(source_volume_id)) or SortedIds()


def _place_of(entry: SnapshotEntry) -> tuple[str, str]:
    return entry.snapshot_id.pool_id, entry.dataset_name


def _discard(index: dict[KeyT, set[str]], key: KeyT, value: str) -> None:
    index[key].discard(value)
    if not index[key]:
        del index[key]
