"""The workings of `FakeDatasets` below its verbs: effects, availability, images, uids, captures."""

import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from csi_zfs.datasets.api import (
    Dataset,
    DatasetBusyError,
    DatasetKind,
    DatasetNotFoundError,
    DatasetSnapshot,
    Features,
    NewDataset,
    NewSnapshot,
    PoolUnavailableError,
    UnsupportedFeatureError,
)
from csi_zfs.datasets.keys import KeyNotLoadedError, NoKeys
from csi_zfs.datasets.names import (
    deferred_snapshot_leaf,
    is_tombstone,
    snapshot_of,
    split_snapshot,
)
from csi_zfs.domain.errors import InvalidRequestError, OutOfRangeError
from csi_zfs.system.clock import Clock
from tests.support.disk import FakeDisk
from tests.support.pool_keys import FakeKeys
from tests.support.pool_state import Lineage, PoolState, Room

if TYPE_CHECKING:
    from csi_zfs.domain.model import HealthFinding

LIKE_REFLINK = Features(
    dependent_clones=False, native_filesystem=False, send=False, encryption=False
)
LIKE_OPENZFS = Features(
    dependent_clones=True,
    native_filesystem=False,
    send=False,
    encryption=True,
    creation_properties=frozenset({"compression", "encryption", "recordsize"}),
    mutable_properties=frozenset({"compression"}),
)
# What OpenZFS is since it serves file systems of its own; the one above makes zvols only.
LIKE_NATIVE_OPENZFS = replace(LIKE_OPENZFS, native_filesystem=True)


def no_effects(_point: str) -> None:
    """Let every effect pass."""


@dataclass(frozen=True, slots=True)
class FakePool:
    """What a fake pool is; `features.dependent_clones` decides whose behaviour it has."""

    pool_name: str = "fake"
    pool_id: str = "00000000000000fa"
    features: Features = LIKE_REFLINK
    room: Room = field(default_factory=Room)
    uid_seed: int = 0


DEFAULT_POOL = FakePool()


