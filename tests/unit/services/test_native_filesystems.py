"""Volumes that are file systems of ZFS itself: nothing to attach, format, grow or freeze."""

from pathlib import Path

import pytest

from csi_zfs.datasets.api import DatasetKind, UnsupportedFeatureError
from csi_zfs.domain.capabilities import AccessMode, VolumeCapability
from csi_zfs.domain.ids import EphemeralId, VolumeId
from csi_zfs.domain.model import NativeFilesystem, UsageUnit
from csi_zfs.domain.sizes import GIB, MIB, CapacityRange
from csi_zfs.mount.api import MountFlagError, NativeMountRequest
from csi_zfs.services.creation import DifferentVolumeError
from csi_zfs.services.records import parse_volume
from csi_zfs.services.sources import SourceFormatError
from csi_zfs.services.volumes import VolumeInUseError
from tests.support.builders import (
    SIZE_BYTES,
    block_capability,
    ephemeral_spec,
    mount_capability,
    stage_spec,
    staging_path,
    target_path,
    volume_spec,
)
from tests.support.datasets import FakeDatasets
from tests.support.node import FakeNode
from tests.support.node_calls import publish, stage
from tests.support.pool_core import LIKE_NATIVE_OPENZFS, FakePool


@pytest.fixture
def node(native_node: FakeNode) -> FakeNode:
    return native_node


@pytest.fixture
def volume_id(node: FakeNode) -> VolumeId:
    return node.volumes.create(volume_spec()).volume_id


def shown_at(node: FakeNode, path: Path) -> str:
    mounted = node.mounter.mounted_at(path)
    return mounted.dataset_name if mounted else ""


def unpublish(node: FakeNode, volume_id: VolumeId) -> None:
    node.publishing.unpublish(volume_id, target_path(node.kubelet_dir, volume_id))
    node.publishing.unstage(volume_id, staging_path(node.kubelet_dir, volume_id))


def test_volume_is_a_native_file_system_by_default_and_says_so(node: FakeNode) -> None:
    volume = node.volumes.create(volume_spec())
    assert volume.fs_type == "zfs"
    dataset = node.dataset(volume.volume_id)
    assert dataset.kind is DatasetKind.FILESYSTEM
    assert parse_volume(dataset.user_properties).disk.fs_type == "zfs"
    asked = volume_spec(capability=mount_capability("zfs"))
    assert node.volumes.create(asked) == volume
    with pytest.raises(DifferentVolumeError, match="fs_type"):
        node.volumes.create(volume_spec(capability=mount_capability("ext4")))


@pytest.mark.parametrize("capability", [mount_capability("ext4"), block_capability()])
def test_volume_of_another_kind_is_a_zvol(node: FakeNode, capability: VolumeCapability) -> None:
    made = node.volumes.create(volume_spec(capability=capability))
    assert node.dataset(made.volume_id).kind is DatasetKind.ZVOL
    assert node.image(made.volume_id).fs_type == ""


def test_publish_shows_the_file_system_and_unpublish_leaves_it_closed(
    node: FakeNode, volume_id: VolumeId
) -> None:
    target = publish(node, volume_id)
    name = f"pool-1/v/{volume_id.leaf}"
    assert [
        shown_at(node, path) for path in (target, staging_path(node.kubelet_dir, volume_id))
    ] == [
        name,
        name,
    ]
    node.mounter.write_file(target, "file", b"data")
    unpublish(node, volume_id)
    assert not node.image(volume_id).is_attached
    assert not node.state_store.documents
    assert node.mounter.read_file(publish(node, volume_id), "file") == b"data"


