"""`FakeDatasets`: a `DatasetManager` in memory, like OpenZFS or like the reflink pool.

It is held to the same contract suite as the real ones (tests/contract/datasets).  It outlives the
driver: a test that "restarts" hands the same object to a new driver.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from csi_zfs.datasets.api import (
    NOT_QUIESCED,
    Dataset,
    DatasetBusyError,
    DatasetKind,
    DatasetNotFoundError,
    DatasetSnapshot,
    Features,
    HasDependentsError,
    NewDataset,
    NewSnapshot,
    PoolCapacity,
    RecordCorruptError,
    SnapshotHeldError,
    UnsupportedFeatureError,
)
from csi_zfs.datasets.keys import DatasetKeys
from csi_zfs.datasets.names import is_tombstone, split_snapshot
from csi_zfs.domain.model import (
    ChangedRange,
    DataPath,
    HealthFinding,
    HealthStatus,
    ImageFile,
    NativeFilesystem,
)
from tests.support.pool_changes import changes_of, require_comparable
from tests.support.pool_core import PoolCore
from tests.support.pool_state import readable

_AWAY = HealthFinding(HealthStatus.INACCESSIBLE, "PoolUnavailable", "the pool is not there")


class FakeDatasets(PoolCore):
    """A `DatasetManager` in memory.  Thread-safe.

    Attributes:
        is_available: while false, every call raises `PoolUnavailableError`, and `health` says so.
        effects: called with `<method>:before` and `<method>:after` around each effect; what it
            raises stops the call there, as a crash would.  The effect between them is atomic.
        findings: what `health` reports.
        extent_counts: what `extent_count` reports, by dataset name; 0 for the others.
    """

    @property
    def pool_id(self) -> str:
        """See `DatasetManager`."""
        return self._pool.pool_id

    @property
    def pool_name(self) -> str:
        """See `DatasetManager`."""
        return self._pool.pool_name

    @property
    def features(self) -> Features:
        """See `DatasetManager`."""
        return self._pool.features

    @property
    def keys(self) -> DatasetKeys:
        """See `DatasetManager`."""
        return self._keys

    def create(self, new: NewDataset) -> Dataset:
        """See `DatasetManager`."""
        with self._effect("create") as state:
            self._require_supported(new)
            state.require_free(new.name)
            state.require_room_for(new.size_bytes, is_thick=new.is_thick)
            is_native = new.kind is DatasetKind.FILESYSTEM
            self._disk.create(self._image(new.name), new.size_bytes, is_native=is_native)
            dataset = self._made(new, new.properties, created_ns=self._clock.now_ns())
            self._begin_lineage(new, dataset)
            return state.put(dataset)

    def clone(
        self,
        source_name: str,
        new: NewDataset,
        *,
        quiesced: AbstractContextManager[None] = NOT_QUIESCED,
    ) -> Dataset:
        """See `DatasetManager`."""
        with self._reading():
            self._require_clonable(source_name, new)
        with (
            self._captured({new.name: source_name}, quiesced) as created_ns,
            self._effect("clone") as state,
        ):
            self._require_clonable(source_name, new)
            kept = state.dataset(split_snapshot(source_name)[0]).properties
            dataset = self._made(new, {**kept, **new.properties}, created_ns=created_ns)
            self._disk.rename(self._staged(new.name), self._image(new.name))
            if self.features.dependent_clones:
                dataset = replace(dataset, origin=self._origin_of(dataset, source_name))
            self._disk.resize(self._image(new.name), new.size_bytes)
            self._share_lineage(source_name, dataset)
            return state.put(dataset)

    def get(self, name: str) -> Dataset:
        """See `DatasetManager`."""
        with self._reading() as state:
            return state.dataset(name)

    def get_all(self, names: Sequence[str]) -> Sequence[Dataset]:
        """See `DatasetManager`."""
        return [self.get(name) for name in names]

    def list(self) -> Iterator[Dataset | RecordCorruptError]:
        """See `DatasetManager`."""
        with self._reading() as state:
            return iter([readable(state.dataset, name) for name in state.datasets])

    def data_path(self, name: str) -> DataPath:
        """See `DatasetManager`."""
        with self._reading() as state:
            dataset = state.dataset(name)
            if dataset.uid in state.retired_uids:
                raise DatasetNotFoundError(f"{name} is retired and has no data")
            self._require_readable(name)
            if dataset.kind is DatasetKind.FILESYSTEM:
                full_name = f"{self._pool.pool_name}/{name}"
                return NativeFilesystem(full_name, dataset.size_bytes)
            return ImageFile(self._image(name), dataset.size_bytes)

    def resize(self, name: str, size_bytes: int) -> Dataset:
        """See `DatasetManager`."""
        with self._effect("resize") as state:
            dataset = state.dataset(name)
            more_bytes = size_bytes - dataset.size_bytes
            if more_bytes <= 0:
                return dataset
            state.require_room_for(more_bytes, is_thick=dataset.is_thick)
            if dataset.kind is DatasetKind.ZVOL:
                self._require_readable(name)
            self._disk.resize(self._image(name), size_bytes)
            return state.put(replace(dataset, size_bytes=size_bytes))

    def rename(self, name: str, new_name: str) -> Dataset:
        """See `DatasetManager`."""
        with self._effect("rename"):
            return self._moved(name, new_name)

    def retire(self, name: str, new_name: str) -> Dataset:
        """See `DatasetManager`."""
        self._require_tombstone(new_name)
        with self._effect("retire") as state:
            is_repeated = name not in state.datasets and new_name in state.datasets
            if is_repeated:
                return state.dataset(new_name)
            self._require_closed(name)
            dataset = self._moved(name, new_name)
            if not self.features.dependent_clones:
                self._disk.delete(self._image(new_name))
                self._disk.create(self._image(new_name), dataset.size_bytes)
            state.retired_uids.add(dataset.uid)
            return dataset

    def heir_of(self, tombstone_name: str) -> str:
        """See `DatasetManager`; whatever was written is worth it."""
        self._require_tombstone(tombstone_name)
        with self._reading() as state:
            state.dataset(tombstone_name)
            snapshots = state.snapshots_of(tombstone_name)
            clones = state.clones_of(snapshots[-1]) if snapshots else []
            if not clones or not self._frees_something(tombstone_name, snapshots[-1]):
                return ""
            return min(clones, key=lambda name: (is_tombstone(name), name))

    def promote(self, name: str, *, over: str) -> None:
        """See `DatasetManager`."""
        self._require_tombstone(over)
        if not self.features.dependent_clones:
            raise UnsupportedFeatureError("the pool has no dependent clones")
        with self._effect("promote") as state:
            lineage = state.lineage_of(name)
            if lineage is not None and lineage.is_key_loaded:
                raise DatasetBusyError(f"the key of {name} is loaded")
            for old, new in state.promote(name, over).items():
                self._disk.rename(self._image(old), self._image(new))

    def set_properties(self, name: str, properties: Mapping[str, str]) -> Dataset:
        """See `DatasetManager`."""
        with self._effect("set_properties") as state:
            dataset = state.dataset(name)
            unknown = properties.keys() - self.features.mutable_properties
            if unknown:
                raise UnsupportedFeatureError(f"cannot change {', '.join(sorted(unknown))}")
            return state.put(replace(dataset, properties={**dataset.properties, **properties}))

    def set_user_properties(self, name: str, user_properties: Mapping[str, str]) -> Dataset:
        """See `DatasetManager`."""
        with self._effect("set_user_properties") as state:
            return state.put(replace(state.dataset(name), user_properties=dict(user_properties)))

    def destroy(self, name: str, *, uid: str) -> None:
        """See `DatasetManager`."""
        with self._effect("destroy") as state:
            self._require_same(state.dataset(name), uid)
            if state.snapshots_of(name):
                raise HasDependentsError(f"{name} has {', '.join(state.snapshots_of(name))}")
            self._require_closed(name)
            del state.datasets[name]
            self._disk.delete(self._image(name))
            self._drop_unneeded()

    def snapshot(
        self,
        new: Sequence[NewSnapshot],
        *,
        quiesced: AbstractContextManager[None] = NOT_QUIESCED,
    ) -> Sequence[DatasetSnapshot]:
        """See `DatasetManager`."""
        with self._reading():
            self._require_snapshotable(new)
        sources = {one.name: split_snapshot(one.name)[0] for one in new}
        with (
            self._captured(sources, quiesced) as created_ns,
            self._effect("snapshot") as state,
        ):
            self._require_snapshotable(new)
            for one in new:
                self._disk.rename(self._staged(one.name), self._image(one.name))
            return [state.put_snapshot(self._taken(one, created_ns=created_ns)) for one in new]

    def get_snapshot(self, name: str) -> DatasetSnapshot:
        """See `DatasetManager`."""
        with self._reading() as state:
            return state.snapshot(name)

    def list_snapshots(self) -> Iterator[DatasetSnapshot | RecordCorruptError]:
        """See `DatasetManager`."""
        with self._reading() as state:
            return iter([readable(state.snapshot, name) for name in state.snapshots])

    def rename_snapshot(self, name: str, new_name: str) -> DatasetSnapshot:
        """See `DatasetManager`."""
        if split_snapshot(name)[0] != split_snapshot(new_name)[0]:
            raise ValueError(f"{new_name} is not in the dataset of {name}")
        with self._effect("rename_snapshot") as state:
            state.snapshot(name)
            state.require_free(new_name)
            self._disk.rename(self._image(name), self._image(new_name))
            return state.move_snapshot(name, new_name)

    def destroy_snapshot(self, name: str, *, uid: str, is_deferred: bool = False) -> None:
        """See `DatasetManager`."""
        with self._effect("destroy_snapshot") as state:
            snapshot = state.snapshot(name)
            self._require_same(snapshot, uid)
            if snapshot.holds and not is_deferred:
                raise SnapshotHeldError(f"{name} is held: {', '.join(sorted(snapshot.holds))}")
            if state.clones_of(name) and not is_deferred:
                raise HasDependentsError(f"{name} has {', '.join(state.clones_of(name))}")
            state.put_snapshot(replace(snapshot, is_deferred=True))
            self._drop_unneeded()

    def hold(self, name: str, tag: str) -> None:
        """See `DatasetManager`."""
        with self._effect("hold") as state:
            snapshot = state.snapshot(name)
            state.put_snapshot(replace(snapshot, holds=snapshot.holds | {tag}))

    def release(self, name: str, tag: str) -> None:
        """See `DatasetManager`."""
        with self._effect("release") as state:
            snapshot = state.snapshot(name)
            state.put_snapshot(replace(snapshot, holds=snapshot.holds - {tag}))
            self._drop_unneeded()

    def capacity(self) -> PoolCapacity:
        """See `DatasetManager`."""
        with self._reading() as state:
            return state.capacity()

    def is_reachable(self) -> bool:
        """See `DatasetManager`."""
        return all(one.status is not HealthStatus.INACCESSIBLE for one in self.health())

    def health(self) -> tuple[HealthFinding, ...]:
        """See `DatasetManager`."""
        return self.findings if self.is_available else (_AWAY, *self.findings)

    def extent_count(self, name: str) -> int:
        """See `DatasetManager`."""
        with self._reading() as state:
            return self.extent_counts.get(state.dataset(name).name, 0)

    def changed_ranges(self, old_name: str, new_name: str) -> Iterator[ChangedRange]:
        """See `SnapshotChanges`."""
        with self._reading() as state:
            is_lineal = self.features.dependent_clones
            require_comparable(state, old_name, new_name, is_lineal=is_lineal)
            old, new = (self._disk.images[self._image(it)] for it in (old_name, new_name))
            return iter(changes_of(old, new))

    def plant_snapshot(self, name: str) -> DatasetSnapshot:
        """Take a snapshot as an administrator would by hand: without user properties or effects."""
        with self._captured({name: split_snapshot(name)[0]}, NOT_QUIESCED) as created_ns:
            self._disk.rename(self._staged(name), self._image(name))
            return self._state.put_snapshot(self._taken(NewSnapshot(name), created_ns=created_ns))

    def forget_keys(self) -> None:
        """Unload all keys, as a restart of the machine does."""
        for lineage in self._state.lineages.values():
            lineage.is_key_loaded = False

    def damage(self, name: str) -> None:
        """Make the record of a dataset or snapshot unreadable."""
        self._state.entry(name)
        self._state.damaged_names.add(name)
