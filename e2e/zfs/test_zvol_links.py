"""The links below /dev/zvol are made by udev, late, never or wrongly: nobody needs them.

rules.md A7: a zvol's device is known by what the kernel says it is, never by its path.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from csi_zfs.domain.sizes import MIB
from e2e.zfs.nodes import ZfsNode, refused, zfs_node
from tests.support.commands import run
from tests.support.csi_messages import block_capability, mount_capability
from tests.support.orchestrator import PublishedVolume

BLOCK = block_capability()
EXT4 = mount_capability("ext4")
SIZE_BYTES = 16 * MIB
MARK_BYTES = 16


@pytest.fixture(name="node", scope="module")
def fixture_node(zpool: str) -> Iterator[ZfsNode]:
    """A driver for all tests of this module."""
    with zfs_node(zpool) as node:
        yield node


def link_of(node: ZfsNode, volume_id: str) -> Path:
    return Path("/dev/zvol", node.dataset_of(volume_id))


def used_disk(node: ZfsNode, name: str) -> PublishedVolume:
    """A new disk in use, marked with its own name."""
    disk = node.published(name, BLOCK, SIZE_BYTES)
    disk.target_path.write_bytes(name.encode().ljust(MARK_BYTES))
    return disk


def used_again(node: ZfsNode, disk: PublishedVolume) -> str:
    """The mark that a workload finds after the disk was let go of and put to use again."""
    node.orchestrator.unpublish(disk)
    again = node.orchestrator.publish(disk.name, disk.volume_id, disk.capability)
    return read_mark(again)


def read_mark(disk: PublishedVolume) -> str:
    descriptor = os.open(disk.target_path, os.O_RDONLY)
    try:
        return os.read(descriptor, MARK_BYTES).decode().strip()
    finally:
        os.close(descriptor)


def test_disk_is_its_own_whatever_its_link_is(node: ZfsNode) -> None:
    """Missing, dangling, leading to another volume's device or to what is no device at all."""
    one, other = used_disk(node, "one"), used_disk(node, "other")
    run("udevadm", "settle")
    link, other_link = link_of(node, one.volume_id), link_of(node, other.volume_id)
    right, wrong = link.readlink(), other_link.readlink()
    link.unlink()
    assert used_again(node, one) == "one"
    for target in (wrong, Path("nothing"), Path("/dev/null"), link.parent):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        assert used_again(node, one) == "one", target
    other_link.unlink()
    other_link.symlink_to(right)
    assert used_again(node, other) == "other"
    for disk in (one, other):
        node.orchestrator.unpublish(node.orchestrator.published[disk.name])
        node.client.delete_volume(disk.volume_id)
    for stale in (link, other_link):
        stale.unlink(missing_ok=True)
    node.require_empty()


@pytest.fixture(name="idle_udev")
def fixture_idle_udev() -> Iterator[None]:
    """Udev notes what happens, and does nothing."""
    run("udevadm", "control", "--stop-exec-queue")
    try:
        yield
    finally:
        run("udevadm", "control", "--start-exec-queue")
        run("udevadm", "settle")


@pytest.mark.usefixtures("idle_udev")
def test_volumes_are_made_used_and_deleted_while_udev_makes_no_links(node: ZfsNode) -> None:
    disk, files = used_disk(node, "disk"), node.published("files", EXT4, SIZE_BYTES)
    assert not link_of(node, disk.volume_id).is_symlink()
    (files.target_path / "file").write_text("files")
    assert used_again(node, disk) == "disk"
    node.orchestrator.unpublish(files)
    again = node.orchestrator.publish("files", files.volume_id, EXT4)
    assert (again.target_path / "file").read_text() == "files"
    for volume in [*node.orchestrator.published.values()]:
        node.orchestrator.unpublish(volume)
        node.client.delete_volume(volume.volume_id)
    node.require_empty()


def test_disk_without_a_device_is_unavailable_and_comes_back(node: ZfsNode) -> None:
    """Whoever forbids the device hears what is missing; no link to another one helps."""
    one, other = used_disk(node, "one"), used_disk(node, "other")
    node.orchestrator.unpublish(one)
    run("udevadm", "settle")
    name = node.dataset_of(one.volume_id)
    run("zfs", "set", "volmode=none", name)
    link = link_of(node, one.volume_id)
    run("udevadm", "settle")
    link.unlink(missing_ok=True)
    link.symlink_to(link_of(node, other.volume_id).readlink())
    staging = node.kubelet_dir / "staging"
    with refused(grpc.StatusCode.UNAVAILABLE, f"{name} has no device"):
        node.client.stage(one.volume_id, staging, BLOCK)
    run("zfs", "inherit", "volmode", name)
    node.client.stage(one.volume_id, staging, BLOCK)
    node.client.unstage(one.volume_id, staging)
    again = node.orchestrator.publish("one", one.volume_id, BLOCK)
    assert (read_mark(again), read_mark(other)) == ("one", "other")
    for disk in (again, other):
        node.orchestrator.unpublish(disk)
        node.client.delete_volume(disk.volume_id)
    node.require_empty()