def test_publish_after_a_restart_of_the_node_stages_again(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md B6."""
    node.mounter.write_file(publish(node, volume_id), "file", b"data")
    node.mounter.reboot()
    node.restart()
    assert node.mounter.read_file(publish(node, volume_id), "file") == b"data"


def test_stage_refuses_a_flag_that_zfs_does_not_know(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md C3: no block device below it has a use for `discard`."""
    with pytest.raises(MountFlagError):
        stage(node, volume_id, mount_capability(mount_flags=["discard"]))


def test_read_only_publish_takes_no_writes(node: FakeNode, volume_id: VolumeId) -> None:
    capability = mount_capability(access_mode=AccessMode.SINGLE_NODE_READER_ONLY)
    node.publishing.stage(stage_spec(node.kubelet_dir, volume_id, capability))
    target = publish(node, volume_id, capability)
    with pytest.raises(OSError, match="Read-only"):
        node.mounter.write_file(target, "file", b"data")


def test_expand_is_done_at_the_controller_alone(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md A10: a refquota is all there is, also for a node that is asked again."""
    target = publish(node, volume_id)
    expanded = node.volumes.expand(volume_id, CapacityRange(GIB))
    assert (expanded.capacity_bytes, expanded.is_node_expansion_required) == (GIB, False)
    usages = {usage.unit: usage for usage in node.publishing.usage(volume_id, target)}
    assert usages[UsageUnit.BYTES].total == GIB
    assert node.publishing.expand(volume_id, target, CapacityRange(GIB)) == GIB


def test_snapshot_of_a_mounted_one_freezes_nothing(node: FakeNode, volume_id: VolumeId) -> None:
    target = publish(node, volume_id)
    node.mounter.write_file(target, "file", b"before")
    points: list[str] = []
    node.effects = points.append
    snapshot = node.snapshots.create(snapshot_name="s", source_volume_id=volume_id, parameters={})
    assert not [point for point in points if "freeze" in point or "thaw" in point]
    node.mounter.write_file(target, "file", b"after")
    larger = volume_spec("r", size_bytes=GIB, content_source=snapshot.snapshot_id)
    restored = node.volumes.create(larger)
    assert (restored.fs_type, restored.capacity_bytes) == ("zfs", GIB)
    shown = publish(node, restored.volume_id)
    assert node.mounter.read_file(shown, "file") == b"before"
    usages = {usage.unit: usage for usage in node.publishing.usage(restored.volume_id, shown)}
    assert usages[UsageUnit.BYTES].total == GIB
    assert (snapshot.size_bytes, node.dataset(restored.volume_id).kind) == (
        SIZE_BYTES,
        DatasetKind.FILESYSTEM,
    )


def test_copy_as_another_kind_is_refused(node: FakeNode, volume_id: VolumeId) -> None:
    for capability in (mount_capability("xfs"), block_capability()):
        with pytest.raises(SourceFormatError):
            node.volumes.create(volume_spec("c", capability=capability, content_source=volume_id))


def test_delete_of_one_that_is_mounted_by_somebody_else_names_where(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md B4."""
    elsewhere = node.kubelet_dir / "by-hand"
    data_path = node.pool.data_path(f"v/{volume_id.leaf}")
    assert isinstance(data_path, NativeFilesystem)
    node.mounter.mount_native(NativeMountRequest(data_path, elsewhere))
    with pytest.raises(VolumeInUseError, match="by-hand"):
        node.volumes.delete(volume_id)
    node.mounter.unmount(elsewhere)
    node.volumes.delete(volume_id)
    assert node.names() == set()


def test_ephemeral_volume_is_one_and_goes_with_its_pod(node: FakeNode) -> None:
    spec = ephemeral_spec(node.kubelet_dir, parameters={"size": "32Mi"})
    node.publishing.publish_ephemeral(spec)
    [name] = node.names()
    assert node.pool.get(name).kind is DatasetKind.FILESYSTEM
    assert shown_at(node, spec.target_path) == f"pool-1/{name}"
    node.publishing.unpublish(EphemeralId(spec.ephemeral_id), spec.target_path)
    assert node.names() == set()


def test_capacity_tells_what_the_default_file_system_needs(node: FakeNode) -> None:
    report = node.volumes.capacity(parameters={}, capabilities=[mount_capability()], topology=None)
    assert report.minimum_volume_bytes == 16 * MIB


def test_native_file_system_goes_to_the_pool_that_has_them(tmp_path: Path) -> None:
    """What a volume is by default depends on the pool; what is asked for chooses among them."""
    node = FakeNode(tmp_path)
    native = FakeDatasets(node.disk, node.clock, FakePool("pool-2", "2" * 16, LIKE_NATIVE_OPENZFS))
    node.pools.append(native)
    node.restart()
    made = node.volumes.create(volume_spec(capability=mount_capability("zfs")))
    assert made.volume_id.pool_id == native.pool_id
    with pytest.raises(UnsupportedFeatureError, match="only a pool on OpenZFS"):
        node.volumes.create(
            volume_spec("b", capability=mount_capability("zfs"), parameters={"pool": "pool-1"})
        )
