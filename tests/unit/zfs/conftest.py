"""A fake OpenZFS with a pool of the driver, for the units of the engine."""

from pathlib import Path

import pytest

from tests.support.zfs_fake_pools import FakeZfs, fake_zfs


@pytest.fixture
def zfs(tmp_path: Path) -> FakeZfs:
    return fake_zfs(tmp_path)
