"""`PoolUnderTest`: what the contract suite needs of a pool beyond `DatasetManager`.

The suite asks `manager.features` what to expect and never which engine it has.  A new engine joins
by one context manager that yields a `PoolUnderTest`, named in tests/contract/datasets/conftest.py.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from csi_zfs.datasets.api import DatasetManager
from csi_zfs.domain.sizes import GIB
from tests.support.clock import FakeClock
from tests.support.datasets import FakeDatasets
from tests.support.disk import FakeDisk, FakeImage, path_of
from tests.support.pool_core import LIKE_NATIVE_OPENZFS, LIKE_OPENZFS, LIKE_REFLINK, FakePool
from tests.support.pool_state import Room

SMALL_POOL = Room(total_bytes=GIB)


class PoolUnderTest(Protocol):
    """One pool, made for one test."""

    @property
    def manager(self) -> DatasetManager:
        """The manager of the pool; another object after `reopen`."""

    def write(self, name: str, data: bytes, *, offset_bytes: int = 0) -> None:
        """Write into the data of a dataset, durably."""

    def read(self, name: str, length_bytes: int, *, offset_bytes: int = 0) -> bytes:
        """Read from the data of a dataset."""

    def reopen(self) -> None:
        """Let go of the pool and open it again, as a restart of the driver would."""

    def away(self) -> AbstractContextManager[None]:
        """The pool is not there for the length of a `with` block."""

    def in_use(self, name: str) -> AbstractContextManager[None]:
        """A device serves the dataset for the length of a `with` block."""

    def damage(self, name: str) -> None:
        """Make what is stored about a dataset or snapshot unreadable."""


class FakePoolUnderTest:
    """A `PoolUnderTest` in memory."""

    def __init__(self, pool: FakePool) -> None:
        """Make an empty pool."""
        self.disk = FakeDisk()
        self.clock = FakeClock()
        self.manager = FakeDatasets(self.disk, self.clock, pool)

    def write(self, name: str, data: bytes, *, offset_bytes: int = 0) -> None:
        """See `PoolUnderTest`."""
        image = self._image(name)
        before = image.raw[:offset_bytes].ljust(offset_bytes, b"\0")
        image.raw = before + data + image.raw[offset_bytes + len(data) :]

    def read(self, name: str, length_bytes: int, *, offset_bytes: int = 0) -> bytes:
        """See `PoolUnderTest`."""
        image = self._image(name)
        length_bytes = min(length_bytes, image.size_bytes - offset_bytes)
        return image.raw[offset_bytes:][:length_bytes].ljust(length_bytes, b"\0")

    def reopen(self) -> None:
        """See `PoolUnderTest`; a fake outlives its driver."""

    @contextmanager
    def away(self) -> Iterator[None]:
        """See `PoolUnderTest`."""
        self.manager.is_available = False
        try:
            yield
        finally:
            self.manager.is_available = True

    @contextmanager
    def in_use(self, name: str) -> Iterator[None]:
        """See `PoolUnderTest`."""
        image = self._image(name)
        image.is_attached = True
        try:
            yield
        finally:
            image.is_attached = False

    def damage(self, name: str) -> None:
        """See `PoolUnderTest`."""
        self.manager.damage(name)

    def _image(self, name: str) -> FakeImage:
        return self.disk.images[path_of(self.manager.data_path(name))]


@contextmanager
def fake_like_reflink(_directory: Path) -> Iterator[PoolUnderTest]:
    """A fake pool whose clones are independent."""
    yield FakePoolUnderTest(FakePool(features=LIKE_REFLINK, room=SMALL_POOL))


@contextmanager
def fake_like_openzfs(_directory: Path) -> Iterator[PoolUnderTest]:
    """A fake pool whose clones need their origins."""
    yield FakePoolUnderTest(FakePool(features=LIKE_OPENZFS, room=SMALL_POOL))


@contextmanager
def fake_like_native_openzfs(_directory: Path) -> Iterator[PoolUnderTest]:
    """The same, and it has native file systems."""
    yield FakePoolUnderTest(FakePool(features=LIKE_NATIVE_OPENZFS, room=SMALL_POOL))


PoolMaker = Callable[[Path], AbstractContextManager[PoolUnderTest]]
