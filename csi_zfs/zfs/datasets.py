"""`LibzfsCoreDatasets`: a `DatasetManager` on OpenZFS, through its own library.

Every dataset is a zvol or a file system below one parent, with our record in one user property.
Clones depend on the snapshots that they were made of; the kernel keeps these until the last clone
goes.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from csi_zfs.datasets.api import (
    NOT_QUIESCED,
    Dataset,
    DatasetKind,
    DatasetNotFoundError,
    DatasetSnapshot,
    Features,
    NewDataset,
    NewSnapshot,
    PoolCapacity,
    RecordCorruptError,
)
from csi_zfs.datasets.names import is_tombstone
from csi_zfs.domain.model import (
    ChangedRange,
    DataPath,
    DeviceNode,
    HealthFinding,
    NativeFilesystem,
)
from csi_zfs.zfs import (
    changing,
    comparing,
    health,
    making,
    promotion,
    removal,
    retirement,
    snapshots,
)
from csi_zfs.zfs.devices import DeviceLateError
from csi_zfs.zfs.engine import Engine
from csi_zfs.zfs.keys import LineageKeys
from csi_zfs.zfs.properties import creation_properties, mutable_properties
from csi_zfs.zfs.recent import Read

# A device that the kernel makes by itself comes sooner.
_MOMENT_S = 1.0

FEATURES = Features(
    dependent_clones=True,
    native_filesystem=True,
    send=False,
    encryption=True,
    # Which of them a dataset has depends on its kind.
    creation_properties=frozenset[str]().union(*map(creation_properties, DatasetKind)),
    mutable_properties=frozenset[str]().union(*map(mutable_properties, DatasetKind)),
)


class LibzfsCoreDatasets:
    """One open pool; see `DatasetManager` for the promises of its methods."""

    def __init__(self, engine: Engine) -> None:
        """Serve the pool of this engine; pools.py opens one."""
        self._engine = engine

    @property
    def pool_id(self) -> str:
        """See `DatasetManager`."""
        return self._engine.home.pool_id

    @property
    def pool_name(self) -> str:
        """See `DatasetManager`."""
        return self._engine.home.pool_name

    @property
    def features(self) -> Features:
        """See `DatasetManager`."""
        return FEATURES

    @property
    def keys(self) -> LineageKeys:
        """See `DatasetManager`."""
        return self._engine.keys

    def create(self, new: NewDataset) -> Dataset:
        """See `DatasetManager`."""
        return making.create(self._engine, new)

    def clone(
        self,
        source_name: str,
        new: NewDataset,
        *,
        quiesced: AbstractContextManager[None] = NOT_QUIESCED,
    ) -> Dataset:
        """See `DatasetManager`; `CloneTooSmallError` where `new` is smaller than the source."""
        return making.clone(self._engine, source_name, new, quiesced)

    def get(self, name: str) -> Dataset:
        """See `DatasetManager`; what was made by hand has no user properties."""
        dataset, record = self._engine.objects.dataset_and_record(name)
        self._engine.recent.remember(Read(dataset, record))
        return dataset

    def get_all(self, names: Sequence[str]) -> Sequence[Dataset]:
        """See `DatasetManager`; few programs, however many they are."""
        datasets = self._engine.objects.datasets_named(names)
        for dataset in datasets:
            self._engine.recent.remember(Read(dataset))
        return datasets

    def list(self) -> Iterator[Dataset | RecordCorruptError]:
        """See `DatasetManager`; what was made by hand is left out."""
        return self._engine.objects.datasets()

    def data_path(self, name: str) -> DataPath:
        """See `DatasetManager`; raises `DeviceLateError` where its device does not come."""
        dataset = self._engine.objects.dataset(name)
        if is_tombstone(name) and retirement.is_retired(self._engine, dataset):
            raise DatasetNotFoundError(f"{name} is deleted and has no data")
        if "encryption" in dataset.properties:
            self._engine.keys.require_loaded(name)
        full_name = self._engine.home.full(name)
        if dataset.kind is DatasetKind.FILESYSTEM:
            return NativeFilesystem(full_name, dataset.size_bytes)
        return DeviceNode(self._device_of(dataset, full_name), dataset.size_bytes)

    def _device_of(self, dataset: Dataset, full_name: str) -> Path:
        devices = self._engine.devices
        if "encryption" not in dataset.properties:
            return devices.await_device(full_name)
        try:
            return devices.await_device(full_name, wait_s=_MOMENT_S)
        except DeviceLateError:
            # With a key the devices of its root and of that one's own clones come.  Those of
            # clones of clones do not, until their mode is set, be it to what it was.
            self._engine.native.set(dataset.name, {"volmode": "dev"})
            return devices.await_device(full_name)

    def resize(self, name: str, size_bytes: int) -> Dataset:
        """See `DatasetManager`."""
        return changing.resize(self._engine, name, size_bytes)

    def rename(self, name: str, new_name: str) -> Dataset:
        """See `DatasetManager`."""
        self._engine.objects.dataset(name)
        self._rename(name, new_name)
        return self._engine.objects.dataset(new_name)

    def retire(self, name: str, new_name: str) -> Dataset:
        """See `DatasetManager`."""
        return retirement.retire(self._engine, name, new_name)

    def heir_of(self, tombstone_name: str) -> str:
        """See `DatasetManager`; never one that was made by hand."""
        return promotion.heir_of(self._engine, tombstone_name)

    def promote(self, name: str, *, over: str) -> None:
        """See `DatasetManager`."""
        promotion.promote(self._engine, name, over=over)

    def set_properties(self, name: str, properties: Mapping[str, str]) -> Dataset:
        """See `DatasetManager`."""
        return changing.set_properties(self._engine, name, properties)

    def set_user_properties(self, name: str, user_properties: Mapping[str, str]) -> Dataset:
        """See `DatasetManager`."""
        return changing.set_user_properties(self._engine, name, user_properties)

    def destroy(self, name: str, *, uid: str) -> None:
        """See `DatasetManager`."""
        removal.destroy(self._engine, name, uid=uid)

    def snapshot(
        self, new: Sequence[NewSnapshot], *, quiesced: AbstractContextManager[None] = NOT_QUIESCED
    ) -> Sequence[DatasetSnapshot]:
        """See `DatasetManager`."""
        return snapshots.take(self._engine, new, quiesced)

    def get_snapshot(self, name: str) -> DatasetSnapshot:
        """See `DatasetManager`; what was made by hand has no user properties."""
        snapshot, record = self._engine.objects.snapshot_and_record(name)
        self._engine.recent.remember(Read(snapshot, record))
        return snapshot

    def list_snapshots(self) -> Iterator[DatasetSnapshot | RecordCorruptError]:
        """See `DatasetManager`; what was made by hand is left out."""
        return self._engine.objects.snapshots()

    def rename_snapshot(self, name: str, new_name: str) -> DatasetSnapshot:
        """See `DatasetManager`."""
        self._engine.objects.snapshot(name)
        self._rename(name, new_name)
        return self._engine.objects.snapshot(new_name)

    def destroy_snapshot(self, name: str, *, uid: str, is_deferred: bool = False) -> None:
        """See `DatasetManager`."""
        removal.destroy_snapshot(self._engine, name, uid=uid, is_deferred=is_deferred)

    def hold(self, name: str, tag: str) -> None:
        """See `DatasetManager`."""
        removal.hold(self._engine, name, tag)

    def release(self, name: str, tag: str) -> None:
        """See `DatasetManager`."""
        removal.release(self._engine, name, tag)

    def capacity(self) -> PoolCapacity:
        """See `DatasetManager`."""
        return self._engine.capacity()

    def is_reachable(self) -> bool:
        """See `DatasetManager`."""
        return health.is_reachable(self._engine)

    def health(self) -> tuple[HealthFinding, ...]:
        """See `DatasetManager`."""
        return health.findings(self._engine)

    def extent_count(self, name: str) -> int:
        """See `DatasetManager`: a copy costs the same always."""
        self._engine.objects.dataset(name)
        return 0

    def changed_ranges(self, old_name: str, new_name: str) -> Iterator[ChangedRange]:
        """See `SnapshotChanges`; of zvols alone, from what a send stream would have."""
        return comparing.changed_ranges(self._engine, old_name, new_name)

    def _rename(self, name: str, new_name: str) -> None:
        home = self._engine.home
        with home.calling(name):
            home.core.rename(home.full(name), home.full(new_name))
