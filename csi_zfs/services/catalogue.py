"""What is on the pools, in memory: a cache that makes look-ups and listings cheap.

The truth is on the pools; a catalogue can be thrown away and loaded again at any time.  An absence
that it reports is confirmed on the pool before anyone acts on it (rules.md A5): `volume` and
`snapshot` do that.  Who is about to change something, or to say that it is there already, reads the
pool itself: `read_volume`, `read_snapshot`.
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TypeVar

from csi_zfs.datasets import names
from csi_zfs.datasets.api import (
    Dataset,
    DatasetManager,
    DatasetNotFoundError,
    DatasetSnapshot,
    RecordCorruptError,
)
from csi_zfs.domain.errors import NotFoundError
from csi_zfs.domain.ids import GroupSnapshotId, SnapshotId, VolumeId
from csi_zfs.services import records
from csi_zfs.services.entries import SnapshotEntry, VolumeEntry, entry_of_snapshot, entry_of_volume
from csi_zfs.services.listing import SortedIds
from csi_zfs.services.pools import Pools

log = logging.getLogger(__name__)
T = TypeVar("T")


class VolumeNotFoundError(NotFoundError):
    """There is no such volume: looked for on its pool."""


class SnapshotNotFoundError(NotFoundError):
    """There is no such snapshot: looked for on its pool."""


class Catalogue:
    """All volumes and snapshots of the pools.  Thread-safe."""

    def __init__(self, pools: Pools) -> None:
        """Begin empty: call `load`."""
        self._pools = pools
        self._guard = threading.RLock()
        self._clear()

    def _clear(self) -> None:
        self._volumes: dict[str, VolumeEntry] = {}
        self._volumes_by_leaf: dict[str, set[str]] = defaultdict(set)
        self._volume_ids = SortedIds()
        self._snapshots: dict[str, SnapshotEntry] = {}
        self._snapshots_by_leaf: dict[str, set[str]] = defaultdict(set)
        self._snapshots_by_source: dict[str, SortedIds] = defaultdict(SortedIds)
        self._snapshot_ids = SortedIds()
        self._groups: dict[str, set[str]] = defaultdict(set)
        self._groups_by_leaf: dict[str, set[str]] = defaultdict(set)
        self._damaged: dict[str, RecordCorruptError] = {}

    def load(self) -> None:
        """Read everything from the pools anew.

        What cannot be read is logged, and the rest is served.
        """
        with self._guard:
            self._clear()
            for pool in self._pools:
                for dataset in self._readable(pool.list()):
                    self._load_volume(pool, dataset)
                for snapshot in self._readable(pool.list_snapshots()):
                    self._load_snapshot(pool, snapshot)
            self._volume_ids = SortedIds(self._volumes)
            self._snapshot_ids = SortedIds(self._snapshots)

    def _load_volume(self, pool: DatasetManager, dataset: Dataset) -> None:
        is_other = names.is_tombstone(dataset.name) or names.is_ephemeral(dataset.name)
        if not is_other and records.is_our_volume(dataset.user_properties):
            with self._noting_damage(dataset.name):
                self._index_volume(entry_of_volume(pool, dataset))

    def _load_snapshot(self, pool: DatasetManager, snapshot: DatasetSnapshot) -> None:
        is_deleted = snapshot.is_deferred or names.is_deferred_snapshot(snapshot.name)
        if not is_deleted and records.is_our_snapshot(snapshot.user_properties):
            with self._noting_damage(snapshot.name):
                self._index_snapshot(entry_of_snapshot(pool, snapshot))

    def _readable(self, items: Iterable[T | RecordCorruptError]) -> Iterator[T]:
        for item in items:
            if isinstance(item, RecordCorruptError):
                self._note_damage(item.name, item)
            else:
                yield item

    @contextmanager
    def _noting_damage(self, name: str) -> Iterator[None]:
        try:
            yield
        except RecordCorruptError as exc:
            self._note_damage(name, exc)

    def _note_damage(self, name: str, damage: RecordCorruptError) -> None:
        log.error("%s: %s", name, damage)
        self._damaged[name] = damage

    def damaged(self) -> dict[str, RecordCorruptError]:
        """What could not be read at the last load, by dataset or snapshot name."""
        return dict(self._damaged)

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
        self._snapshots[key] = entry
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

    def move_snapshots(self, source_volume_id: VolumeId, dataset_name: str) -> None:
        """Know that a volume's dataset, and its snapshots with it, has another name now."""
        with self._guard:
            for entry in self.snapshots_of(source_volume_id):
                self._snapshots[str(entry.snapshot_id)] = replace(entry, dataset_name=dataset_name)

    def volume(self, volume_id: VolumeId) -> VolumeEntry:
        """The volume of this id.

        Raises:
            VolumeNotFoundError: it is proved not to exist.
            PoolUnavailableError: nothing can be said.
        """
        entry = self._volumes.get(str(volume_id))
        return entry if entry is not None else self.read_volume(volume_id)

    def read_volume(self, volume_id: VolumeId) -> VolumeEntry:
        """The volume as its pool has it now, for whoever is about to change something.

        Raises as `volume`; what the catalogue knew is corrected.
        """
        pool = self._pools.get(volume_id.pool_id)
        with suppress(DatasetNotFoundError):
            dataset = pool.get(names.dataset_of(volume_id.leaf))
            if dataset.uid == volume_id.uid and records.is_our_volume(dataset.user_properties):
                entry = entry_of_volume(pool, dataset)
                self.put_volume(entry)
                return entry
        self.forget_volume(volume_id)
        msg = f"volume {volume_id} does not exist"
        raise VolumeNotFoundError(msg)

    def snapshot(self, snapshot_id: SnapshotId) -> SnapshotEntry:
        """The snapshot of this id; raises `SnapshotNotFoundError`, `PoolUnavailableError`.

        An id does not name the volume below which its snapshot is, so absence is proved by three
        things together: the pool answers, all of its snapshots were loaded, and none of those that
        could not be read has this leaf.
        """
        entry = self._snapshots.get(str(snapshot_id))
        if entry is not None:
            return entry
        self._pools.get(snapshot_id.pool_id).capacity()  # raises where the pool is away
        for name, damage in self._damaged.items():
            if "@" in name and names.split_snapshot(name)[1] == snapshot_id.leaf:
                raise RecordCorruptError(str(damage), name=name) from damage
        msg = f"snapshot {snapshot_id} does not exist"
        raise SnapshotNotFoundError(msg)

    def read_snapshot(self, snapshot_id: SnapshotId) -> SnapshotEntry:
        """The snapshot as its pool has it now, for whoever is about to change something.

        Raises as `snapshot`; what the catalogue knew is corrected.
        """
        known = self.snapshot(snapshot_id)
        pool = self._pools.get(snapshot_id.pool_id)
        source_id = known.record.source_volume_id
        for dataset_name in (names.dataset_of(source_id.leaf), names.tombstone_of(source_id.uid)):
            with suppress(DatasetNotFoundError):
                found = pool.get_snapshot(names.snapshot_of(dataset_name, snapshot_id.leaf))
                if found.uid == snapshot_id.uid:
                    entry = entry_of_snapshot(pool, found)
                    self.put_snapshots([entry])
                    return entry
        self.forget_snapshot(snapshot_id)
        msg = f"snapshot {snapshot_id} does not exist"
        raise SnapshotNotFoundError(msg)

    def knows(self, object_id: VolumeId | SnapshotId) -> bool:
        """Whether the volume or snapshot is in the catalogue; proves nothing about the pool."""
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


def _discard(index: dict[str, set[str]], key: str, value: str) -> None:
    index[key].discard(value)
    if not index[key]:
        del index[key]