class PoolCore:
    """One fake pool with its images on a `FakeDisk`; `FakeDatasets` tells of the attributes."""

    def __init__(
        self,
        disk: FakeDisk,
        clock: Clock,
        pool: FakePool = DEFAULT_POOL,
        *,
        effects: Callable[[str], None] = no_effects,
    ) -> None:
        """Begin empty."""
        self.is_available = True
        self.effects = effects
        self.findings: tuple[HealthFinding, ...] = ()
        self.extent_counts: dict[str, int] = {}
        self._disk = disk
        self._clock = clock
        self._pool = pool
        self._state = PoolState(pool.room)
        self._uids = random.Random(pool.uid_seed)
        self._lock = threading.RLock()
        is_encrypting = pool.features.encryption
        self._keys = FakeKeys(self._reading, self._is_open) if is_encrypting else NoKeys()

    @contextmanager
    def _reading(self) -> Iterator[PoolState]:
        with self._lock:
            if not self.is_available:
                raise PoolUnavailableError(f"pool {self._pool.pool_name} is not there")
            yield self._state

    @contextmanager
    def _effect(self, verb: str) -> Iterator[PoolState]:
        # Outside the lock: a test may hold one call at its crash point while others go on.
        self.effects(f"{verb}:before")
        with self._reading() as state:
            yield state
        self.effects(f"{verb}:after")

    @contextmanager
    def _captured(
        self, sources: Mapping[str, str], quiesced: AbstractContextManager[None]
    ) -> Iterator[int]:
        """Copy images (new name -> source name) inside `quiesced`; drop what the block leaves."""
        try:
            with quiesced, self._lock:
                for new_name, source_name in sources.items():
                    self._disk.clone(self._image(source_name), self._staged(new_name))
                captured_ns = self._clock.now_ns()
            yield captured_ns
        finally:
            for new_name in sources:
                self._disk.images.pop(self._staged(new_name), None)

    def _image(self, name: str) -> Path:
        return Path("/fake") / self._pool.pool_name / name / "image"

    def _staged(self, name: str) -> Path:
        return self._image(name).with_name("staged")

    def _new_uid(self) -> str:
        return f"{self._uids.getrandbits(64):016x}"

    def _made(self, new: NewDataset, properties: Mapping[str, str], *, created_ns: int) -> Dataset:
        return Dataset(
            name=new.name,
            uid=self._new_uid(),
            kind=new.kind,
            size_bytes=new.size_bytes,
            is_thick=new.is_thick,
            created_ns=created_ns,
            properties=dict(properties),
            user_properties=dict(new.user_properties),
        )

    def _taken(self, new: NewSnapshot, *, created_ns: int) -> DatasetSnapshot:
        dataset = self._state.dataset(split_snapshot(new.name)[0])
        return DatasetSnapshot(
            name=new.name,
            uid=self._new_uid(),
            kind=dataset.kind,
            size_bytes=dataset.size_bytes,
            is_thick=dataset.is_thick,
            created_ns=created_ns,
            user_properties=dict(new.user_properties),
        )

    def _origin_of(self, clone: Dataset, source_name: str) -> str:
        """The snapshot that the clone needs: for a dataset a new one, which goes with the clone."""
        if "@" in source_name:
            return source_name
        uid = self._new_uid()
        hidden = NewSnapshot(snapshot_of(source_name, deferred_snapshot_leaf(uid)))
        self._disk.clone(self._image(clone.name), self._image(hidden.name))
        taken = self._taken(hidden, created_ns=clone.created_ns)
        return self._state.put_snapshot(replace(taken, uid=uid, is_deferred=True)).name

    def _moved(self, name: str, new_name: str) -> Dataset:
        self._state.dataset(name)
        self._state.require_free(new_name)
        for old, new in self._state.move_dataset(name, new_name).items():
            self._disk.rename(self._image(old), self._image(new))
        return self._state.dataset(new_name)

    def _drop_unneeded(self) -> None:
        for name in self._state.unneeded():
            del self._state.snapshots[name]
            self._disk.delete(self._image(name))

    def _frees_something(self, tombstone_name: str, youngest: str) -> bool:
        """Whether the head has what no snapshot has, or the snapshot waits for its only clone."""
        head, below = (self._disk.images[self._image(it)] for it in (tombstone_name, youngest))
        snapshot = self._state.snapshots[youngest]
        is_last = snapshot.is_deferred and not snapshot.holds
        goes = is_last and len(self._state.clones_of(youngest)) == 1
        return goes or (head.raw, head.content) != (below.raw, below.content)

    def _require_tombstone(self, name: str) -> None:
        if not is_tombstone(name):
            raise InvalidRequestError(f"{name} is not the name of a tombstone")

    def _require_same(self, entry: Dataset | DatasetSnapshot, uid: str) -> None:
        if entry.uid != uid:
            raise DatasetNotFoundError(f"{entry.name} is another one than {uid}")

    def _is_open(self, name: str) -> bool:
        return self._disk.images[self._image(name)].is_attached

    def _begin_lineage(self, new: NewDataset, dataset: Dataset) -> None:
        if new.key is not None:
            self._state.lineages[dataset.uid] = Lineage(new.key)

    def _share_lineage(self, source_name: str, clone: Dataset) -> None:
        lineage = self._state.lineage_of(split_snapshot(source_name)[0])
        if lineage is not None:
            self._state.lineages[clone.uid] = lineage

    def _require_readable(self, name: str) -> None:
        if not self._state.is_readable(name):
            raise KeyNotLoadedError(f"the key of {name} is not loaded")

    def _require_closed(self, name: str) -> None:
        self._state.dataset(name)
        if self._is_open(name):
            raise DatasetBusyError(f"{name} is attached to a device")

    def _require_clonable(self, source_name: str, new: NewDataset) -> None:
        self._require_supported(new)
        source = self._state.entry(source_name)
        kept = self._state.dataset(split_snapshot(source_name)[0]).properties
        if new.properties.get("encryption", "") not in ("", kept.get("encryption", "")):
            raise UnsupportedFeatureError("only what is new and empty begins to be encrypted")
        if new.kind is not source.kind:
            raise UnsupportedFeatureError(f"{source_name} is a {source.kind}, not a {new.kind}")
        self._state.require_free(new.name)
        if new.size_bytes < source.size_bytes:
            raise OutOfRangeError(f"{new.name} cannot be smaller than {source_name}")
        if new.kind is DatasetKind.ZVOL and new.size_bytes > source.size_bytes:
            self._require_readable(split_snapshot(source_name)[0])
        needs_snapshot = self._pool.features.dependent_clones and "@" not in source_name
        hidden_bytes = source.size_bytes if needs_snapshot and source.is_thick else 0
        self._state.require_room(
            thick_bytes=hidden_bytes + (new.size_bytes if new.is_thick else 0),
            thin_bytes=0 if new.is_thick else new.size_bytes,
        )

    def _require_snapshotable(self, new: Sequence[NewSnapshot]) -> None:
        sources = [self._state.dataset(split_snapshot(one.name)[0]) for one in new]
        for one in new:
            self._state.require_free(one.name)
        if len({source.name for source in sources}) < len(sources):
            raise ValueError("one call takes at most one snapshot of a dataset")
        self._state.require_room(
            thick_bytes=sum(source.size_bytes for source in sources if source.is_thick)
        )

    def _require_supported(self, new: NewDataset) -> None:
        features = self._pool.features
        unknown = new.properties.keys() - features.creation_properties
        if unknown:
            raise UnsupportedFeatureError(f"the pool has no property {', '.join(sorted(unknown))}")
        if new.kind is DatasetKind.FILESYSTEM and not features.native_filesystem:
            raise UnsupportedFeatureError(f"the pool has no datasets of kind {new.kind}")
