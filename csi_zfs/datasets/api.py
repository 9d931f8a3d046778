"""What an engine of datasets promises: `DatasetManager`.

The terms are OpenZFS's: a *dataset* is a file system or a zvol (a virtual disk); a *snapshot* is
named `<dataset>@<snapshot>`; a *clone* is a dataset that begins as a copy of a snapshot.  Names are
relative to the pool's configured parent and always `v/<leaf>` (see names.py).  The embedded reflink
pool and OpenZFS both fit; where they differ, an engine says so in its `Features`, never by
surprise.

Every mutating call is atomic (it happens or it does not, also across a crash) and durable when it
returns.  Calls on different names may run in parallel; for one name the caller serialises them
(services/locks.py).
"""

import enum
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from csi_zfs.datasets.changes import SnapshotChanges
from csi_zfs.datasets.keys import DatasetKeys, WrappingKey
from csi_zfs.domain.errors import (
    CorruptionError,
    IncompatibleError,
    InUseError,
    InvalidRequestError,
    NoSpaceError,
    NotFoundError,
    OutOfRangeError,
    UnavailableError,
    UnsupportedParameterError,
)
from csi_zfs.domain.model import DataPath, HealthFinding


class DatasetNotFoundError(NotFoundError):
    """The dataset or snapshot does not exist.

    Proved by a second read on a healthy pool (rules.md A5).
    """


class DatasetExistsError(IncompatibleError):
    """A dataset or snapshot of that name exists."""


class DatasetBusyError(InUseError):
    """The dataset is open or mounted; the text names the holder where it is known."""


class HasDependentsError(InUseError):
    """Snapshots or clones need the dataset or snapshot."""


class SnapshotHeldError(InUseError):
    """Holds keep the snapshot; the text names them."""


class PoolFullError(NoSpaceError):
    """The pool cannot take it; nothing was changed."""


class PoolUnavailableError(UnavailableError):
    """The pool is not imported or mounted, is suspended, or is not the one expected."""


class RecordCorruptError(CorruptionError):
    """What is stored about a dataset or snapshot cannot be read.

    `name` says which, where that is known.
    """

    def __init__(self, message: str, *, name: str = "") -> None:
        """Keep the name, so that nobody takes a damaged thing for an absent one."""
        super().__init__(message)
        self.name = name


class RecordTooLargeError(InvalidRequestError):
    """The properties are more than a record can hold."""


class CloneTooSmallError(OutOfRangeError):
    """A clone cannot be smaller than what it is a copy of."""


class UnsupportedFeatureError(UnsupportedParameterError):
    """The pool has no such feature or property."""


class DatasetKind(enum.StrEnum):
    """What a dataset is, by the names that ZFS uses in its `type` property."""

    FILESYSTEM = "filesystem"
    ZVOL = "volume"


@dataclass(frozen=True, slots=True)
class Features:
    """What an engine can do, as data.

    Attributes:
        dependent_clones: a clone needs its origin snapshot, and the dataset below it, to stay.
        native_filesystem: datasets of kind `FILESYSTEM` can be made and mounted without a block
            device.
        send: send streams can be made and received.
        encryption: `create` takes the native property `encryption`, together with a key.
        creation_properties: native properties that `create` and `clone` take.
        mutable_properties: those of them that `set_properties` can change later.
    """

    dependent_clones: bool
    native_filesystem: bool
    send: bool
    encryption: bool
    creation_properties: frozenset[str] = frozenset()
    mutable_properties: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Dataset:
    """One file system or zvol.

    `size_bytes` is volsize or refquota; `uid` is 16 hex digits, made with the dataset and kept by a
    rename; `origin` is the name of the snapshot that a dependent clone needs (empty for independent
    ones).
    """

    name: str
    uid: str
    kind: DatasetKind
    size_bytes: int
    is_thick: bool
    created_ns: int
    origin: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    user_properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DatasetSnapshot:
    """One snapshot; `size_bytes` is the size of its dataset at that instant.

    `is_deferred` once its destroy waits.
    """

    name: str
    uid: str
    kind: DatasetKind
    size_bytes: int
    is_thick: bool
    created_ns: int
    user_properties: Mapping[str, str] = field(default_factory=dict)
    holds: frozenset[str] = frozenset()
    is_deferred: bool = False


