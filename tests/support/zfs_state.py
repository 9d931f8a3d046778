"""`FakeZpool`: what a pool of OpenZFS holds, in memory: datasets, snapshots, properties, space.

What it does was seen on the real one, and is held against it (tests/contract/zfs_core).
"""

import itertools
import random
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from errno import ENOENT
from typing import TypeAlias

from csi_zfs.datasets.api import DatasetKind
from csi_zfs.domain.sizes import GIB, KIB
from csi_zfs.system.clock import Clock
from tests.support.clock import FakeClock
from tests.support.zfs_control import FakeControl

Value: TypeAlias = int | str
Blocks: TypeAlias = Mapping[int, bytes]

BLOCK_BYTES = 16 * KIB
VOLMODE_NONE = 3
_NS_PER_S = 1_000_000_000


class RefusedError(Exception):
    """The kernel says no, with an errno; `errno_of` has one for each name that is at fault."""

    def __init__(self, number: int, errno_of: Mapping[str, int] | None = None) -> None:
        """Keep the numbers."""
        super().__init__(number)
        self.errno = number
        self.errno_of = dict(errno_of or {})


class BeyondFakeError(AssertionError):
    """The fake was asked for something that it does not do, and says so instead of guessing."""


@dataclass(slots=True, eq=False)
class FakeSnapshot:
    """A snapshot: `txg` is the transaction group that took it, `holds` has seconds since 1970."""

    dataset: "FakeDataset"
    leaf: str
    guid: int
    created_s: int
    txg: int
    volsize_bytes: int
    blocks: Blocks
    properties: dict[str, Value] = field(default_factory=dict)
    holds: dict[str, int] = field(default_factory=dict)
    is_deferred: bool = False

    @property
    def name(self) -> str:
        """The whole name."""
        return f"{self.dataset.name}@{self.leaf}"


@dataclass(slots=True, eq=False)
class FakeDataset:
    """A file system or a zvol: `properties` are those of its own, `minor` is its device's.

    The first of an encrypted lineage has its key, and knows whether that is loaded.
    """

    name: str
    kind: DatasetKind
    guid: int
    created_s: int
    minor: int
    origin: FakeSnapshot | None = None
    volsize_bytes: int = 0
    blocks: dict[int, bytes] = field(default_factory=dict)
    properties: dict[str, Value] = field(default_factory=dict)
    snapshots: dict[str, FakeSnapshot] = field(default_factory=dict)
    open_count: int = 0
    wrapping_key: bytes = b""
    is_key_loaded: bool = False

    def number(self, name: str) -> int:
        """A native number of its own; 0 where it was never set."""
        return int(self.properties.get(name, 0))


FakeEntry: TypeAlias = FakeDataset | FakeSnapshot


