"""A real reflink pool as a `PoolUnderTest`: XFS in a sparse file on a loop device; needs root."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from csi_zfs.domain.model import ImageFile
from csi_zfs.domain.sizes import GIB
from csi_zfs.reflink.datasets import ReflinkDatasets
from csi_zfs.reflink.layout import RECORD
from csi_zfs.reflink.pools import open_pool
from csi_zfs.system.files import write_all
from csi_zfs.system.runner import SystemRunner
from tests.support.pools import PoolUnderTest
from tests.support.reflink import image_of, pool_path, top_of


class ReflinkPoolUnderTest:
    """A `PoolUnderTest` on the pool at a path."""

    def __init__(self, path: Path) -> None:
        """Open the pool."""
        self._path = path
        self.manager = self._opened()

    def write(self, name: str, data: bytes, *, offset_bytes: int = 0) -> None:
        """See `PoolUnderTest`."""
        with self._image(name).open("r+b", buffering=0) as image:
            image.seek(offset_bytes)
            write_all(image.fileno(), data)
            os.fsync(image.fileno())

    def read(self, name: str, length_bytes: int, *, offset_bytes: int = 0) -> bytes:
        """See `PoolUnderTest`."""
        with self._image(name).open("rb") as image:
            image.seek(offset_bytes)
            return image.read(length_bytes)

    def reopen(self) -> None:
        """See `PoolUnderTest`."""
        self.manager.close()
        self.manager = self._opened()

    @contextmanager
    def away(self) -> Iterator[None]:
        """See `PoolUnderTest`; something else covers the pool, as a wrong mount would."""
        runner, top = SystemRunner(), str(top_of(self.manager))
        runner.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", top])
        try:
            yield
        finally:
            runner.run(["umount", top])

    @contextmanager
    def in_use(self, name: str) -> Iterator[None]:
        """See `PoolUnderTest`; open as a loop device has it."""
        with self._image(name).open("r+b"):
            yield

    def damage(self, name: str) -> None:
        """See `PoolUnderTest`."""
        record = image_of(self.manager, name).with_name(RECORD)
        record.write_bytes(b"\xff" + record.read_bytes()[1:])

    def _opened(self) -> ReflinkDatasets:
        return open_pool(self._path, name=self._path.name)

    def _image(self, name: str) -> Path:
        data_path = self.manager.data_path(name)
        assert isinstance(data_path, ImageFile)
        return data_path.path


@contextmanager
def reflink_pool(directory: Path) -> Iterator[PoolUnderTest]:
    """A real reflink pool below `directory` for one test."""
    with pool_path(directory, size_bytes=GIB) as path:
        pool = ReflinkPoolUnderTest(path)
        try:
            yield pool
        finally:
            pool.manager.close()
