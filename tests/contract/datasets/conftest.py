"""The pools that the contract suite runs on: one line for each engine or mode of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from csi_zfs.datasets.api import DatasetManager
from tests.support.pools import (
    PoolMaker,
    PoolUnderTest,
    fake_like_openzfs,
    fake_like_reflink,
)
from tests.support.real_pools import reflink_pool


@pytest.fixture(
    params=[
        pytest.param(fake_like_reflink, id="fake-like-reflink"),
        pytest.param(fake_like_openzfs, id="fake-like-openzfs"),
        pytest.param(reflink_pool, id="reflink", marks=pytest.mark.root),
    ]
)
def pool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PoolUnderTest]:
    make: PoolMaker = request.param
    with make(tmp_path) as made:
        yield made


@pytest.fixture
def manager(pool: PoolUnderTest) -> DatasetManager:
    return pool.manager
