"""What is on the pools, in memory: a cache that makes look-ups and listings cheap.

The truth is on the pools; a catalogue can be thrown away and loaded again at any time.  An absence
that it reports is confirmed on the pool before anyone acts on it (rules.md A5): `volume` and
`snapshot` do that.  Who is about to change something, or to say that it is there already, reads the
pool itself: `read_volume`, `read_snapshot`.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from csi_zfs.datasets import names
from csi_zfs.datasets.api import (
    DatasetManager,
    DatasetNotFoundError,
    DatasetSnapshot,
    RecordCorruptError,
)
from csi_zfs.domain.errors import NotFoundError
from csi_zfs.domain.ids import SnapshotId, VolumeId
from csi_zfs.services import records
from csi_zfs.services.contents import PoolContents
from csi_zfs.services.entries import SnapshotEntry, VolumeEntry, entry_of_snapshot, entry_of_volume
from csi_zfs.services.index import Index
from csi_zfs.services.pools import Pools

log = logging.getLogger(__name__)


class VolumeNotFoundError(NotFoundError):
    """There is no such volume: looked for on its pool."""


class SnapshotNotFoundError(NotFoundError):
    """There is no such snapshot: looked for on its pool."""


class Catalogue(Index):
    """All volumes and snapshots of the pools.  Thread-safe."""

    def __init__(self, pools: Pools) -> None:
        """Begin empty: call `load`."""
        super().__init__()
        self._pools = pools
        self._damaged: dict[str, RecordCorruptError] = {}

    def load(self, contents: Iterable[PoolContents]) -> None:
        """Know what is on the pools, and nothing else.

        What cannot be read is logged, and the rest is served.
        """
        with self._guard:
            self._damaged = {}
            found = list(contents)
            for one in found:
                for damage in one.damages():
                    self._note_damage(damage.name, damage)
            self.refill(self._volumes_in(found), self._snapshots_in(found))

    def _volumes_in(self, contents: Iterable[PoolContents]) -> Iterator[VolumeEntry]:
        for one in contents:
            for dataset in one.readable_datasets():
                is_other = names.is_tombstone(dataset.name) or names.is_ephemeral(dataset.name)
                if not is_other and records.is_our_volume(dataset.user_properties):
                    with self._noting_damage(dataset.name):
                        yield entry_of_volume(one.pool, dataset)

    def _snapshots_in(self, contents: Iterable[PoolContents]) -> Iterator[SnapshotEntry]:
        for one in contents:
            for snapshot in one.readable_snapshots():
                is_deleted = snapshot.is_deferred or names.is_deferred_snapshot(snapshot.name)
                if not is_deleted and records.is_our_snapshot(snapshot.user_properties):
                    with self._noting_damage(snapshot.name):
                        yield entry_of_snapshot(one.pool, snapshot)

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

    def volume(self, volume_id: VolumeId) -> VolumeEntry:
        """The volume of this id.

        Raises:
            VolumeNotFoundError: it is proved not to exist.
            PoolUnavailableError: nothing can be said.
        """
        entry = self._volumes.get(str(volume_id))
        return entry if entry is not None else self.read_volume(volume_id)

    def salt_of(self, volume_id: str) -> str:
        """The salt of an encrypted volume that is known; empty for all others."""
        entry = self._volumes.get(volume_id)
        return entry.record.salt if entry is not None else ""

    def read_volume(self, volume_id: VolumeId) -> VolumeEntry:
        """The volume as its pool has it now, for whoever is about to change something.

        Raises as `volume`; what the catalogue knew is corrected, so the caller holds its lock.
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

    def read_volume_named(self, leaf: str) -> VolumeEntry | None:
        """The volume of this leaf that is known, as its pool has it now; raises as `volume`."""
        for known in self.volumes_named(leaf):
            with suppress(VolumeNotFoundError):
                return self.read_volume(known.volume_id)
        return None

    def read_snapshot_named(self, leaf: str) -> SnapshotEntry | None:
        """The snapshot of this leaf that is known, as its pool has it now; raises as `snapshot`."""
        for known in self.snapshots_named(leaf):
            with suppress(SnapshotNotFoundError):
                return self.read_snapshot(known.snapshot_id)
        return None

    def read_volumes(self, volume_ids: Sequence[VolumeId]) -> list[VolumeEntry]:
        """As `read_volume`, for several at once."""
        found: dict[VolumeId, VolumeEntry] = {}
        for pool_id in {volume_id.pool_id for volume_id in volume_ids}:
            pool = self._pools.get(pool_id)
            wanted = [names.dataset_of(one.leaf) for one in volume_ids if one.pool_id == pool_id]
            with suppress(DatasetNotFoundError):  # which one it is, is told by reading each
                for dataset in pool.get_all(wanted):
                    if records.is_our_volume(dataset.user_properties):
                        entry = entry_of_volume(pool, dataset)
                        found[entry.volume_id] = entry
                        self.put_volume(entry)
        return [found.get(one) or self.read_volume(one) for one in volume_ids]

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

        Raises as `snapshot`; what the catalogue knew is corrected, so the caller holds its lock.
        """
        known = self.snapshot(snapshot_id)
        pool = self._pools.get(snapshot_id.pool_id)
        found = _expected_of(pool, known) or _moved_of(pool, snapshot_id)
        if found is None:
            self.forget_snapshot(snapshot_id)
            msg = f"snapshot {snapshot_id} does not exist"
            raise SnapshotNotFoundError(msg)
        entry = entry_of_snapshot(pool, found)
        self.put_snapshots([entry])
        return entry


def _expected_of(pool: DatasetManager, known: SnapshotEntry) -> DatasetSnapshot | None:
    """The snapshot where it was last seen, below its volume, or below its volume's tombstone."""
    source_id, snapshot_id = known.record.source_volume_id, known.snapshot_id
    usual = (names.dataset_of(source_id.leaf), names.tombstone_of(source_id.uid))
    for dataset_name in dict.fromkeys((known.dataset_name, *usual)):
        with suppress(DatasetNotFoundError):
            found = pool.get_snapshot(names.snapshot_of(dataset_name, snapshot_id.leaf))
            if found.uid == snapshot_id.uid:
                return found
    return None


def _moved_of(pool: DatasetManager, snapshot_id: SnapshotId) -> DatasetSnapshot | None:
    """The snapshot wherever a promote by hand, or in this very moment, has moved it."""
    for one in pool.list_snapshots():
        if names.split_snapshot(one.name)[1] == snapshot_id.leaf:
            if isinstance(one, RecordCorruptError):  # it may be the one that is looked for
                raise one
            if one.uid == snapshot_id.uid:
                return one
    return None
