"""The driver's OpenZFS engine on a pool in memory, as a `PoolUnderTest`; needs nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from csi_zfs.datasets.names import split_snapshot
from csi_zfs.domain.model import DeviceNode
from csi_zfs.domain.sizes import GIB
from csi_zfs.zfs.datasets import LibzfsCoreDatasets
from csi_zfs.zfs.devices import ZvolDevices
from csi_zfs.zfs.pools import Doors, create_pool, open_pool
from csi_zfs.zfs.records import DATASET_PROPERTY, SNAPSHOT_PROPERTY
from tests.support import zfs_changes as changes
from tests.support.clock import FakeClock
from tests.support.pools import PoolUnderTest
from tests.support.zfs_commands import FakeZfsCommands
from tests.support.zfs_core import FakeLibzfsCore
from tests.support.zfs_dev import FakeDev
from tests.support.zfs_state import BLOCK_BYTES, FakeDataset, FakeZpool

ZPOOL = "tank"
PARENT = f"{ZPOOL}/csi"


@dataclass(frozen=True, slots=True)
class FakeZfs:
    """OpenZFS on one machine with one pool; it outlives the driver."""

    pool: FakeZpool
    dev: FakeDev
    core: FakeLibzfsCore
    commands: FakeZfsCommands
    clock: FakeClock

    @classmethod
    def in_directory(cls, directory: Path) -> Self:
        """A machine with an empty pool, whose devices are below `directory`."""
        clock = FakeClock()
        pool = FakeZpool(ZPOOL, clock=clock)
        dev = FakeDev(directory / "dev", pool)
        dev.directory.mkdir()
        core, commands = FakeLibzfsCore(pool, dev), FakeZfsCommands(pool, dev)
        return cls(pool, dev, core, commands, clock)

    @property
    def doors(self) -> Doors:
        """The way to this machine."""
        devices = ZvolDevices(self.clock, dev=self.dev.directory, name_at=self.dev.name_at)
        return Doors(self.core, self.commands, self.clock, devices)

    def dataset(self, name: str) -> FakeDataset:
        """A dataset by its name below the parent."""
        return self.pool.dataset(f"{PARENT}/{name}")

    @contextmanager
    def opened(self, dataset: FakeDataset) -> Iterator[None]:
        """Somebody has the device of a zvol open for the length of a `with` block."""
        dataset.open_count += 1
        try:
            yield
        finally:
            dataset.open_count -= 1
            self.dev.follow()

    def export(self) -> None:
        """Take the pool away."""
        self.pool.is_imported = False
        self.dev.follow()

    def import_again(self) -> None:
        """Bring the pool back."""
        changes.drop_holds_at_import(self.pool)
        self.pool.is_imported = True
        self.dev.follow()


class FakeZfsPoolUnderTest:
    """A `PoolUnderTest` on a fake OpenZFS."""

    def __init__(self, zfs: FakeZfs) -> None:
        """Open the pool."""
        self.zfs = zfs
        self.manager: LibzfsCoreDatasets = self._opened()

    def write(self, name: str, data: bytes, *, offset_bytes: int = 0) -> None:
        """See `PoolUnderTest`."""
        dataset = self._served(name)
        with self.zfs.pool.lock:
            write(dataset, data, offset_bytes=offset_bytes)

    def read(self, name: str, length_bytes: int, *, offset_bytes: int = 0) -> bytes:
        """See `PoolUnderTest`."""
        dataset = self._served(name)
        size_bytes = dataset.volsize_bytes or dataset.number("refquota")
        length_bytes = min(length_bytes, size_bytes - offset_bytes)
        return read(dataset, length_bytes, offset_bytes=offset_bytes)

    def reopen(self) -> None:
        """See `PoolUnderTest`."""
        self.manager = self._opened()

    @contextmanager
    def away(self) -> Iterator[None]:
        """See `PoolUnderTest`; the pool is exported."""
        self.zfs.export()
        try:
            yield
        finally:
            self.zfs.import_again()

    @contextmanager
    def in_use(self, name: str) -> Iterator[None]:
        """See `PoolUnderTest`."""
        with self.zfs.opened(self._served(name)):
            yield

    def damage(self, name: str) -> None:
        """See `PoolUnderTest`."""
        record = SNAPSHOT_PROPERTY if split_snapshot(name)[1] else DATASET_PROPERTY
        self.zfs.commands.run(["zfs", "set", f"{record}=1 01 torn", f"{PARENT}/{name}"])

    def _opened(self) -> LibzfsCoreDatasets:
        return open_pool(PARENT, name="tank", doors=self.zfs.doors)

    def _served(self, name: str) -> FakeDataset:
        data_path = self.manager.data_path(name)
        assert isinstance(data_path, DeviceNode)
        return self.zfs.dev.dataset_at(data_path.path)


def write(dataset: FakeDataset, data: bytes, *, offset_bytes: int = 0) -> None:
    """Write into a zvol; every block that is touched is a new one."""
    done = 0
    while done < len(data):
        number, begin = divmod(offset_bytes + done, BLOCK_BYTES)
        part = data[done : done + BLOCK_BYTES - begin]
        block = bytearray(dataset.blocks.get(number, bytes(BLOCK_BYTES)))
        block[begin : begin + len(part)] = part
        dataset.blocks[number] = bytes(block)
        done += len(part)


def read(dataset: FakeDataset, length_bytes: int, *, offset_bytes: int = 0) -> bytes:
    """Read from a zvol."""
    first, begin = divmod(offset_bytes, BLOCK_BYTES)
    last = -(-(offset_bytes + length_bytes) // BLOCK_BYTES)
    zeros = bytes(BLOCK_BYTES)
    data = b"".join(dataset.blocks.get(number, zeros) for number in range(first, last))
    return data[begin : begin + length_bytes]


@contextmanager
def fake_zfs_pool(directory: Path) -> Iterator[PoolUnderTest]:
    """A small pool on a fake OpenZFS."""
    yield FakeZfsPoolUnderTest(fake_zfs(directory))


def fake_zfs(directory: Path) -> FakeZfs:
    """A fake OpenZFS with a small pool of the driver."""
    zfs = FakeZfs.in_directory(directory)
    create_pool(PARENT, zfs.doors)
    zfs.commands.run(["zfs", "set", f"quota={GIB}", PARENT])
    return zfs
