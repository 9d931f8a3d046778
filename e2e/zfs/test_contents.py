"""What a volume holds is in its clone, and in what is restored from its snapshot."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from csi_zfs.domain.sizes import MIB
from e2e.zfs.nodes import POOL, ZfsNode, zfs_node
from e2e.zfs.trees import ACCESS_ACL, Told, make_tree, told_of
from tests.support.csi_messages import from_snapshot, from_volume, mount_capability
from tests.support.orchestrator import PublishedVolume

SIZES_BYTES = {"zfs": 96 * MIB, "ext4": 96 * MIB, "xfs": 320 * MIB}
# ZFS keeps POSIX ACLs only where a class says so.
CLASSES = {"zfs": {"acltype": "posix", "xattr": "sa"}}
SEED = 7


@pytest.fixture(name="node", scope="module")
def fixture_node(zpool: str) -> Iterator[ZfsNode]:
    """A driver for all tests of this module."""
    with zfs_node(zpool) as node:
        yield node


def published(node: ZfsNode, name: str, fs_type: str) -> PublishedVolume:
    capability = mount_capability(fs_type)
    volume = node.client.create_volume(
        name,
        size_bytes=SIZES_BYTES[fs_type],
        capability=capability,
        parameters={"pool": POOL, **CLASSES.get(fs_type, {})},
    )
    return node.orchestrator.publish(name, volume.volume_id, capability)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fs_type", SIZES_BYTES)
def test_copies_hold_the_tree_of_their_origin(node: ZfsNode, fs_type: str) -> None:
    """rules.md A3: restored also after the volume is deleted and the tree was changed."""
    client = node.client
    capability = mount_capability(fs_type)
    origin = published(node, "origin", fs_type)
    make_tree(origin.target_path, SEED)
    before = told_of(origin.target_path)
    assert any(key == ACCESS_ACL for told in before.values() for key, _ in told.attributes)
    snapshot = client.create_snapshot("s", origin.volume_id)
    restored = node.published_copy("restored", from_snapshot(snapshot.snapshot_id), capability)
    cloned = node.published_copy("cloned", from_volume(origin.volume_id), capability)
    require_same(before, restored.target_path)
    require_same(before, cloned.target_path)

    (origin.target_path / "new").write_text("after")
    require_same(before, restored.target_path)
    node.orchestrator.unpublish(origin)
    client.delete_volume(origin.volume_id)
    late = node.published_copy("late", from_snapshot(snapshot.snapshot_id), capability)
    require_same(before, late.target_path)
    for volume in (restored, cloned, late):
        node.orchestrator.unpublish(volume)
        client.delete_volume(volume.volume_id)
    client.delete_snapshot(snapshot.snapshot_id)
    node.require_empty()


def require_same(before: Mapping[bytes, Told], root: Path) -> None:
    """Raise with the first entry that differs: the whole trees would be megabytes of words."""
    found = told_of(root)
    assert found.keys() == before.keys()
    for name, told in before.items():
        assert found[name] == told, name
