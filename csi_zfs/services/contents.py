"""All that is on a pool, read once: a start looks at it from several sides."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from csi_zfs.datasets.api import Dataset, DatasetManager, DatasetSnapshot, RecordCorruptError


@dataclass(frozen=True, slots=True)
class PoolContents:
    """The datasets and snapshots of a pool as they were when it was read."""

    pool: DatasetManager
    datasets: Sequence[Dataset | RecordCorruptError]
    snapshots: Sequence[DatasetSnapshot | RecordCorruptError]

    @classmethod
    def of(cls, pool: DatasetManager) -> Self:
        """Read the whole pool."""
        return cls(pool, list(pool.list()), list(pool.list_snapshots()))

    def readable_datasets(self) -> Iterator[Dataset]:
        """Those that are not damaged."""
        return (one for one in self.datasets if not isinstance(one, RecordCorruptError))

    def readable_snapshots(self) -> Iterator[DatasetSnapshot]:
        """Those that are not damaged."""
        return (one for one in self.snapshots if not isinstance(one, RecordCorruptError))

    def damages(self) -> Iterator[RecordCorruptError]:
        """What cannot be read."""
        for one in (*self.datasets, *self.snapshots):
            if isinstance(one, RecordCorruptError):
                yield one
