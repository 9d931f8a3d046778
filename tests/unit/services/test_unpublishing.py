"""Letting go: unpublish and unstage depend on nothing but the node (rules.md B5)."""

from pathlib import Path

import pytest

from csi_zfs.domain.capabilities import VolumeCapability
from csi_zfs.domain.errors import OutcomeUnknownError
from csi_zfs.domain.ids import VolumeId
from csi_zfs.mount.api import DeviceBusyError, TargetBusyError
from csi_zfs.services.locks import LockTakenError
from csi_zfs.services.publishing import StillPublishedError
from csi_zfs.services.volumes import VolumeInUseError
from tests.support.builders import (
    block_capability,
    mount_capability,
    publish_spec,
    stage_spec,
    staging_path,
    target_path,
    volume_spec,
)
from tests.support.node import FakeNode
from tests.support.points import nothing, once, raising

UID = "0" * 15 + "1"


@pytest.fixture(params=[mount_capability(), block_capability()], ids=["mount", "block"])
def capability(request: pytest.FixtureRequest) -> VolumeCapability:
    """Both kinds of volumes."""
    found: VolumeCapability = request.param
    return found


@pytest.fixture
def volume_id(node: FakeNode, capability: VolumeCapability) -> VolumeId:
    """A volume that is staged and published."""
    made = node.volumes.create(volume_spec("pvc-1", capability=capability)).volume_id
    node.publishing.stage(stage_spec(node.kubelet_dir, made, capability))
    node.publishing.publish(publish_spec(node.kubelet_dir, made, capability))
    return made


def unpublish(node: FakeNode, volume_id: VolumeId) -> None:
    node.publishing.unpublish(volume_id, target_path(node.kubelet_dir, volume_id))


def unstage(node: FakeNode, volume_id: VolumeId) -> None:
    node.publishing.unstage(volume_id, staging_path(node.kubelet_dir, volume_id))


def paths_of(node: FakeNode, volume_id: VolumeId) -> list[Path]:
    return [staging_path(node.kubelet_dir, volume_id), target_path(node.kubelet_dir, volume_id)]


def assert_nothing_is_left(node: FakeNode, volume_id: VolumeId) -> None:
    assert not any(path.exists() for path in paths_of(node, volume_id))
    assert node.mounter.find_device(node.pool.data_path("v/pvc-1")) is None
    assert node.state_store.documents == {}


