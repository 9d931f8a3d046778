"""Looking at a whole pool before and after a call: what must change changes, the rest does not."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from csi_zfs.datasets.api import (
    Dataset,
    DatasetManager,
    DatasetSnapshot,
    NewDataset,
    NewSnapshot,
    RecordCorruptError,
)
from csi_zfs.datasets.keys import KeyNotLoadedError
from csi_zfs.datasets.names import is_tombstone
from csi_zfs.domain.sizes import MIB
from tests.support.pools import PoolUnderTest

SIZE_BYTES = 8 * MIB
RECORD = "io.csi-zfs:record"
_CONTENT_BYTES = 32


@dataclass(frozen=True)
class Seen:
    """One dataset or snapshot; of a dataset that can be opened also how its data begins.

    Nobody opens a tombstone, or what is encrypted without its key.
    """

    entry: Dataset | DatasetSnapshot
    content: bytes = b""


World = dict[str, Seen]


def world(pool: PoolUnderTest) -> World:
    """All there is in the pool, by name."""
    return {name: _seen(pool, entry) for name, entry in entries(pool.manager).items()}


def entries(manager: DatasetManager) -> dict[str, Dataset | DatasetSnapshot]:
    """All datasets and snapshots, by name; none may be damaged."""
    listed = [*manager.list(), *manager.list_snapshots()]
    readable = [entry for entry in listed if not isinstance(entry, RecordCorruptError)]
    assert len(readable) == len(listed)
    by_name = {entry.name: entry for entry in readable}
    assert len(by_name) == len(readable)
    return by_name


@contextmanager
def only_removes(pool: PoolUnderTest, *names: str) -> Iterator[None]:
    """The block removes exactly these; everything else stays, to the last field and byte."""
    before = world(pool)
    yield
    left = {name: seen for name, seen in before.items() if name not in names}
    assert world(pool) == left
    assert set(names) <= before.keys()


@contextmanager
def changes_nothing(pool: PoolUnderTest) -> Iterator[None]:
    """The block leaves every dataset and snapshot as it was."""
    with only_removes(pool):
        yield


def make(pool: PoolUnderTest, name: str, content: bytes = b"") -> Dataset:
    """A thin volume that begins with `content`."""
    dataset = pool.manager.create(NewDataset(name, SIZE_BYTES))
    if content:
        pool.write(name, content)
    return dataset


def take(pool: PoolUnderTest, name: str) -> DatasetSnapshot:
    """One snapshot."""
    return pool.manager.snapshot([NewSnapshot(name)])[0]


def plant_canaries(pool: PoolUnderTest, name: str) -> None:
    """Surround a dataset with others that a careless delete by prefix or pattern would hit."""
    for canary in (f"{name}a", f"{name}-1", f"{name}.old", name[:-1], f"{name}0"):
        make(pool, canary, content=canary.encode())
        take(pool, f"{canary}@{name.removeprefix('v/')}")
        take(pool, f"{canary}@snap")


def _seen(pool: PoolUnderTest, entry: Dataset | DatasetSnapshot) -> Seen:
    if isinstance(entry, DatasetSnapshot) or is_tombstone(entry.name):
        return Seen(entry)
    try:
        return Seen(entry, pool.read(entry.name, _CONTENT_BYTES))
    except KeyNotLoadedError:
        return Seen(entry)
