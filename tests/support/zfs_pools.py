"""A real pool of OpenZFS as a `PoolUnderTest`; needs root and the module, so the virtual machine.

One zpool serves a whole session, since a zpool takes longer to make than most tests: each test has
a parent of its own, with a quota that makes it a small pool.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from csi_zfs.datasets.api import NOT_QUIESCED, Dataset, DatasetKind, NewDataset
from csi_zfs.datasets.names import split_snapshot
from csi_zfs.domain.model import DeviceNode, NativeFilesystem
from csi_zfs.domain.sizes import GIB
from csi_zfs.system.files import write_all
from csi_zfs.zfs.datasets import LibzfsCoreDatasets
from csi_zfs.zfs.lzc import LibzfsCore
from csi_zfs.zfs.pools import Doors, create_pool, open_pool
from csi_zfs.zfs.records import DATASET_PROPERTY, SNAPSHOT_PROPERTY
from tests.support.commands import run
from tests.support.pools import PoolUnderTest

# Sparse; what the tests reserve stays reserved until the end.
_ZPOOL_BYTES = 256 * GIB


class FilesystemDatasets(LibzfsCoreDatasets):
    """The same pool, of which every dataset is a file system, whatever kind is asked for."""

    def __init__(self, datasets: LibzfsCoreDatasets) -> None:
        """Stand for an open pool."""
        vars(self).update(vars(datasets))

    def create(self, new: NewDataset) -> Dataset:
        """See `DatasetManager`."""
        return super().create(replace(new, kind=DatasetKind.FILESYSTEM))

    def clone(
        self,
        source_name: str,
        new: NewDataset,
        *,
        quiesced: AbstractContextManager[None] = NOT_QUIESCED,
    ) -> Dataset:
        """See `DatasetManager`."""
        filesystem = replace(new, kind=DatasetKind.FILESYSTEM)
        return super().clone(source_name, filesystem, quiesced=quiesced)


@dataclass(frozen=True, slots=True)
class Zpool:
    """A zpool for tests, the file that it lies on, and the way to it."""

    name: str
    file: Path
    core: LibzfsCore


class ZfsPoolUnderTest:
    """A `PoolUnderTest` below a parent."""

    def __init__(self, zpool: Zpool, parent: str) -> None:
        """Open the pool."""
        self._zpool = zpool
        self._doors = Doors(zpool.core)
        self._parent = parent
        self.manager: LibzfsCoreDatasets = self._opened()

    def write(self, name: str, data: bytes, *, offset_bytes: int = 0) -> None:
        """See `PoolUnderTest`."""
        with self._device(name).open("r+b", buffering=0) as device:
            device.seek(offset_bytes)
            write_all(device.fileno(), data)
            os.fsync(device.fileno())

    def read(self, name: str, length_bytes: int, *, offset_bytes: int = 0) -> bytes:
        """See `PoolUnderTest`."""
        with self._device(name).open("rb") as device:
            device.seek(offset_bytes)
            return device.read(length_bytes)

    def reopen(self) -> None:
        """See `PoolUnderTest`."""
        self.manager = self._opened()

    @contextmanager
    def away(self) -> Iterator[None]:
        """See `PoolUnderTest`; the zpool is exported."""
        run("zpool", "export", self._zpool.name)
        try:
            yield
        finally:
            run("zpool", "import", "-N", "-d", str(self._zpool.file.parent), self._zpool.name)

    @contextmanager
    def in_use(self, name: str) -> Iterator[None]:
        """See `PoolUnderTest`; open as a pod has it."""
        with self._device(name).open("r+b"):
            yield

    def damage(self, name: str) -> None:
        """See `PoolUnderTest`."""
        record = SNAPSHOT_PROPERTY if split_snapshot(name)[1] else DATASET_PROPERTY
        run("zfs", "set", f"{record}=1 01 torn", f"{self._parent}/{name}")

    def _opened(self) -> LibzfsCoreDatasets:
        return open_pool(self._parent, name="tank", doors=self._doors)

    def _device(self, name: str) -> Path:
        data_path = self.manager.data_path(name)
        assert isinstance(data_path, DeviceNode)
        return data_path.path


class ZfsFilesystemsUnderTest(ZfsPoolUnderTest):
    """A `PoolUnderTest` below a parent, of file systems: their data is one file."""

    def write(self, name: str, data: bytes, *, offset_bytes: int = 0) -> None:
        """See `PoolUnderTest`."""
        with self._mounted(name) as root, _opened(root / "data") as file:
            os.pwrite(file, data, offset_bytes)
            os.fsync(file)

    def read(self, name: str, length_bytes: int, *, offset_bytes: int = 0) -> bytes:
        """See `PoolUnderTest`; what was never written are zeros, up to the size of the dataset."""
        length_bytes = min(length_bytes, self.manager.get(name).size_bytes - offset_bytes)
        with self._mounted(name) as root:
            if not (root / "data").exists():
                return bytes(length_bytes)
            with _opened(root / "data") as file:
                return os.pread(file, length_bytes, offset_bytes).ljust(length_bytes, b"\0")

    @contextmanager
    def in_use(self, name: str) -> Iterator[None]:
        """See `PoolUnderTest`; mounted as a pod has it."""
        with self._mounted(name):
            yield

    @contextmanager
    def _mounted(self, name: str) -> Iterator[Path]:
        data_path = self.manager.data_path(name)
        assert isinstance(data_path, NativeFilesystem)
        with TemporaryDirectory() as root:
            run("mount", "-t", "zfs", data_path.dataset_name, root)
            try:
                yield Path(root)
            finally:
                run("umount", root)

    def _opened(self) -> LibzfsCoreDatasets:
        return FilesystemDatasets(super()._opened())


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def made_zpool(
    directory: Path, core: LibzfsCore, *, size_bytes: int = _ZPOOL_BYTES
) -> Iterator[Zpool]:
    """A zpool on a sparse file below `directory`; gone afterwards."""
    zpool = Zpool(f"tests-{uuid.uuid4().hex[:12]}", directory / "vdev", core)
    with zpool.file.open("wb") as vdev:
        vdev.truncate(size_bytes)
    run("zpool", "create", "-O", "mountpoint=none", zpool.name, str(zpool.file))
    try:
        yield zpool
    finally:
        run("udevadm", "settle")
        run("zpool", "destroy", "-f", zpool.name)
        zpool.file.unlink()


@contextmanager
def zfs_pool(zpool: Zpool) -> Iterator[PoolUnderTest]:
    """A pool below a parent of its own in this zpool, for one test.

    It goes with the zpool: to destroy it at once would mean to wait for udev, which opens every new
    zvol for a moment.
    """
    yield ZfsPoolUnderTest(zpool, _made_parent(zpool))


@contextmanager
def zfs_filesystems(zpool: Zpool) -> Iterator[PoolUnderTest]:
    """As `zfs_pool`, for file systems."""
    yield ZfsFilesystemsUnderTest(zpool, _made_parent(zpool))


def _made_parent(zpool: Zpool) -> str:
    parent = f"{zpool.name}/{uuid.uuid4().hex[:12]}"
    create_pool(parent, Doors(zpool.core))
    run("zfs", "set", f"quota={GIB}", parent)
    return parent
