"""One real pool for each test that asks for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from csi_zfs.reflink.datasets import ReflinkDatasets
from tests.support.reflink import real_pool


@pytest.fixture
def datasets(tmp_path: Path) -> Iterator[ReflinkDatasets]:
    """An open pool; tests that use it are marked `root`."""
    with real_pool(tmp_path) as opened:
        yield opened
