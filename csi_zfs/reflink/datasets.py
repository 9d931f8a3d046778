"""`ReflinkDatasets`: a `DatasetManager` on the files of a reflink file system.

Each dataset is a directory with a sparse image file and a record (see layout.py).  Snapshots and
clones share the image's data (FICLONE): their cost does not depend on its size but grows with the
number of its extents.
"""

import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from csi_zfs.datasets.api import (
    NOT_QUIESCED,
    Dataset,
    DatasetSnapshot,
    Features,
    NewDataset,
    NewSnapshot,
    PoolCapacity,
    RecordCorruptError,
    UnsupportedFeatureError,
)
from csi_zfs.datasets.keys import NoKeys
from csi_zfs.domain.model import ChangedRange, DataPath, HealthFinding, ImageFile
from csi_zfs.reflink import comparing, growth, health, holding, making, removal, snapshots
from csi_zfs.reflink.engine import Engine
from csi_zfs.reflink.kernel import extent_count

FEATURES = Features(dependent_clones=False, native_filesystem=False, send=False, encryption=False)
NO_KEYS = NoKeys()


class ReflinkDatasets:
    """One open embedded pool; see `DatasetManager` for the promises of its methods."""

    def __init__(self, engine: Engine) -> None:
        """Serve the pool of this engine; pools.py opens one."""
        self._engine = engine

    def close(self) -> None:
        """Let another process have the pool; nothing on the disk changes."""
        self._engine.root.close()

    @property
    def pool_id(self) -> str:
        """See `DatasetManager`."""
        return self._engine.root.pool_id

    @property
    def pool_name(self) -> str:
        """See `DatasetManager`."""
        return self._engine.root.pool_name

    @property
    def features(self) -> Features:
        """See `DatasetManager`."""
        return FEATURES

    @property
    def keys(self) -> NoKeys:
        """See `DatasetManager`."""
        return NO_KEYS

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
        """See `DatasetManager`."""
        return self._engine.objects.dataset(name)

    def get_all(self, names: Sequence[str]) -> Sequence[Dataset]:
        """See `DatasetManager`."""
        return [self.get(name) for name in names]

    def list(self) -> Iterator[Dataset | RecordCorruptError]:
        """See `DatasetManager`."""
        return self._engine.objects.datasets()

    def data_path(self, name: str) -> DataPath:
        """See `DatasetManager`; raises `RecordCorruptError` where the image is not whole.

        The size is the image's own: after a crash within `resize` it can be above the dataset's
        until the call is repeated, never below it.
        """
        dataset = self._engine.objects.dataset(name)
        image = self._engine.image_of(name)
        with self._engine.root.working(name):
            found = image.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size < dataset.size_bytes:
            raise RecordCorruptError(f"{image} is not a file of {dataset.size_bytes} bytes")
        return ImageFile(image, found.st_size)

    def resize(self, name: str, size_bytes: int) -> Dataset:
        """See `DatasetManager`."""
        return growth.resize(self._engine, name, size_bytes)

    def rename(self, name: str, new_name: str) -> Dataset:
        """See `DatasetManager`."""
        self._engine.objects.dataset(name)
        with self._engine.root.working(name):
            self._engine.namespace.rename(name, new_name)
        return self._engine.objects.dataset(new_name)

    def retire(self, name: str, new_name: str) -> Dataset:
        """See `DatasetManager`."""
        return removal.retire(self._engine, name, new_name)

    def heir_of(self, tombstone_name: str) -> str:
        """See `DatasetManager`: no clone depends on it."""
        self._engine.objects.dataset(tombstone_name)
        return ""

    def promote(self, name: str, *, over: str) -> None:
        """See `DatasetManager`: there is nothing to promote."""
        raise UnsupportedFeatureError(f"{name} does not depend on {over}: its data is its own")

    def set_properties(self, name: str, properties: Mapping[str, str]) -> Dataset:
        """See `DatasetManager`; a reflink pool has no properties."""
        if properties:
            words = ", ".join(sorted(properties))
            raise UnsupportedFeatureError(f"a reflink pool has no properties such as {words}")
        return self._engine.objects.dataset(name)

    def set_user_properties(self, name: str, user_properties: Mapping[str, str]) -> Dataset:
        """See `DatasetManager`."""
        dataset = self._engine.objects.dataset(name)
        with self._engine.root.working(name):
            changed = replace(dataset, user_properties=dict(user_properties))
            return self._engine.objects.rewrite_dataset(changed)

    def destroy(self, name: str, *, uid: str) -> None:
        """See `DatasetManager`."""
        removal.destroy(self._engine, name, uid=uid)

    def snapshot(
        self, new: Sequence[NewSnapshot], *, quiesced: AbstractContextManager[None] = NOT_QUIESCED
    ) -> Sequence[DatasetSnapshot]:
        """See `DatasetManager`."""
        return snapshots.take(self._engine, new, quiesced)

    def get_snapshot(self, name: str) -> DatasetSnapshot:
        """See `DatasetManager`."""
        return self._engine.objects.snapshot(name)

    def list_snapshots(self) -> Iterator[DatasetSnapshot | RecordCorruptError]:
        """See `DatasetManager`."""
        return self._engine.objects.snapshots()

    def rename_snapshot(self, name: str, new_name: str) -> DatasetSnapshot:
        """See `DatasetManager`."""
        self._engine.objects.snapshot(name)
        with self._engine.root.working(name):
            self._engine.namespace.rename(name, new_name)
        return self._engine.objects.snapshot(new_name)

    def destroy_snapshot(self, name: str, *, uid: str, is_deferred: bool = False) -> None:
        """See `DatasetManager`."""
        holding.destroy_snapshot(self._engine, name, uid=uid, is_deferred=is_deferred)

    def hold(self, name: str, tag: str) -> None:
        """See `DatasetManager`."""
        holding.hold(self._engine, name, tag)

    def release(self, name: str, tag: str) -> None:
        """See `DatasetManager`."""
        holding.release(self._engine, name, tag)

    def capacity(self) -> PoolCapacity:
        """See `DatasetManager`."""
        with self._engine.root.working():
            return self._engine.ledger.capacity(self._engine.space.room())

    def is_reachable(self) -> bool:
        """See `DatasetManager`."""
        return health.is_reachable(self._engine)

    def health(self) -> tuple[HealthFinding, ...]:
        """See `DatasetManager`."""
        return health.findings(self._engine)

    def extent_count(self, name: str) -> int:
        """See `DatasetManager`."""
        with self._engine.root.working(name):
            return extent_count(self._engine.image_of(name))

    def changed_ranges(self, old_name: str, new_name: str) -> Iterator[ChangedRange]:
        """See `SnapshotChanges`; any two snapshots can be compared."""
        return comparing.changed_ranges(self._engine, old_name, new_name)