class FakeZpool:
    """A pool that is imported or not; every change holds its `lock` and begins a transaction.

    Attributes:
        name: the pool's.
        size_bytes: what all datasets can use together.
        is_imported: while false, nothing of it is there.
        lock: one change at a time.
        txg: the transaction group that is under way.
        datasets: by their whole names.
        control: what stands for /dev/zfs.
        holds_while_open: those that go with a descriptor: its key, the snapshot, the tag.
        unreadable: the names of datasets and snapshots whose own blocks are damaged.
    """

    def __init__(self, name: str, *, size_bytes: int = 4 * GIB, clock: Clock | None = None) -> None:
        """Make a pool with nothing in it but its own file system."""
        self.name = name
        self.size_bytes = size_bytes
        self.is_imported = True
        self.lock = threading.RLock()
        self.txg = 0
        self._clock = clock or FakeClock()
        self._random = random.Random(name)
        self._minors = itertools.count(0, 16)
        self.control = FakeControl()
        self.holds_while_open: list[tuple[int, FakeSnapshot, str]] = []
        self.unreadable: set[str] = set()
        self.datasets = {name: self.new_dataset(name, DatasetKind.FILESYSTEM)}

    def new_dataset(self, name: str, kind: DatasetKind) -> FakeDataset:
        """A dataset that is in no pool yet."""
        return FakeDataset(name, kind, self._new_guid(), self.now_s(), next(self._minors))

    def new_snapshot(self, dataset: FakeDataset, leaf: str) -> FakeSnapshot:
        """A snapshot of the dataset as it is now, that it does not have yet."""
        return FakeSnapshot(
            dataset,
            leaf,
            guid=self._new_guid(),
            created_s=self.now_s(),
            txg=self.txg,
            volsize_bytes=dataset.volsize_bytes,
            blocks=dict(dataset.blocks),
        )

    def now_s(self) -> int:
        """Seconds since 1970."""
        return self._clock.now_ns() // _NS_PER_S

    def find(self, name: str) -> FakeEntry | None:
        """The dataset or snapshot of this name."""
        dataset_name, _, leaf = name.partition("@")
        dataset = self.datasets.get(dataset_name)
        return dataset.snapshots.get(leaf) if leaf and dataset else dataset

    def dataset(self, name: str) -> FakeDataset:
        """The dataset of this name; ENOENT."""
        found = self.find(name)
        if not isinstance(found, FakeDataset):
            raise RefusedError(ENOENT)
        return found

    def snapshot(self, name: str) -> FakeSnapshot:
        """The snapshot of this name; ENOENT."""
        found = self.find(name)
        if not isinstance(found, FakeSnapshot):
            raise RefusedError(ENOENT)
        return found

    def parent_of(self, dataset: FakeDataset) -> FakeDataset | None:
        """The dataset above; None above the pool's own."""
        return self.datasets.get(dataset.name.rpartition("/")[0])

    def children_of(self, dataset: FakeDataset) -> list[FakeDataset]:
        """The datasets right below."""
        name = dataset.name
        return [one for one in self.datasets.values() if one.name.rpartition("/")[0] == name]

    def clones_of(self, snapshot: FakeSnapshot) -> list[FakeDataset]:
        """The datasets that were made of the snapshot."""
        return [one for one in self.datasets.values() if one.origin is snapshot]

    def lineage_of(self, entry: FakeEntry) -> Iterator[FakeEntry]:
        """From whom it has its properties: itself, and what is above it.

        A snapshot has those of its dataset, and a clone none of its origin's.
        """
        if isinstance(entry, FakeSnapshot):
            yield entry
            entry = entry.dataset
        above: FakeDataset | None = entry
        while above is not None:
            yield above
            above = self.parent_of(above)

    def inherited(self, entry: FakeEntry, name: str) -> tuple[Value, str] | None:
        """The value of a property that is inherited, and the name of who has it as its own."""
        for above in self.lineage_of(entry):
            if name in above.properties:
                return above.properties[name], above.name
        return None

    def used_bytes(self, dataset: FakeDataset) -> int:
        """What a dataset and all below it use, or keep from others."""
        below = f"{dataset.name}/"
        inside = [one for one in self.datasets.values() if f"{one.name}/".startswith(below)]
        return sum(_own_bytes(one) + unspent_bytes(one) for one in inside)

    def available_bytes(self, dataset: FakeDataset) -> int:
        """What can be written into a dataset."""
        return self.room_bytes(dataset) + unspent_bytes(dataset)

    def room_bytes(self, dataset: FakeDataset) -> int:
        """What is left for new reservations: by every quota above, and by the pool."""
        root = self.datasets[self.name]
        limited = [self.datasets[one.name] for one in self.lineage_of(dataset)]
        rooms = [
            one.number("quota") - self.used_bytes(one) for one in limited if one.number("quota")
        ]
        return max(0, min([self.size_bytes - self.used_bytes(root), *rooms]))

    def _new_guid(self) -> int:
        return self._random.getrandbits(64)


def has_device(pool: FakeZpool, dataset: FakeDataset) -> bool:
    """Whether a zvol is to have a device."""
    volmode, _ = pool.inherited(dataset, "volmode") or (0, "")
    if dataset.kind is not DatasetKind.ZVOL or volmode == VOLMODE_NONE or not is_readable(dataset):
        return False
    # With a key those of its root come, and of that one's own clones: of others, when they are set.
    comes = dataset.origin is None or dataset.origin.dataset.origin is None
    return comes or not is_encrypted(dataset) or "volmode" in dataset.properties


def root_of(dataset: FakeDataset) -> FakeDataset:
    """Who has the key of a lineage: the one that is nobody's clone."""
    while dataset.origin is not None:
        dataset = dataset.origin.dataset
    return dataset


def is_encrypted(dataset: FakeDataset) -> bool:
    """Whether it belongs to an encrypted lineage."""
    return bool(root_of(dataset).wrapping_key)


def is_readable(dataset: FakeDataset) -> bool:
    """Whether it is not encrypted, or its key is loaded."""
    return not is_encrypted(dataset) or root_of(dataset).is_key_loaded


def unique_bytes(dataset: FakeDataset) -> int:
    """What the head of a dataset shares with no snapshot: the last one has what the others have."""
    origins = [dataset.origin] if dataset.origin is not None else []
    below = list(dataset.snapshots.values())[-1:] or origins
    shared = {id(block) for one in below for block in one.blocks.values()}
    return BLOCK_BYTES * sum(id(block) not in shared for block in dataset.blocks.values())


def unspent_bytes(dataset: FakeDataset) -> int:
    """What is reserved beyond what was written."""
    return max(0, dataset.number("refreservation") - unique_bytes(dataset))


def _own_bytes(dataset: FakeDataset) -> int:
    """The blocks of a dataset and its snapshots, without those that its origin has."""
    holders: list[FakeEntry] = [dataset, *dataset.snapshots.values()]
    blocks = {id(block) for holder in holders for block in holder.blocks.values()}
    if dataset.origin is not None:
        blocks -= {id(block) for block in dataset.origin.blocks.values()}
    return BLOCK_BYTES * len(blocks)
