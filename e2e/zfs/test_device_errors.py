"""Disks that fail, by OpenZFS's own injection of faults, and blocks that no copy is good of.

A pool of which nothing at all can be read any more is none of the driver's affairs: OpenZFS 2.3
itself panics, with all of the machine (VERIFY0 in dsl_dataset_snapshot_sync_impl).
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from csi_zfs.datasets.api import NewDataset, NewSnapshot, PoolUnavailableError, RecordCorruptError
from csi_zfs.domain.sizes import MIB
from csi_zfs.rpc.generated import csi_pb2
from csi_zfs.zfs.binding import DirectLibzfsCore
from csi_zfs.zfs.datasets import LibzfsCoreDatasets
from e2e.zfs.nodes import ZfsNode, zfs_node
from tests.support.commands import run
from tests.support.csi_messages import mount_capability
from tests.support.pools import PoolUnderTest
from tests.support.zfs_pools import Zpool, made_zpool, zfs_filesystems, zfs_pool

ZFS = mount_capability()
EXT4 = mount_capability("ext4")
SIZE_BYTES = 32 * MIB
# Where the copies of a dataset's first block are, as zdb tells it.
COPY = re.compile(r"DVA\[[0-9]\]=<0:([0-9a-f]+):")
BLOCK_BYTES = 512
# What comes before the first block of a disk.
LABELS_BYTES = 4 * MIB


@pytest.fixture(name="mirror", scope="module")
def fixture_mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zpool]:
    """A zpool on two disks with the same data."""
    directory = tmp_path_factory.mktemp("zpool")
    with made_zpool(directory, DirectLibzfsCore(), size_bytes=512 * MIB) as zpool:
        with twin_of(zpool).open("wb") as vdev:
            vdev.truncate(512 * MIB)
        run("zpool", "attach", "-w", zpool.name, str(zpool.file), str(twin_of(zpool)))
        yield zpool


def twin_of(zpool: Zpool) -> Path:
    return zpool.file.with_name("twin")


@contextmanager
def injected(*words: str) -> Iterator[None]:
    """Faults of this kind for the length of a `with` block."""
    run("zinject", *words)
    try:
        yield
    finally:
        run("zinject", "-c", "all")


@pytest.mark.timeout(300)
def test_failing_disk_of_a_mirror_is_told_and_everything_works(mirror: Zpool) -> None:
    """rules.md A12: health says it, and says nothing any more once the disk is well."""
    twin = str(twin_of(mirror))
    with zfs_node(mirror.name) as node:
        assert node.findings() == {}
        with injected("-d", twin, "-e", "io", "-T", "all", "-f", "100", mirror.name):
            live_through(node, EXT4)
            assert twin in node.findings()["DeviceErrors"]
            run("zpool", "offline", mirror.name, twin)
            assert "DEGRADED" in node.findings()["PoolDegraded"]
            live_through(node, ZFS)
        run("zpool", "online", mirror.name, twin)
        run("zpool", "wait", "-t", "resilver", mirror.name)
        run("zpool", "clear", mirror.name)
        assert node.findings().keys().isdisjoint({"DeviceErrors", "PoolDegraded"})
        node.require_empty()


def live_through(node: ZfsNode, capability: csi_pb2.VolumeCapability) -> None:
    """The short life of a volume."""
    volume = node.published("short", capability, SIZE_BYTES)
    (volume.target_path / "file").write_text("short")
    snapshot = node.client.create_snapshot("short", volume.volume_id)
    node.orchestrator.unpublish(volume)
    node.client.delete_volume(volume.volume_id)
    node.client.delete_snapshot(snapshot.snapshot_id)


def spoil(zpool: Zpool, full_name: str) -> None:
    """Overwrite every copy of a snapshot's first block; the pool is away meanwhile.

    Of a dataset it would keep the pool from being imported.
    """
    directory = str(zpool.file.parent)
    run("udevadm", "settle")
    run("zpool", "export", zpool.name)
    told = run("zdb", "-e", "-p", directory, "-dddd", full_name).partition("\n")[0]
    places = [int(place, 16) for place in COPY.findall(told)]
    assert places, told
    with zpool.file.open("r+b") as disk:
        for place in places:
            disk.seek(LABELS_BYTES + place)
            disk.write(os.urandom(BLOCK_BYTES))
    run("zpool", "import", "-N", "-d", directory, zpool.name)


@pytest.mark.parametrize("opened", [zfs_pool, zfs_filesystems])
def test_what_cannot_be_read_is_unavailable_and_never_absent(
    tmp_path: Path, opened: Callable[[Zpool], AbstractContextManager[PoolUnderTest]]
) -> None:
    """rules.md A5: OpenZFS says of it that it has no native property, and no error."""
    with (
        made_zpool(tmp_path, DirectLibzfsCore(), size_bytes=256 * MIB) as zpool,
        opened(zpool) as pool,
    ):
        manager = pool.manager
        assert isinstance(manager, LibzfsCoreDatasets)
        volume = manager.create(NewDataset("v/a", SIZE_BYTES))
        (snapshot,) = manager.snapshot([NewSnapshot("v/a@s")])
        # From here on its first block is another one than the snapshot's.
        pool.write("v/a", b"after")
        spoil(zpool, manager._engine.home.full("v/a@s"))
        calls: tuple[Callable[[], object], ...] = (
            lambda: manager.get_snapshot("v/a@s"),
            lambda: manager.destroy_snapshot("v/a@s", uid=snapshot.uid),
            lambda: manager.clone("v/a@s", NewDataset("v/new", SIZE_BYTES)),
        )
        for call in calls:
            with pytest.raises(PoolUnavailableError, match="cannot be read from the disks"):
                call()
        assert [type(one) for one in manager.list_snapshots()] == [RecordCorruptError]
        assert "DataLost" in {finding.reason for finding in manager.health()}
        assert manager.get("v/a") == volume
        assert pool.read("v/a", 5) == b"after"
