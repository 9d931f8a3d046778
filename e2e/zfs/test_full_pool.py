"""A pool without any room left: what cannot be is refused, and what gives room back works."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from csi_zfs.domain.sizes import GIB, MIB
from csi_zfs.zfs.binding import DirectLibzfsCore
from e2e.zfs.nodes import ZfsNode, refused, zfs_node
from tests.support.commands import run
from tests.support.csi_messages import block_capability, from_volume, mount_capability
from tests.support.zfs_pools import made_zpool

# Half of it is ZFS's own reserve.
ZPOOL_BYTES = 128 * MIB
FULL = grpc.StatusCode.RESOURCE_EXHAUSTED
ZFS = mount_capability()
EXT4 = mount_capability("ext4")


@pytest.fixture(name="node", scope="module")
def fixture_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZfsNode]:
    """A driver on a small pool of its own."""
    directory = tmp_path_factory.mktemp("zpool")
    with (
        made_zpool(directory, DirectLibzfsCore(), size_bytes=ZPOOL_BYTES) as zpool,
        zfs_node(zpool.name) as node,
    ):
        yield node


def fill(file: Path) -> int:
    """Write what does not compress until there is no room; returns the errno."""
    block = os.urandom(MIB)
    try:
        with file.open("ab", buffering=0) as opened:
            while True:
                opened.write(block)
    except OSError as exc:
        return exc.errno or 0


@pytest.mark.timeout(300)
def test_pool_that_is_full_refuses_what_needs_room_and_lets_everything_go(node: ZfsNode) -> None:
    """rules.md A13, B10: refused without a partial effect; deletes give room back."""
    client = node.client
    files = node.published("files", ZFS, GIB)
    disk = node.published("disk", EXT4, 64 * MIB)
    kept = node.published("kept", ZFS, 16 * MIB)
    (kept.target_path / "file").write_text("before")
    (disk.target_path / "file").write_text("before")
    os.sync()
    snapshot = client.create_snapshot("kept", files.volume_id)
    assert fill(files.target_path / "large") == errno.ENOSPC
    run("zpool", "sync", node.zpool_name)
    before = node.names()

    assert "PoolNearlyFull" in node.findings()
    for capability in (ZFS, EXT4, block_capability()):
        with refused(FULL):
            client.create_volume("new", size_bytes=16 * MIB, capability=capability)
    with refused(FULL):
        client.create_volume("copy", capability=ZFS, source=from_volume(kept.volume_id))
    with refused(FULL):
        client.create_snapshot("new", kept.volume_id)
    with refused(FULL):
        client.create_group_snapshot("new", [files.volume_id, kept.volume_id])
    assert node.names() == before
    assert (kept.target_path / "file").read_text() == "before"
    assert (disk.target_path / "file").read_text() == "before"

    for volume in (kept, disk, files):
        node.orchestrator.unpublish(volume)
    # With a snapshot that keeps all of its data, then with the last thing that does.
    client.delete_volume(files.volume_id)
    client.delete_snapshot(snapshot.snapshot_id)
    client.delete_volume(disk.volume_id)
    run("zpool", "wait", "-t", "free", node.zpool_name)
    again = node.published("again", EXT4, 16 * MIB)
    assert "PoolNearlyFull" not in node.findings()
    node.orchestrator.unpublish(again)
    client.delete_volume(again.volume_id)
    client.delete_volume(kept.volume_id)
    node.require_empty()


@pytest.mark.deep
@pytest.mark.timeout(300)
def test_volume_goes_on_where_another_one_gave_room_back(node: ZfsNode) -> None:
    """An expansion helps against a full volume, a delete against a full pool."""
    client = node.client
    small, large = node.published("small", ZFS, 16 * MIB), node.published("large", ZFS, GIB)
    assert fill(small.target_path / "file") == errno.EDQUOT
    node.orchestrator.expand(small, 32 * MIB)
    with (small.target_path / "file").open("ab") as file:
        file.write(os.urandom(8 * MIB))
    assert fill(large.target_path / "file") == errno.ENOSPC
    with refused(FULL):
        node.orchestrator.expand(small, 256 * MIB)
    assert fill(small.target_path / "file") == errno.ENOSPC
    node.orchestrator.unpublish(large)
    client.delete_volume(large.volume_id)
    run("zpool", "wait", "-t", "free", node.zpool_name)
    with (small.target_path / "file").open("ab") as file:
        file.write(os.urandom(8 * MIB))
    node.orchestrator.unpublish(small)
    client.delete_volume(small.volume_id)
    node.require_empty()
