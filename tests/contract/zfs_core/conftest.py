"""What the suite runs on: the fake everywhere, and the real library where OpenZFS is."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from csi_zfs.system.clock import SystemClock
from csi_zfs.system.runner import SystemRunner
from csi_zfs.zfs.binding import DirectLibzfsCore
from csi_zfs.zfs.devices import ZvolDevices
from tests.contract.zfs_core.world import (
    FILESYSTEM,
    VOLMODE_DEV,
    FakeMachine,
    RealMachine,
    World,
)
from tests.support.machine import why_no_openzfs
from tests.support.zfs_fake_pools import FakeZfs
from tests.support.zfs_pools import Zpool, made_zpool

# Few machines have OpenZFS: `make e2e-zfs` runs the suite in one that has.
REAL = [pytest.param("real-openzfs", marks=pytest.mark.root)] if why_no_openzfs() is None else []
_numbers = itertools.count()


@pytest.fixture(scope="module")
def zpool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zpool]:
    with made_zpool(tmp_path_factory.mktemp("zpool"), DirectLibzfsCore()) as made:
        yield made


def fake_world(directory: Path) -> World:
    zfs = FakeZfs.in_directory(directory)
    return World(
        core=zfs.core,
        runner=zfs.commands,
        devices=zfs.doors.devices,
        machine=FakeMachine(zfs),
        clock=zfs.clock,
        parent=f"{zfs.pool.name}/{next(_numbers)}",
    )


def real_world(zpool: Zpool) -> World:
    clock = SystemClock()
    return World(
        core=zpool.core,
        runner=SystemRunner(),
        devices=ZvolDevices(clock),
        machine=RealMachine(),
        clock=clock,
        parent=f"{zpool.name}/{next(_numbers)}",
    )


@pytest.fixture(params=["fake", *REAL])
def zfs(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    is_real = request.param != "fake"
    world = real_world(request.getfixturevalue("zpool")) if is_real else fake_world(tmp_path)
    world.core.create(world.parent, FILESYSTEM, {"io.csi-zfs:of": "parent", "volmode": VOLMODE_DEV})
    return world
