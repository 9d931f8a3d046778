"""What a fake pool holds and what it has room for: the plain data below `FakeDatasets`."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TypeVar

from csi_zfs.datasets.api import (
    Dataset,
    DatasetExistsError,
    DatasetNotFoundError,
    DatasetSnapshot,
    PoolCapacity,
    PoolFullError,
    RecordCorruptError,
)
from csi_zfs.datasets.keys import WrappingKey
from csi_zfs.datasets.names import snapshot_of, split_snapshot
from csi_zfs.domain.errors import OperationPendingError
from csi_zfs.domain.sizes import TIB, format_size

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Room:
    """How much a pool takes (rules.md A13).

    Thick datasets and their snapshots count at full size; thin datasets may promise `thin_ratio`
    times what these and the reserve leave.
    """

    total_bytes: int = TIB
    reserve_bytes: int = 0
    thin_ratio: Fraction = Fraction(1)

    def capacity(self, *, thick_bytes: int, thin_bytes: int) -> PoolCapacity:
        """The room that is left beside what is promised already."""
        left_bytes = self.total_bytes - self.reserve_bytes - thick_bytes
        return PoolCapacity(
            total_bytes=self.total_bytes,
            free_bytes=self.total_bytes - thick_bytes,
            admissible_thin_bytes=max(0, math.floor(left_bytes * self.thin_ratio) - thin_bytes),
            admissible_thick_bytes=max(0, left_bytes - math.ceil(thin_bytes / self.thin_ratio)),
        )


@dataclass(slots=True, eq=False)
class Lineage:
    """What encrypted datasets share."""

    key: WrappingKey
    is_key_loaded: bool = False


@dataclass(slots=True)
class PoolState:
    """Datasets and snapshots by name; the lineages of encrypted datasets by their uids.

    `retired_uids` are datasets whose data is gone; `damaged_names` have unreadable records.
    """

    room: Room
    datasets: dict[str, Dataset] = field(default_factory=dict)
    snapshots: dict[str, DatasetSnapshot] = field(default_factory=dict)
    retired_uids: set[str] = field(default_factory=set)
    damaged_names: set[str] = field(default_factory=set)
    lineages: dict[str, Lineage] = field(default_factory=dict)

    def dataset(self, name: str) -> Dataset:
        """The dataset of this name; raises `DatasetNotFoundError`, `RecordCorruptError`."""
        self._require_readable(name)
        if name not in self.datasets:
            raise DatasetNotFoundError(f"there is no dataset {name}")
        return self.datasets[name]

    def snapshot(self, name: str) -> DatasetSnapshot:
        """The snapshot of this name; raises `DatasetNotFoundError`, `RecordCorruptError`."""
        self._require_readable(name)
        if name not in self.snapshots:
            raise DatasetNotFoundError(f"there is no snapshot {name}")
        return self.snapshots[name]

    def entry(self, name: str) -> Dataset | DatasetSnapshot:
        """The dataset or snapshot of this name; raises as they do."""
        return self.snapshot(name) if "@" in name else self.dataset(name)

    def lineage_of(self, name: str) -> Lineage | None:
        """The lineage of the dataset of this name, if it is encrypted; raises as `dataset`."""
        return self.lineages.get(self.dataset(name).uid)

    def is_readable(self, name: str) -> bool:
        """Whether the dataset of this name is not encrypted, or its key is loaded."""
        lineage = self.lineage_of(name)
        return lineage is None or lineage.is_key_loaded

    def put(self, dataset: Dataset) -> Dataset:
        """Keep a new or changed dataset."""
        self.datasets[dataset.name] = dataset
        return dataset

    def put_snapshot(self, snapshot: DatasetSnapshot) -> DatasetSnapshot:
        """Keep a new or changed snapshot."""
        self.snapshots[snapshot.name] = snapshot
        return snapshot

    def require_free(self, name: str) -> None:
        """Raise `DatasetExistsError` where the name is taken."""
        if name in self.datasets or name in self.snapshots:
            raise DatasetExistsError(f"{name} exists")

    def snapshots_of(self, dataset_name: str) -> list[str]:
        """The names of a dataset's snapshots."""
        return [name for name in self.snapshots if split_snapshot(name)[0] == dataset_name]

    def clones_of(self, snapshot_name: str) -> list[str]:
        """The names of the datasets that need this snapshot."""
        return [name for name, dataset in self.datasets.items() if dataset.origin == snapshot_name]

    def capacity(self, *, more_thick_bytes: int = 0) -> PoolCapacity:
        """The room that is left, or that would be left with some more thick bytes."""
        promised = [one for one in self.datasets.values() if one.uid not in self.retired_uids]
        thick_bytes = sum(one.size_bytes for one in promised if one.is_thick)
        thick_bytes += sum(one.size_bytes for one in self.snapshots.values() if one.is_thick)
        return self.room.capacity(
            thick_bytes=thick_bytes + more_thick_bytes,
            thin_bytes=sum(one.size_bytes for one in promised if not one.is_thick),
        )

    def require_room(self, *, thick_bytes: int = 0, thin_bytes: int = 0) -> None:
        """Raise `PoolFullError` where so many more bytes do not fit."""
        fits_thick = thick_bytes <= self.capacity().admissible_thick_bytes
        fits_thin = thin_bytes <= self.capacity(more_thick_bytes=thick_bytes).admissible_thin_bytes
        if not (fits_thick and fits_thin):
            wanted = format_size(thick_bytes + thin_bytes)
            raise PoolFullError(f"the pool has no room for {wanted} more")

    def require_room_for(self, size_bytes: int, *, is_thick: bool) -> None:
        """Raise `PoolFullError` where a dataset of this size does not fit."""
        if is_thick:
            self.require_room(thick_bytes=size_bytes)
        else:
            self.require_room(thin_bytes=size_bytes)

    def move_dataset(self, name: str, new_name: str) -> dict[str, str]:
        """Rename a dataset and its snapshots, also as origins; returns old name -> new name."""
        moved = {name: new_name}
        moved |= {old: new_name + old.removeprefix(name) for old in self.snapshots_of(name)}
        self.put(replace(self.dataset(name), name=new_name))
        del self.datasets[name]
        for old in moved.keys() - {name}:
            self.move_snapshot(old, moved[old])
        return moved

    def move_snapshot(self, name: str, new_name: str) -> DatasetSnapshot:
        """Rename a snapshot, also as the origin of clones."""
        for clone in self.clones_of(name):
            self.datasets[clone] = replace(self.datasets[clone], origin=new_name)
        if name in self.damaged_names:
            self.damaged_names ^= {name, new_name}
        # The order is that of their age.
        self.snapshots = {
            new_name if key == name else key: one for key, one in self.snapshots.items()
        }
        return self.put_snapshot(replace(self.snapshots[new_name], name=new_name))

    def promote(self, name: str, over: str) -> dict[str, str]:
        """Give a clone the snapshots of `over` up to its origin; returns old name -> new name."""
        origin = self.dataset(name).origin
        if split_snapshot(origin)[0] != over:
            raise OperationPendingError(f"{name} is no clone of {over}")
        leaves = [split_snapshot(one)[1] for one in self.snapshots_of(over)]
        leaves = leaves[: leaves.index(split_snapshot(origin)[1]) + 1]
        moved = {snapshot_of(over, leaf): snapshot_of(name, leaf) for leaf in leaves}
        for new_name in moved.values():
            self.require_free(new_name)
        for old_name, new_name in moved.items():
            self.move_snapshot(old_name, new_name)
        old_origin = self.dataset(over).origin
        self.put(replace(self.dataset(over), origin=moved[origin]))
        self.put(replace(self.dataset(name), origin=old_origin))
        return moved

    def unneeded(self) -> list[str]:
        """The snapshots whose deferred destroy waits for nothing any more."""
        return [
            name
            for name, snapshot in self.snapshots.items()
            if snapshot.is_deferred and not snapshot.holds and not self.clones_of(name)
        ]

    def _require_readable(self, name: str) -> None:
        if name in self.damaged_names:
            raise RecordCorruptError(f"the record of {name} cannot be read", name=name)


def readable(read: Callable[[str], T], name: str) -> T | RecordCorruptError:
    """What `read` says of this name, or the error where its record is damaged."""
    try:
        return read(name)
    except RecordCorruptError as exc:
        return exc
