"""The pools that the contract suite runs on: one line for each engine or mode of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from csi_zfs.datasets.api import DatasetManager
from csi_zfs.zfs.binding import DirectLibzfsCore
from tests.support.machine import why_no_openzfs
from tests.support.pools import (
    PoolMaker,
    PoolUnderTest,
    fake_like_openzfs,
    fake_like_reflink,
)
from tests.support.real_pools import reflink_pool
from tests.support.zfs_fake_pools import fake_zfs_pool
from tests.support.zfs_pools import Zpool, made_zpool, zfs_pool

MAKERS = [
    pytest.param(fake_like_reflink, id="fake-like-reflink"),
    pytest.param(fake_like_openzfs, id="fake-like-openzfs"),
    pytest.param(fake_zfs_pool, id="openzfs-on-fake-core"),
    pytest.param(reflink_pool, id="reflink", marks=pytest.mark.root),
]
# Few machines have OpenZFS: `make e2e-zfs` runs these in one that has, and fails where none ran.
OPENZFS = [pytest.param("openzfs", id="openzfs", marks=pytest.mark.root)]


@pytest.fixture(scope="session")
def zpool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zpool]:
    with made_zpool(tmp_path_factory.mktemp("zpool"), DirectLibzfsCore()) as made:
        yield made


@pytest.fixture(params=MAKERS + (OPENZFS if why_no_openzfs() is None else []))
def pool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PoolUnderTest]:
    make: PoolMaker = (
        (lambda _: zfs_pool(request.getfixturevalue("zpool")))
        if request.param == "openzfs"
        else request.param
    )
    with make(tmp_path) as made:
        yield made


@pytest.fixture
def manager(pool: PoolUnderTest) -> DatasetManager:
    return pool.manager