def test_unpublish_and_unstage_leave_nothing_and_can_be_repeated(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md B1, D: the target path is removed."""
    for call in (unpublish, unstage):
        for restart in (nothing, node.restart, nothing):
            call(node, volume_id)
            restart()
    assert_nothing_is_left(node, volume_id)
    assert node.volumes.get(volume_id).volume_id == volume_id


def test_unpublish_and_unstage_of_what_was_never_there_are_no_error(node: FakeNode) -> None:
    """rules.md B5."""
    missing = VolumeId(node.pool.pool_id, "pvc-1", UID)
    unpublish(node, missing)
    unstage(node, missing)
    assert node.state_store.documents == {}


def test_unpublish_and_unstage_need_no_knowledge_of_the_driver(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md B5: what is mounted stands in the kernel's table."""
    node.state_store.documents.clear()
    node.restart()
    unpublish(node, volume_id)
    unstage(node, volume_id)
    assert_nothing_is_left(node, volume_id)


def test_unstage_at_another_path_keeps_the_stage(node: FakeNode, volume_id: VolumeId) -> None:
    unpublish(node, volume_id)
    node.publishing.unstage(volume_id, node.kubelet_dir / "elsewhere")
    assert node.mounter.find_device(node.pool.data_path("v/pvc-1"))
    with pytest.raises(VolumeInUseError):
        node.volumes.delete(volume_id)


def test_unstage_of_a_published_volume_is_refused_and_says_where(
    node: FakeNode, volume_id: VolumeId
) -> None:
    with pytest.raises(StillPublishedError, match=str(target_path(node.kubelet_dir, volume_id))):
        unstage(node, volume_id)
    assert node.mounter.find_device(node.pool.data_path("v/pvc-1"))


def test_unstage_forgets_targets_whose_mount_is_gone(node: FakeNode, volume_id: VolumeId) -> None:
    node.mounter.unmount(target_path(node.kubelet_dir, volume_id))
    unstage(node, volume_id)
    assert_nothing_is_left(node, volume_id)


def test_target_in_use_is_refused_and_left_as_it_is(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md B4."""
    target = target_path(node.kubelet_dir, volume_id)
    node.mounter.busy_targets.add(target)
    with pytest.raises(TargetBusyError, match="4711"):
        unpublish(node, volume_id)
    assert node.mounter.mounted_at(target)
    node.mounter.busy_targets.clear()
    unpublish(node, volume_id)


def test_device_in_use_is_refused_and_let_go_of_later(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md B4."""
    unpublish(node, volume_id)
    device = node.mounter.find_device(node.pool.data_path("v/pvc-1"))
    assert device is not None
    node.mounter.open_devices.add(device.number)
    with pytest.raises(DeviceBusyError):
        unstage(node, volume_id)
    node.mounter.open_devices.clear()
    unstage(node, volume_id)
    assert_nothing_is_left(node, volume_id)


@pytest.mark.expected_logs("stays attached for now")
def test_unstage_ends_though_the_pool_is_away_and_the_device_goes_when_it_is_back(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md B5."""
    node.pool.is_available = False
    unpublish(node, volume_id)
    for _ in range(2):
        unstage(node, volume_id)
    assert not any(path.exists() for path in paths_of(node, volume_id))
    assert len(node.state_store.documents) == 1
    node.pool.is_available = True
    node.restart()
    assert_nothing_is_left(node, volume_id)


@pytest.mark.expected_logs("stays attached for now")
def test_volume_that_stayed_attached_is_used_and_deleted_as_any_other(
    node: FakeNode, volume_id: VolumeId, capability: VolumeCapability
) -> None:
    """rules.md B5: also without a restart."""
    node.pool.is_available = False
    unpublish(node, volume_id)
    unstage(node, volume_id)
    node.pool.is_available = True
    node.publishing.publish(publish_spec(node.kubelet_dir, volume_id, capability))
    node.pool.is_available = False
    unpublish(node, volume_id)
    unstage(node, volume_id)
    node.pool.is_available = True
    data_path = node.pool.data_path("v/pvc-1")
    node.volumes.delete(volume_id)
    assert node.mounter.find_device(data_path) is None
    assert node.state_store.documents == {}


@pytest.mark.expected_logs("stays attached for now")
def test_unstage_ends_though_its_pool_is_not_served_any_more(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md B5: the pool was taken out of the settings while its volume was in use."""
    pools = node.pools
    node.pools = []
    node.restart()
    unpublish(node, volume_id)
    unstage(node, volume_id)
    assert not any(path.exists() for path in paths_of(node, volume_id))
    node.pools = pools
    node.restart()
    assert_nothing_is_left(node, volume_id)


@pytest.mark.expected_logs("stays attached for now")
def test_unstage_of_a_volume_of_another_node_is_no_error_and_leaves_no_trace(
    node: FakeNode,
) -> None:
    """rules.md B5."""
    unstage(node, VolumeId("f" * 16, "pvc-1", UID))
    assert node.state_store.documents == {}


@pytest.mark.expected_logs("stays attached for now")
def test_unstage_ends_though_the_record_is_damaged(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md B5, B8."""
    node.pool.damage("v/pvc-1")
    unpublish(node, volume_id)
    unstage(node, volume_id)
    assert not any(path.exists() for path in paths_of(node, volume_id))


def test_unstage_of_a_volume_that_was_destroyed_by_hand_forgets_it(
    node: FakeNode, volume_id: VolumeId
) -> None:
    unpublish(node, volume_id)
    node.mounter.unmount(staging_path(node.kubelet_dir, volume_id))
    node.mounter.detach(node.pool.data_path("v/pvc-1"))
    node.pool.destroy("v/pvc-1", uid=volume_id.uid)
    unstage(node, volume_id)
    assert node.state_store.documents == {}


@pytest.mark.parametrize("point", ["unmount", "remove", "detach", "state.save", "state.remove"])
@pytest.mark.parametrize("side", ["before", "after"])
def test_letting_go_that_was_cut_short_is_finished_by_its_repetition(
    node: FakeNode, volume_id: VolumeId, point: str, side: str
) -> None:
    """rules.md B1."""
    node.effects = once(f"{point}:{side}", raising(OutcomeUnknownError("cut short")))
    for call in (unpublish, unstage):
        try:
            call(node, volume_id)
        except OutcomeUnknownError:
            call(node, volume_id)
    assert_nothing_is_left(node, volume_id)


def test_letting_go_while_the_volume_is_worked_on_is_aborted(
    node: FakeNode, volume_id: VolumeId
) -> None:
    refused: list[LockTakenError] = []

    def again() -> None:
        for call in (unpublish, unstage):
            try:
                call(node, volume_id)
            except LockTakenError as exc:
                refused.append(exc)

    node.effects = once("unmount:before", again)
    unpublish(node, volume_id)
    assert len(refused) == 2


def test_late_unstage_of_an_earlier_volume_leaves_the_device_of_a_new_one(
    node: FakeNode, capability: VolumeCapability
) -> None:
    """rules.md A2: they have one name, and different uids; and B5: it ends all the same."""
    old = node.volumes.create(volume_spec("pvc-1", capability=capability)).volume_id
    node.volumes.delete(old)
    new = node.volumes.create(volume_spec("pvc-1", capability=capability)).volume_id
    node.publishing.stage(stage_spec(node.kubelet_dir, new, capability))
    node.publishing.unstage(old, node.kubelet_dir / "earlier")
    assert node.mounter.find_device(node.pool.data_path("v/pvc-1")) is not None
