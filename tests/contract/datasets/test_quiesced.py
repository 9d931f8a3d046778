"""Contract of `quiesced`: held around the capture alone, let go in every case, and able to veto."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType

import pytest

from csi_zfs.datasets.api import (
    DatasetExistsError,
    DatasetNotFoundError,
    NewDataset,
    NewSnapshot,
)
from csi_zfs.domain.errors import OutcomeUnknownError
from tests.contract.datasets.world import SIZE_BYTES, changes_nothing, make, take
from tests.support.pools import PoolUnderTest

Capture = Callable[[PoolUnderTest, AbstractContextManager[None]], object]


class Counted(AbstractContextManager[None]):
    """Counts how often it is entered and left."""

    def __init__(self) -> None:
        self.entered = 0
        self.left = 0

    def __enter__(self) -> None:
        self.entered += 1

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.left += 1


class FreezeRefusedError(Exception):
    """Stands for any error of a file system that cannot be frozen."""


class Refusing(Counted):
    """Cannot be entered."""

    def __enter__(self) -> None:
        raise FreezeRefusedError


def snapshot_three(pool: PoolUnderTest, quiesced: AbstractContextManager[None]) -> object:
    new = [NewSnapshot(f"v/{leaf}@new") for leaf in "abc"]
    return pool.manager.snapshot(new, quiesced=quiesced)


def clone_dataset(pool: PoolUnderTest, quiesced: AbstractContextManager[None]) -> object:
    return pool.manager.clone("v/a", NewDataset("v/new", SIZE_BYTES), quiesced=quiesced)


def clone_snapshot(pool: PoolUnderTest, quiesced: AbstractContextManager[None]) -> object:
    return pool.manager.clone("v/a@snap", NewDataset("v/new", SIZE_BYTES), quiesced=quiesced)


captures = pytest.mark.parametrize("capture", [snapshot_three, clone_dataset, clone_snapshot])


@pytest.fixture(autouse=True)
def _three_volumes(pool: PoolUnderTest) -> None:
    for leaf in "abc":
        make(pool, f"v/{leaf}", content=leaf.encode())
    take(pool, "v/a@snap")


@captures
def test_capture_enters_and_leaves_quiesced_once(pool: PoolUnderTest, capture: Capture) -> None:
    quiesced = Counted()
    capture(pool, quiesced)
    assert (quiesced.entered, quiesced.left) == (1, 1)


@pytest.mark.parametrize("capture", [snapshot_three, clone_dataset])
def test_capture_sees_what_is_written_up_to_the_entry_of_quiesced(
    pool: PoolUnderTest, capture: Capture
) -> None:
    """A freeze writes out the caches of the file systems: that must be in, of one instant."""

    @contextmanager
    def writing_out() -> Iterator[None]:
        for leaf in "abc":
            pool.write(f"v/{leaf}", b"synced")
        yield
        for leaf in "abc":
            pool.write(f"v/{leaf}", b"thawed")

    capture(pool, writing_out())
    if capture is snapshot_three:
        for leaf in "abc":
            pool.manager.clone(f"v/{leaf}@new", NewDataset(f"v/{leaf}2", SIZE_BYTES))
            assert pool.read(f"v/{leaf}2", 6) == b"synced"
    else:
        assert pool.read("v/new", 6) == b"synced"


@captures
def test_capture_that_quiesced_refuses_leaves_nothing(
    pool: PoolUnderTest, capture: Capture
) -> None:
    with changes_nothing(pool), pytest.raises(FreezeRefusedError):
        capture(pool, Refusing())
    capture(pool, Counted())


@captures
def test_capture_that_was_thawed_too_early_leaves_nothing(
    pool: PoolUnderTest, capture: Capture
) -> None:
    """The freeze limit is told at the end of the block: then the capture does not count."""

    @contextmanager
    def thawed_early() -> Iterator[None]:
        yield
        raise OutcomeUnknownError

    before = pool.manager.capacity()
    with changes_nothing(pool), pytest.raises(OutcomeUnknownError):
        capture(pool, thawed_early())
    assert pool.manager.capacity().admissible_thin_bytes == before.admissible_thin_bytes
    capture(pool, Counted())


def test_refused_capture_leaves_quiesced_as_often_as_it_entered(pool: PoolUnderTest) -> None:
    quiesced = Counted()
    with pytest.raises(DatasetNotFoundError):
        pool.manager.snapshot([NewSnapshot("v/a@n"), NewSnapshot("v/no@n")], quiesced=quiesced)
    with pytest.raises(DatasetExistsError):
        pool.manager.snapshot([NewSnapshot("v/a@snap")], quiesced=quiesced)
    with pytest.raises(DatasetExistsError):
        pool.manager.clone("v/a", NewDataset("v/b", SIZE_BYTES), quiesced=quiesced)
    with pytest.raises(DatasetNotFoundError):
        pool.manager.clone("v/no", NewDataset("v/new", SIZE_BYTES), quiesced=quiesced)
    assert quiesced.entered == quiesced.left
