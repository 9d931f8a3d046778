"""Reading and rewriting what exists in a pool: datasets and snapshots, by name and as lists."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from csi_zfs.datasets.api import (
    Dataset,
    DatasetNotFoundError,
    DatasetSnapshot,
    RecordCorruptError,
)
from csi_zfs.datasets.names import InvalidNameError, dataset_of, snapshot_of
from csi_zfs.reflink.kernel import read_small
from csi_zfs.reflink.layout import RECORD, SNAPSHOT_MARK, place_of_dataset, place_of_snapshot
from csi_zfs.reflink.records import (
    encode_dataset,
    encode_snapshot,
    parse_dataset,
    parse_snapshot,
)
from csi_zfs.reflink.root import PoolRoot
from csi_zfs.system.files import Files, write_durably

EntryT = TypeVar("EntryT", bound=Dataset | DatasetSnapshot)


def snapshot_leaves(contents: list[str]) -> list[str]:
    """The leaves of the snapshots among what lies in a dataset's directory."""
    marked = [entry for entry in contents if entry.startswith(SNAPSHOT_MARK)]
    return [entry.removeprefix(SNAPSHOT_MARK) for entry in marked]


class Objects:
    """The datasets and snapshots of a pool.  Thread-safe for different names.

    It remembers which records it found damaged, for the pool's health.
    """

    def __init__(self, root: PoolRoot, files: Files) -> None:
        """Read below `root`, write through `files`."""
        self._root = root
        self._layout = root.layout
        self._files = files
        self._damaged: dict[str, RecordCorruptError] = {}

    def dataset(self, name: str) -> Dataset:
        """Read a dataset; raises `DatasetNotFoundError`, `RecordCorruptError`."""
        record = f"{place_of_dataset(name)}/{RECORD}"
        with self._noting(name), self._root.working(name):
            data = read_small(self._layout.root, record)
            return parse_dataset(data, name=name, path=f"{self._layout.root}/{record}")

    def snapshot(self, name: str) -> DatasetSnapshot:
        """Read a snapshot; raises `DatasetNotFoundError`, `RecordCorruptError`."""
        record = f"{place_of_snapshot(name)}/{RECORD}"
        with self._noting(name), self._root.working(name):
            data = read_small(self._layout.root, record)
            return parse_snapshot(data, name=name, path=f"{self._layout.root}/{record}")

    def entry(self, name: str) -> Dataset | DatasetSnapshot:
        """Read a dataset or a snapshot; raises as they do."""
        return self.snapshot(name) if SNAPSHOT_MARK in name else self.dataset(name)

    def datasets(self) -> Iterator[Dataset | RecordCorruptError]:
        """Read all datasets; what cannot be read is yielded as its error."""
        names = [dataset_of(entry.name) for entry in self._volumes()]
        return self._read_all(names, self.dataset)

    def snapshots(self) -> Iterator[DatasetSnapshot | RecordCorruptError]:
        """Read all snapshots; what cannot be read is yielded as its error."""
        for entry in self._volumes():
            # What is no directory is reported among the datasets; a link is never followed.
            if entry.is_dir(follow_symlinks=False):
                yield from self._snapshots_of(dataset_of(entry.name))

    def contents(self, name: str) -> list[str]:
        """What lies in the directory of a dataset or snapshot; raises `DatasetNotFoundError`."""
        with self._root.working(name):
            return [path.name for path in self._layout.object(name).iterdir()]

    def rewrite_dataset(self, dataset: Dataset) -> Dataset:
        """Replace a dataset's record, durably; returns its argument."""
        self._write(self._layout.dataset(dataset.name), encode_dataset(dataset))
        return dataset

    def rewrite_snapshot(self, snapshot: DatasetSnapshot) -> DatasetSnapshot:
        """Replace a snapshot's record, durably; returns its argument."""
        self._write(self._layout.snapshot(snapshot.name), encode_snapshot(snapshot))
        return snapshot

    def damaged(self) -> list[RecordCorruptError]:
        """Which of the records that were found damaged are so still."""
        names = list(self._damaged)
        return [
            error for error in self._read_all(names, self.entry) if isinstance(error, Exception)
        ]

    def _volumes(self) -> list[os.DirEntry[str]]:
        with self._root.working(), os.scandir(self._layout.volumes) as entries:
            return list(entries)

    def _snapshots_of(self, dataset_name: str) -> Iterator[DatasetSnapshot | RecordCorruptError]:
        try:
            contents = self.contents(dataset_name)
        except (DatasetNotFoundError, InvalidNameError):  # as for one that is no directory
            return
        names = [snapshot_of(dataset_name, leaf) for leaf in snapshot_leaves(contents)]
        yield from self._read_all(names, self.snapshot)

    def _read_all(
        self, names: list[str], read: Callable[[str], EntryT]
    ) -> Iterator[EntryT | RecordCorruptError]:
        for name in names:
            try:
                yield read(name)
            except DatasetNotFoundError:  # it was deleted after it was listed
                continue
            except InvalidNameError:
                self._damaged[name] = RecordCorruptError(f"{name} is not the driver's", name=name)
                yield self._damaged[name]
            except RecordCorruptError as exc:
                yield exc

    def _write(self, directory: Path, data: bytes) -> None:
        write_durably(self._files, directory / RECORD, data)

    @contextmanager
    def _noting(self, name: str) -> Iterator[None]:
        try:
            yield
        except RecordCorruptError as exc:
            exc.name = name
            self._damaged[name] = exc
            raise
        except DatasetNotFoundError:
            self._damaged.pop(name, None)
            raise
        else:
            self._damaged.pop(name, None)
