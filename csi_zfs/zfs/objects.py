"""Reading what exists in a pool: datasets and snapshots, by name and as lists.

The record of an object is the truth about it.  A system property costs five times as much as a user
property to read, so lists ask for none of a dataset, but for the origin of a clone: a rename of the
origin changes it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from csi_zfs.datasets.api import (
    Dataset,
    DatasetKind,
    DatasetNotFoundError,
    DatasetSnapshot,
    RecordCorruptError,
)
from csi_zfs.datasets.names import is_tombstone
from csi_zfs.zfs import records
from csi_zfs.zfs.home import Home
from csi_zfs.zfs.outcomes import Found
from csi_zfs.zfs.records import DATASET_PROPERTY, SNAPSHOT_PROPERTY

EntryT = TypeVar("EntryT", bound=Dataset | DatasetSnapshot)

_PAGE = 256
_UNSIGNED = (1 << 64) - 1
_OF_DATASETS = ["origin"]
_OF_SNAPSHOTS = ["defer_destroy", "userrefs"]
# Of what somebody made by hand: enough to tell it apart from ours.
_OF_FOREIGN = ["guid", "type", "creation", "volsize"]


@dataclass(frozen=True, slots=True)
class Read:
    """What was read about an object: `record` is its first property, empty where it is not ours."""

    record: str
    native: Found


class Objects:
    """The datasets and snapshots of a pool.  Thread-safe.

    What has no record of ours was made by hand: it has no user properties, its uid is its GUID, and
    it is in no list.
    """

    def __init__(self, home: Home) -> None:
        """Read below the home."""
        self._home = home

    def dataset(self, name: str) -> Dataset:
        """Read a dataset; raises `DatasetNotFoundError`, `RecordCorruptError`."""
        return self.dataset_and_record(name)[0]

    def snapshot(self, name: str) -> DatasetSnapshot:
        """Read a snapshot; raises `DatasetNotFoundError`, `RecordCorruptError`."""
        return self.snapshot_and_record(name)[0]

    def entry(self, name: str) -> Dataset | DatasetSnapshot:
        """Read a dataset or a snapshot; raises as they do."""
        return self.snapshot(name) if "@" in name else self.dataset(name)

    def dataset_and_record(self, name: str) -> tuple[Dataset, str]:
        """A dataset and the text of its record, by which a change knows it again."""
        read = self._read(name, DATASET_PROPERTY, _OF_DATASETS)
        if not read.record:
            return self._foreign_dataset(name), ""
        dataset = self._parsed(name, read.record, records.parse_dataset, DATASET_PROPERTY)
        if not read.native.get("origin") and _may_be_clone(dataset):
            self._read(name, DATASET_PROPERTY, ["type"])  # raises if it cannot be read
        return replace(dataset, origin=self._origin(read.native)), read.record

    def snapshot_and_record(self, name: str) -> tuple[DatasetSnapshot, str]:
        """A snapshot and the text of its record, by which a change knows it again."""
        read = self._read(name, SNAPSHOT_PROPERTY, _OF_SNAPSHOTS)
        if not read.record:
            return self._foreign_snapshot(name), ""
        snapshot = self._parsed(name, read.record, records.parse_snapshot, SNAPSHOT_PROPERTY)
        holds = self._holds(name) if read.native["userrefs"] else frozenset[str]()
        is_deferred = read.native["defer_destroy"] == "on"
        return replace(snapshot, holds=holds, is_deferred=is_deferred), read.record

    def datasets_named(self, names: Sequence[str]) -> list[Dataset]:
        """Read datasets, many in one program; raises as `dataset`."""
        if len(names) <= 1:
            return [self.dataset(name) for name in names]
        found = {
            one.name: one
            for page in _pages([self._home.full(name) for name in names])
            for one in self._datasets_of(page)
        }
        return [self._found_or_read(name, found.get(name)) for name in names]

    def _found_or_read(self, name: str, found: Dataset | RecordCorruptError | None) -> Dataset:
        if isinstance(found, RecordCorruptError):
            raise found
        # What is in no list is absent, or was made by hand.
        return found or self.dataset(name)

    def datasets(self) -> Iterator[Dataset | RecordCorruptError]:
        """Read all datasets; what cannot be read is yielded as its error."""
        names = self._home.read("list_names")["names"]
        for page in _pages(_values(names)):
            yield from self._datasets_of(page)

    def snapshots(self) -> Iterator[DatasetSnapshot | RecordCorruptError]:
        """Read all snapshots; what cannot be read is yielded as its error."""
        names = self._home.read("list_names")["names"]
        for page in _pages(_values(names)):
            yield from self._snapshots_of(page)

    def _read(self, name: str, record_property: str, native: list[str]) -> Read:
        found = self._home.read("read", name, property=record_property, native=[*native])
        return Read(found.get("record", ""), found["native"])

    def _datasets_of(self, names: list[str]) -> Iterator[Dataset | RecordCorruptError]:
        found = self._home.read("list_datasets", names=[*names], property=DATASET_PROPERTY)
        datasets = [
            self._or_error(full_name, record, records.parse_dataset, DATASET_PROPERTY)
            for full_name, record in found["records"].items()
        ]
        clones = {one.name for one in datasets if isinstance(one, Dataset) and _may_be_clone(one)}
        origins = self._origins_of(sorted(clones))
        for one in datasets:
            if isinstance(one, Dataset) and one.name in clones:
                yield replace(one, origin=origins.get(one.name, ""))
            elif one is not None:
                yield one

    def _origins_of(self, names: Sequence[str]) -> dict[str, str]:
        if not names:
            return {}
        full_names = [self._home.full(name) for name in names]
        origins = self._home.read("list_origins", names=[*full_names])["origins"]
        relative = self._home.relative
        return {relative(name): relative(origin) for name, origin in origins.items()}

    def _snapshots_of(self, names: list[str]) -> Iterator[DatasetSnapshot | RecordCorruptError]:
        found = self._home.read("list_snapshots", names=[*names], property=SNAPSHOT_PROPERTY)
        for full_name, record in found["records"].items():
            one = self._or_error(full_name, record, records.parse_snapshot, SNAPSHOT_PROPERTY)
            if isinstance(one, DatasetSnapshot) and full_name not in found["held"]:
                msg = f"{one.name} cannot be read from the disks: see `zpool status -v`"
                yield RecordCorruptError(msg, name=one.name)
            elif isinstance(one, DatasetSnapshot):
                holds = self._holds(one.name) if found["held"][full_name] else frozenset[str]()
                yield replace(one, holds=holds, is_deferred=found["deferred"][full_name])
            elif one is not None:
                yield one

    def _or_error(
        self, full_name: str, record: str, parse: Callable[..., EntryT], record_property: str
    ) -> EntryT | RecordCorruptError | None:
        name = self._home.relative(full_name)
        try:
            return self._parsed(name, record, parse, record_property)
        except RecordCorruptError as exc:
            return exc
        except DatasetNotFoundError:  # it was destroyed after it was listed
            return None

    def _parsed(
        self, name: str, record: str, parse: Callable[..., EntryT], record_property: str
    ) -> EntryT:
        further = records.further_properties(record, record_property, name=name)
        parts: dict[str, str] = {}
        if further:
            parts = self._home.read("read_parts", name, properties=[*further])["parts"]
        return parse(record, parts, name=name)

    def _holds(self, name: str) -> frozenset[str]:
        try:
            with self._home.calling(name):
                return frozenset(self._home.core.holds(self._home.full(name)))
        except DatasetNotFoundError:  # it went after it was read
            return frozenset()

    def _origin(self, native: Found) -> str:
        return self._home.relative(native.get("origin") or "")

    def _foreign_dataset(self, name: str) -> Dataset:
        native = self._read(name, DATASET_PROPERTY, [*_OF_FOREIGN, "origin"]).native
        return Dataset(
            name=name,
            uid=_uid_of(native),
            kind=DatasetKind(native["type"]),
            size_bytes=native.get("volsize") or 0,
            is_thick=False,
            created_ns=native["creation"] * 1_000_000_000,
            origin=self._origin(native),
        )

    def _foreign_snapshot(self, name: str) -> DatasetSnapshot:
        native = self._read(name, SNAPSHOT_PROPERTY, [*_OF_FOREIGN, *_OF_SNAPSHOTS]).native
        return DatasetSnapshot(
            name=name,
            uid=_uid_of(native),
            kind=DatasetKind.ZVOL if native.get("volsize") else DatasetKind.FILESYSTEM,
            size_bytes=native.get("volsize") or 0,
            is_thick=False,
            created_ns=native["creation"] * 1_000_000_000,
            is_deferred=native["defer_destroy"] == "on",
        )


def _may_be_clone(dataset: Dataset) -> bool:
    """Whether its record says so, or a clone of it was promoted: that makes no new record."""
    return bool(dataset.origin) or is_tombstone(dataset.name)


def _uid_of(native: Found) -> str:
    return f"{native['guid'] & _UNSIGNED:016x}"


def _values(table: object) -> list[str]:
    """A list that came out of a program: as a list, or as a table with numbers for keys."""
    if isinstance(table, dict):
        return [str(value) for value in table.values()]
    return [str(value) for value in table] if isinstance(table, list) else []


def _pages(names: list[str]) -> Iterator[list[str]]:
    for begin in range(0, len(names), _PAGE):
        yield names[begin : begin + _PAGE]
