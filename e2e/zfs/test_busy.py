"""Volumes and snapshots that somebody uses where the driver does not see it.

rules.md B4: the error says who, and once they are gone the same call works.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from csi_zfs.domain.ids import SnapshotId
from csi_zfs.domain.sizes import MIB
from e2e.zfs.nodes import ZfsNode, refused, zfs_node
from tests.support.csi_messages import mount_capability

ZFS = mount_capability()
SIZE_BYTES = 32 * MIB
BUSY = grpc.StatusCode.FAILED_PRECONDITION


@pytest.fixture(name="node", scope="module")
def fixture_node(zpool: str) -> Iterator[ZfsNode]:
    """A driver for all tests of this module."""
    with zfs_node(zpool) as node:
        yield node


@contextmanager
def bound_in_another_namespace(source: Path, target: Path) -> Iterator[int]:
    """A process keeps what is mounted at a path of its own; yields its id.

    A mount at the driver's own paths would go with the directories, in every namespace.
    """
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c"]
    script = f"mount --bind {source} {target} && echo bound && cat"
    with subprocess.Popen(
        [*command, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "bound\n"
        yield holder.pid


@pytest.mark.parametrize("fs_type", ["zfs", "ext4"])
def test_volume_that_another_mount_namespace_keeps_is_busy_until_that_is_gone(
    node: ZfsNode, fs_type: str, tmp_path: Path
) -> None:
    volume = node.published(f"kept-{fs_type}", mount_capability(fs_type), SIZE_BYTES)
    (volume.target_path / "file").write_text("kept")
    with bound_in_another_namespace(volume.target_path, tmp_path) as pid:
        node.client.unpublish(volume.volume_id, volume.target_path)
        with refused(BUSY, rf"process {pid} \("):
            node.client.unstage(volume.volume_id, volume.staging_path)
        with refused(BUSY, rf"process {pid} \("):
            node.client.delete_volume(volume.volume_id)
        assert node.names() == [node.dataset_of(volume.volume_id)]
    node.orchestrator.unpublish(volume)
    node.client.delete_volume(volume.volume_id)
    node.require_empty()


def test_snapshot_that_is_looked_into_is_busy_and_goes_right_afterwards(node: ZfsNode) -> None:
    """ZFS mounts a snapshot by itself, for five minutes, where somebody looks into .zfs."""
    volume = node.published("looked-at", ZFS, SIZE_BYTES)
    (volume.target_path / "file").write_text("before")
    snapshot = node.client.create_snapshot("s", volume.volume_id)
    (volume.target_path / "file").write_text("after")
    leaf = SnapshotId.parse(snapshot.snapshot_id).leaf
    with (volume.target_path / ".zfs/snapshot" / leaf / "file").open() as file:
        with refused(BUSY, leaf):
            node.client.delete_snapshot(snapshot.snapshot_id)
        assert file.read() == "before"
    node.client.delete_snapshot(snapshot.snapshot_id)
    assert node.names() == [node.dataset_of(volume.volume_id)]
    node.orchestrator.unpublish(volume)
    node.client.delete_volume(volume.volume_id)
    node.require_empty()


def test_volume_whose_snapshot_was_looked_into_is_let_go_of_and_deleted(node: ZfsNode) -> None:
    """rules.md B5: what ZFS mounted by itself keeps no pod from ending."""
    volume = node.published("shown", ZFS, SIZE_BYTES)
    (volume.target_path / "file").write_text("before")
    snapshot = node.client.create_snapshot("s", volume.volume_id)
    leaf = SnapshotId.parse(snapshot.snapshot_id).leaf
    seen = volume.target_path / ".zfs/snapshot" / leaf / "file"
    assert seen.read_text() == "before"
    node.orchestrator.unpublish(volume)
    node.client.delete_volume(volume.volume_id)
    node.client.delete_snapshot(snapshot.snapshot_id)
    node.require_empty()
