"""The driver's file systems on OpenZFS in memory, as a `PoolUnderTest`; needs nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from csi_zfs.domain.model import NativeFilesystem
from csi_zfs.zfs.datasets import LibzfsCoreDatasets
from tests.support.pools import PoolUnderTest
from tests.support.zfs_fake_pools import FakeZfsPoolUnderTest, fake_zfs
from tests.support.zfs_pools import FilesystemDatasets
from tests.support.zfs_state import FakeDataset


class FakeZfsFilesystemsUnderTest(FakeZfsPoolUnderTest):
    """A `PoolUnderTest` of file systems on a fake OpenZFS; in use is mounted."""

    def _opened(self) -> LibzfsCoreDatasets:
        return FilesystemDatasets(super()._opened())

    def _served(self, name: str) -> FakeDataset:
        data_path = self.manager.data_path(name)
        assert isinstance(data_path, NativeFilesystem)
        return self.zfs.pool.dataset(data_path.dataset_name)


@contextmanager
def fake_zfs_filesystems(directory: Path) -> Iterator[PoolUnderTest]:
    """As `fake_zfs_pool`, for file systems."""
    yield FakeZfsFilesystemsUnderTest(fake_zfs(directory))
