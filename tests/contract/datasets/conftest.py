"""The pools that the contract suite runs on: one line for each engine or mode of it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from csi_zfs.datasets.api import DatasetManager
from csi_zfs.zfs.binding import DirectLibzfsCore
from tests.support.machine import why_no_openzfs
from tests.support.pools import (
    PoolMaker,
    PoolUnderTest,
    fake_like_native_openzfs,
    fake_like_openzfs,
    fake_like_reflink,
)
from tests.support.real_pools import reflink_pool
from tests.support.zfs_fake_filesystems import fake_zfs_filesystems
from tests.support.zfs_fake_pools import fake_zfs_pool
from tests.support.zfs_pools import Zpool, made_zpool, zfs_filesystems, zfs_pool

WITHOUT_ENCRYPTION = [
    pytest.param(fake_like_reflink, id="fake-like-reflink"),
    pytest.param(reflink_pool, id="reflink", marks=pytest.mark.root),
]
WITH_ENCRYPTION = [
    pytest.param(fake_like_openzfs, id="fake-like-openzfs"),
    pytest.param(fake_like_native_openzfs, id="fake-like-native-openzfs"),
    pytest.param(fake_zfs_pool, id="openzfs-on-fake-core"),
    pytest.param(fake_zfs_filesystems, id="openzfs-filesystems-on-fake-core"),
]
# Few machines have OpenZFS: `make e2e-zfs` runs these in one that has, and fails where none ran.
OPENZFS = {"openzfs": zfs_pool, "openzfs-filesystems": zfs_filesystems}
ON_OPENZFS = [pytest.param(name, id=name, marks=pytest.mark.root) for name in OPENZFS]


@pytest.fixture(scope="module")  # what tests leave in it takes memory: their files are on a tmpfs
def zpool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zpool]:
    with made_zpool(tmp_path_factory.mktemp("zpool"), DirectLibzfsCore()) as made:
        yield made


_HERE = ON_OPENZFS if why_no_openzfs() is None else []


@pytest.fixture(params=[*WITHOUT_ENCRYPTION, *WITH_ENCRYPTION, *_HERE])
def pool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PoolUnderTest]:
    with _made(request, tmp_path) as made:
        yield made


@pytest.fixture(params=[*WITH_ENCRYPTION, *_HERE])
def encrypting_pool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PoolUnderTest]:
    with _made(request, tmp_path) as made:
        yield made


@pytest.fixture(params=WITHOUT_ENCRYPTION)
def plain_pool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PoolUnderTest]:
    with _made(request, tmp_path) as made:
        yield made


def _made(request: pytest.FixtureRequest, directory: Path) -> AbstractContextManager[PoolUnderTest]:
    make: PoolMaker = (
        (lambda _: OPENZFS[request.param](request.getfixturevalue("zpool")))
        if request.param in OPENZFS
        else request.param
    )
    return make(directory)


@pytest.fixture
def manager(pool: PoolUnderTest) -> DatasetManager:
    return pool.manager
