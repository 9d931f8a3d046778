"""What a start does about the end of the driver before it."""

import pytest

from csi_zfs.datasets.api import NewDataset
from csi_zfs.domain.capabilities import VolumeCapability
from csi_zfs.domain.errors import OutcomeUnknownError
from csi_zfs.domain.ids import VolumeId
from csi_zfs.domain.sizes import MIB
from csi_zfs.mount.api import Device, DeviceUnavailableError
from csi_zfs.services.node_state import Use, VolumeState, format_state
from tests.support.builders import (
    block_capability,
    ephemeral_spec,
    mount_capability,
    publish_spec,
    stage_spec,
    staging_path,
    target_path,
    volume_spec,
)
from tests.support.node import FakeNode
from tests.support.points import once, raising


@pytest.fixture
def volume_id(node: FakeNode) -> VolumeId:
    """A published volume."""
    return published(node, mount_capability())


def published(node: FakeNode, capability: VolumeCapability) -> VolumeId:
    made = node.volumes.create(volume_spec("pvc-1", capability=capability)).volume_id
    node.publishing.publish(publish_spec(node.kubelet_dir, made, capability))
    return made


def device_of(node: FakeNode) -> Device | None:
    return node.mounter.find_device(node.pool.data_path("v/pvc-1"))


def test_start_touches_nothing_that_is_in_use(node: FakeNode, volume_id: VolumeId) -> None:
    """The workload does not notice."""
    points: list[str] = []
    node.effects = points.append
    node.restart()
    assert points == []
    assert node.mounter.mounted_at(target_path(node.kubelet_dir, volume_id))


def test_start_thaws_what_a_crash_left_frozen(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md D: a crash between freeze and thaw."""
    image = node.image(volume_id)
    image.is_frozen = True
    node.restart()
    assert not image.is_frozen


def test_start_forgets_targets_whose_mounts_are_gone_and_lets_go_of_the_device(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """A state directory that outlived a reboot."""
    for path in (target_path, staging_path):
        node.mounter.unmount(path(node.kubelet_dir, volume_id))
    assert device_of(node)
    node.restart()
    assert device_of(node) is None
    assert node.state_store.documents == {}


def test_start_keeps_the_device_while_one_path_is_still_mounted(
    node: FakeNode, volume_id: VolumeId
) -> None:
    node.mounter.unmount(staging_path(node.kubelet_dir, volume_id))
    node.restart()
    assert device_of(node)
    assert len(node.state_store.documents) == 1


def test_start_lets_go_of_a_device_that_was_attached_and_never_mounted(node: FakeNode) -> None:
    """rules.md B1: the driver died between attach and mount."""
    volume_id = node.volumes.create(volume_spec("pvc-1")).volume_id
    node.effects = once("mount:before", raising(OutcomeUnknownError("died")))
    with pytest.raises(OutcomeUnknownError):
        node.publishing.stage(stage_spec(node.kubelet_dir, volume_id))
    assert device_of(node)
    node.restart()
    assert device_of(node) is None
    assert node.state_store.documents == {}


def test_start_keeps_a_staged_block_device(node: FakeNode) -> None:
    """It is mounted nowhere, and in use all the same."""
    volume_id = published(node, block_capability())
    node.publishing.unpublish(volume_id, target_path(node.kubelet_dir, volume_id))
    node.restart()
    assert device_of(node)
    assert len(node.state_store.documents) == 1


def test_start_leaves_ephemeral_volumes_to_the_kubelet(node: FakeNode) -> None:
    """It publishes them again, or unpublishes them."""
    spec = ephemeral_spec(node.kubelet_dir)
    node.publishing.publish_ephemeral(spec)
    node.mounter.reboot()
    node.restart()
    assert len(node.names()) == 1
    node.publishing.publish_ephemeral(spec)
    assert node.mounter.mounted_at(spec.target_path)


def test_start_finishes_a_deferred_destroy(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md A3: the driver died between renaming the snapshot and destroying it."""
    node.snapshots.create(snapshot_name="snap-1", source_volume_id=volume_id, parameters={})
    uid = node.pool.get_snapshot("v/pvc-1@snap-1").uid
    node.pool.rename_snapshot("v/pvc-1@snap-1", f"v/pvc-1@D-{uid}")
    node.restart()
    assert node.names() == {"v/pvc-1"}


@pytest.mark.expected_logs("v/pvc-1@D-")
def test_start_leaves_a_damaged_deleted_snapshot(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md B8."""
    node.snapshots.create(snapshot_name="snap-1", source_volume_id=volume_id, parameters={})
    uid = node.pool.get_snapshot("v/pvc-1@snap-1").uid
    hidden = f"v/pvc-1@D-{uid}"
    node.pool.rename_snapshot("v/pvc-1@snap-1", hidden)
    node.pool.damage(hidden)
    node.restart()
    assert set(node.catalogue.damaged()) == {hidden}


@pytest.mark.expected_logs("zfs1:.*is left as it was found: .* is not a path below")
def test_state_with_a_path_elsewhere_keeps_nothing_from_starting(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md B8: the kubelet's directory was moved in the settings."""
    elsewhere = node.kubelet_dir.parent / "old" / "staging"
    stale = VolumeState(
        f"{volume_id}".replace("pvc-1", "pvc-0"), "v/pvc-0", {elsewhere: Use(mount_capability())}
    )
    node.state_store.save(stale.volume_id, format_state(stale))
    node.restart()
    assert node.volumes.get(volume_id).volume_id == volume_id


@pytest.mark.expected_logs("is left as it was found: the disk is gone")
def test_file_system_that_cannot_be_thawed_keeps_nothing_from_starting(
    node: FakeNode, volume_id: VolumeId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rules.md B8."""
    raise_it = raising(DeviceUnavailableError("the disk is gone"))
    monkeypatch.setattr(node.mounter, "thaw", lambda _target: raise_it())
    node.restart()
    assert node.volumes.get(volume_id).volume_id == volume_id


@pytest.mark.expected_logs("a deleted volume stays for now")
def test_deleted_volume_that_somebody_has_open_keeps_nothing_from_starting(node: FakeNode) -> None:
    """rules.md B8: nor the other deleted ones from going."""
    held, others = "v/D-0000000000000002", ["v/D-0000000000000001", "v/D-0000000000000003"]
    for name in (held, *others):
        node.pool.create(NewDataset(name, MIB))
    node.mounter.attach(node.pool.data_path(held))
    node.restart()
    assert node.names() == {held}
    node.mounter.detach(node.pool.data_path(held))
    node.restart()
    assert node.names() == set()