@dataclass(frozen=True, slots=True)
class NewDataset:
    """What to make, as `create` and `clone` take it; a clone has its origin's key, never one."""

    name: str
    size_bytes: int
    kind: DatasetKind = DatasetKind.ZVOL
    is_thick: bool = False
    properties: Mapping[str, str] = field(default_factory=dict)
    user_properties: Mapping[str, str] = field(default_factory=dict)
    key: WrappingKey | None = None


@dataclass(frozen=True, slots=True)
class NewSnapshot:
    """One snapshot to take: `name` is `<dataset>@<snapshot>`."""

    name: str
    user_properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PoolCapacity:
    """Room in a pool, in bytes.

    `total` and `free` are what the pool has; `admissible_thin` and `admissible_thick` are the
    largest volumes that `create` takes now.
    """

    total_bytes: int
    free_bytes: int
    admissible_thin_bytes: int
    admissible_thick_bytes: int


NOT_QUIESCED: AbstractContextManager[None] = nullcontext()


class DatasetManager(SnapshotChanges, Protocol):
    """One pool, below one parent.  Thread-safe.

    Every method may raise `PoolUnavailableError`.  A method that takes the name of something that
    has to exist raises `DatasetNotFoundError` where it is proved not to, and `RecordCorruptError`
    where it is there and cannot be read: that is never "not found".

    User properties are texts of up to 8191 bytes each, the empty one included; their keys are
    `[a-z_]+`.  An engine keeps all of an object's as one record.
    """

    @property
    def pool_id(self) -> str:
        """The pool's id: 16 hex digits, stored in the pool, the same wherever the pool is."""

    @property
    def pool_name(self) -> str:
        """The name by which settings and parameters call the pool."""

    @property
    def features(self) -> Features:
        """What this engine can do."""

    @property
    def keys(self) -> DatasetKeys:
        """The keys of its encrypted datasets."""

    def create(self, new: NewDataset) -> Dataset:
        """Make an empty dataset; the key of an encrypted one is not loaded afterwards.

        Raises:
            DatasetExistsError: the name is taken.
            PoolFullError: admission refuses the size (rules.md A13), or the pool is full.
            UnsupportedFeatureError: the kind or a property is not in `features`.
        """

    def clone(
        self,
        source_name: str,
        new: NewDataset,
        *,
        quiesced: AbstractContextManager[None] = NOT_QUIESCED,
    ) -> Dataset:
        """Make a dataset that begins as a copy of a snapshot, or of a dataset as it is now.

        `new.size_bytes` may be larger than the source's; its kind is the source's.  `quiesced` is
        entered around the instant of the copy only.  Native properties that `new` does not name are
        kept from the source.

        Raises:
            DatasetNotFoundError: no such source.
            CloneTooSmallError: `new` is smaller than the source.
            KeyNotLoadedError: it is larger, and an encrypted zvol whose key is not loaded.
            DatasetExistsError, PoolFullError, UnsupportedFeatureError: as for `create`; the last
                one also for another kind than the source's.
        """

    def get(self, name: str) -> Dataset:
        """Read one dataset; raises `DatasetNotFoundError`."""

    def get_all(self, names: Sequence[str]) -> Sequence[Dataset]:
        """Read several datasets, in this order; raises as `get` for the first that it does for."""

    def list(self) -> Iterator[Dataset | RecordCorruptError]:
        """Read all datasets, in no order.

        What cannot be read is yielded as its error, and the rest goes on.
        """

    def data_path(self, name: str) -> DataPath:
        """What to open or mount for the dataset's data.

        Raises `DatasetNotFoundError`, `KeyNotLoadedError`.
        """

    def resize(self, name: str, size_bytes: int) -> Dataset:
        """Grow the dataset to `size_bytes`; one that is as large or larger stays as it is.

        Raises `PoolFullError`, and `KeyNotLoadedError` for an encrypted zvol.
        """

    def rename(self, name: str, new_name: str) -> Dataset:
        """Rename a dataset together with its snapshots.

        Raises `DatasetNotFoundError`, `DatasetExistsError`.
        """

    def retire(self, name: str, new_name: str) -> Dataset:
        """Make a tombstone of a dataset: rename it, and give back what no dependent needs.

        Nobody opens its data again; its snapshots and clones stay whole.  Safe to repeat: with
        `name` gone and `new_name` there, it finishes.

        Raises:
            DatasetNotFoundError: neither name is there.
            DatasetExistsError: both are.
            DatasetBusyError: it is open or mounted; it may have its new name already.
        """

    def heir_of(self, tombstone_name: str) -> str:
        """The clone whose promote lets a tombstone go; empty where none would free anything.

        A clone of its youngest snapshot, always the same one, and a living one if there is one.
        Freed is what the dataset has written since, or that snapshot, if it waits for this clone.
        """

    def promote(self, name: str, *, over: str) -> None:
        """Make a clone the owner of its origin, and of what is older, below `over`, a tombstone.

        These are `<name>@<snapshot>` from now on, and else unchanged.  The tombstone depends on
        them, and what it alone keeps goes by its `destroy`.

        Raises:
            DatasetNotFoundError, UnsupportedFeatureError: there is none; clones depend on nothing.
            DatasetExistsError, PoolFullError: a snapshot has that name; no room to reserve anew.
            DatasetBusyError: a snapshot is mounted, or the key of the lineage is loaded.
        """

    def set_properties(self, name: str, properties: Mapping[str, str]) -> Dataset:
        """Change native properties.

        Raises `UnsupportedFeatureError` for one that is not in `mutable_properties`.
        """

    def set_user_properties(self, name: str, user_properties: Mapping[str, str]) -> Dataset:
        """Replace a dataset's user properties as a whole."""

    def destroy(self, name: str, *, uid: str) -> None:
        """Destroy exactly the dataset of this name and uid, never anything below or beside it.

        A tombstone that has to stay for its dependents loses what a `retire` that was cut short
        left of its data.

        Raises:
            DatasetNotFoundError: no dataset of this name, or one with another uid.
            HasDependentsError: it has snapshots, or clones need it.
            DatasetBusyError: it is open or mounted.
        """

    def snapshot(
        self, new: Sequence[NewSnapshot], *, quiesced: AbstractContextManager[None] = NOT_QUIESCED
    ) -> Sequence[DatasetSnapshot]:
        """Take all snapshots at one instant, or none; the result is in the order of `new`.

        At most one of each dataset.  `quiesced` is entered around that instant only; if its end
        raises, none of them exists.

        Raises:
            DatasetNotFoundError: a source is missing.
            DatasetExistsError: a name is taken.
            PoolFullError: they do not all fit.
        """

    def get_snapshot(self, name: str) -> DatasetSnapshot:
        """Read one snapshot; raises `DatasetNotFoundError`."""

    def list_snapshots(self) -> Iterator[DatasetSnapshot | RecordCorruptError]:
        """Read all snapshots, in no order.

        What cannot be read is yielded as its error, and the rest goes on.
        """

    def rename_snapshot(self, name: str, new_name: str) -> DatasetSnapshot:
        """Rename a snapshot within its dataset.

        Raises `DatasetNotFoundError`, `DatasetExistsError`.
        """

    def destroy_snapshot(self, name: str, *, uid: str, is_deferred: bool = False) -> None:
        """Destroy exactly the snapshot of this name and uid.

        With `is_deferred`, clones and holds do not refuse it: it goes when the last of them goes.

        Raises:
            DatasetNotFoundError: no such snapshot, or one with another uid.
            HasDependentsError: clones need it.
            SnapshotHeldError: a hold keeps it.
        """

    def hold(self, name: str, tag: str) -> None:
        """Keep a snapshot from being destroyed; repeating it is no error.

        Raises `DatasetNotFoundError`.
        """

    def release(self, name: str, tag: str) -> None:
        """Take a hold away; a missing hold is no error; raises `DatasetNotFoundError`."""

    def capacity(self) -> PoolCapacity:
        """The room in the pool."""

    def is_reachable(self) -> bool:
        """Whether the pool is there and takes writes: what every probe asks, so it is cheap."""

    def health(self) -> tuple[HealthFinding, ...]:
        """What is wrong with the pool now; empty means healthy.

        Never raises for a pool that is ill or away.
        """

    def extent_count(self, name: str) -> int:
        """In how many pieces the data of a dataset lies: what a copy of it costs.

        0 where copies cost the same always.
        """
