"""The plainest model of a pool: two dictionaries, and what each verb of `DatasetManager` answers.

It knows no room, no time and no files.  `errors_of_*` are those that a call may end with: where
there are none it succeeds, else it fails with one of them.
"""

from dataclasses import dataclass, field, replace

from csi_zfs.datasets.api import (
    DatasetExistsError,
    DatasetNotFoundError,
    HasDependentsError,
    SnapshotHeldError,
)

Errors = set[type[Exception]]


@dataclass(frozen=True)
class ModelDataset:
    """A dataset; `content` is None once it is retired, `origin_uid` is of the snapshot it needs."""

    uid: str
    size_bytes: int
    content: bytes | None = b""
    record: str = ""
    origin_uid: str = ""


@dataclass(frozen=True)
class ModelSnapshot:
    """A snapshot."""

    uid: str
    size_bytes: int
    content: bytes
    record: str = ""
    holds: frozenset[str] = frozenset()
    is_deferred: bool = False


@dataclass
class ModelPool:
    """All datasets and snapshots, by name.

    In the order of their making: names of our own making hold random uids, and Hypothesis needs the
    same choices when it repeats a sequence.
    """

    datasets: dict[str, ModelDataset] = field(default_factory=dict)
    snapshots: dict[str, ModelSnapshot] = field(default_factory=dict)

    def live(self) -> list[str]:
        """The datasets that are not retired."""
        return [name for name, one in self.datasets.items() if one.content is not None]

    def kept(self) -> list[str]:
        """The snapshots that nobody has asked to destroy."""
        return [name for name, one in self.snapshots.items() if not one.is_deferred]

    def errors_of_new(self, name: str) -> Errors:
        """Of making something of this name."""
        return {DatasetExistsError} if name in self.datasets or name in self.snapshots else set()

    def errors_of_using(self, name: str) -> Errors:
        """Of a call that needs this name."""
        known = self.snapshots if "@" in name else self.datasets
        return set() if name in known else {DatasetNotFoundError}

    def errors_of_moving(self, name: str, new_name: str) -> Errors:
        """Of making something from what has this name: a clone, a rename."""
        return self.errors_of_using(name) | self.errors_of_new(new_name)

    def errors_of_snapshots(self, names: list[str]) -> Errors:
        """Of taking these snapshots in one call."""
        errors = [self.errors_of_moving(name.partition("@")[0], name) for name in names]
        return set().union(*errors)

    def errors_of_destroying(self, name: str) -> Errors:
        """Of destroying a dataset."""
        return self.errors_of_using(name) | ({HasDependentsError} if self.of(name) else set())

    def errors_of_destroying_snapshot(self, name: str, *, is_deferred: bool) -> Errors:
        """Of destroying a snapshot."""
        errors = self.errors_of_using(name)
        if not errors and not is_deferred:
            errors |= {SnapshotHeldError} if self.snapshots[name].holds else set()
            errors |= {HasDependentsError} if self._is_cloned(name) else set()
        return errors

    def of(self, dataset_name: str) -> list[str]:
        """The names of a dataset's snapshots."""
        return [name for name in self.snapshots if name.partition("@")[0] == dataset_name]

    def move(self, name: str, new_name: str) -> None:
        """Rename a dataset with its snapshots."""
        self.datasets[new_name] = self.datasets.pop(name)
        for snapshot in self.of(name):
            leaf = snapshot.partition("@")[2]
            self.snapshots[f"{new_name}@{leaf}"] = self.snapshots.pop(snapshot)

    def hold(self, name: str, tag: str) -> None:
        """Keep a snapshot."""
        snapshot = self.snapshots[name]
        self.snapshots[name] = replace(snapshot, holds=snapshot.holds | {tag})

    def release(self, name: str, tag: str) -> None:
        """Keep it no more."""
        snapshot = self.snapshots[name]
        self.snapshots[name] = replace(snapshot, holds=snapshot.holds - {tag})
        self.drop_unneeded()

    def destroy_snapshot(self, name: str) -> None:
        """Let a snapshot go as soon as nothing needs it."""
        self.snapshots[name] = replace(self.snapshots[name], is_deferred=True)
        self.drop_unneeded()

    def drop_unneeded(self) -> None:
        """Drop the deferred snapshots that nothing needs any more."""
        for name, snapshot in list(self.snapshots.items()):
            if snapshot.is_deferred and not snapshot.holds and not self._is_cloned(name):
                del self.snapshots[name]

    def _is_cloned(self, name: str) -> bool:
        uid = self.snapshots[name].uid
        return any(dataset.origin_uid == uid for dataset in self.datasets.values())
