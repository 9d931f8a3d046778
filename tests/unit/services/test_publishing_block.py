"""Raw block volumes on the node: one device, shown at files."""

from pathlib import Path

import pytest

from csi_zfs.domain.capabilities import AccessMode, VolumeCapability
from csi_zfs.domain.errors import OutcomeUnknownError
from csi_zfs.domain.ids import VolumeId
from csi_zfs.domain.sizes import GIB, CapacityRange
from csi_zfs.mount.api import Device, Mounted
from csi_zfs.services.uses import DifferentUseError, PublishedElsewhereError
from tests.support.builders import (
    block_capability,
    staging_path,
    target_path,
    volume_spec,
)
from tests.support.node import FakeNode
from tests.support.node_calls import publish, stage
from tests.support.points import nothing, once, raising

BLOCK = block_capability()
MULTI = block_capability(AccessMode.SINGLE_NODE_MULTI_WRITER)
READER = block_capability(AccessMode.SINGLE_NODE_READER_ONLY)


@pytest.fixture
def volume_id(node: FakeNode) -> VolumeId:
    return node.volumes.create(volume_spec("pvc-1", capability=BLOCK)).volume_id


def device_of(node: FakeNode) -> Device | None:
    return node.mounter.find_device(node.pool.data_path("v/pvc-1"))


def shown(node: FakeNode, path: Path) -> Mounted:
    mounted = node.mounter.mounted_at(path)
    assert mounted is not None
    return mounted


def test_stage_attaches_the_device_and_publish_shows_it_at_a_file(
    node: FakeNode, volume_id: VolumeId
) -> None:
    stage(node, volume_id, BLOCK)
    device = device_of(node)
    assert device is not None
    target = publish(node, volume_id, BLOCK)
    assert shown(node, target).is_block
    assert shown(node, target).number == device.number
    assert target.is_file()
    assert node.mounter.mounted_at(staging_path(node.kubelet_dir, volume_id)) is None


def test_block_volume_is_never_probed_or_formatted(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md A4, C6."""
    points: list[str] = []
    node.effects = points.append
    publish(node, volume_id, BLOCK)
    assert not [point for point in points if point.startswith(("format", "wipe", "grow"))]
    assert "set_user_properties:before" not in points


def test_stage_and_publish_can_be_repeated(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md B1."""
    stage(node, volume_id, BLOCK)
    publish(node, volume_id, BLOCK)
    points: list[str] = []
    for restart in (nothing, node.restart):
        restart()
        node.effects = points.append
        stage(node, volume_id, BLOCK)
        publish(node, volume_id, BLOCK)
    assert points == []


@pytest.mark.parametrize(
    ("capability", "is_read_only", "is_shown_read_only"),
    [(BLOCK, False, False), (BLOCK, True, True), (READER, False, True), (READER, True, True)],
)
def test_device_is_read_only_where_that_was_asked(
    node: FakeNode,
    volume_id: VolumeId,
    capability: VolumeCapability,
    *,
    is_read_only: bool,
    is_shown_read_only: bool,
) -> None:
    target = publish(node, volume_id, capability, is_read_only=is_read_only)
    assert shown(node, target).is_read_only is is_shown_read_only
    device = device_of(node)
    assert device is not None
    assert device.is_read_only is is_shown_read_only


def test_stage_repeated_leaves_a_read_only_device_as_it_is(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """Else a late NodeStage would make a published device writable."""
    stage(node, volume_id, BLOCK)
    target = publish(node, volume_id, BLOCK, is_read_only=True)
    stage(node, volume_id, BLOCK)
    assert shown(node, target).is_read_only


def test_one_device_is_read_only_or_writable_at_all_paths_alike(
    node: FakeNode, volume_id: VolumeId
) -> None:
    first = publish(node, volume_id, MULTI)
    second = publish(node, volume_id, MULTI, pod="pod-2")
    with pytest.raises(PublishedElsewhereError, match="one device"):
        publish(node, volume_id, MULTI, pod="reader", is_read_only=True)
    assert not shown(node, first).is_read_only
    for target in (first, second):
        node.publishing.unpublish(volume_id, target)
    publish(node, volume_id, MULTI, pod="reader", is_read_only=True)


@pytest.mark.parametrize("capability", [BLOCK, READER])
def test_second_path_of_a_single_mode_is_refused(
    node: FakeNode, volume_id: VolumeId, capability: VolumeCapability
) -> None:
    """rules.md D."""
    publish(node, volume_id, capability)
    with pytest.raises(PublishedElsewhereError):
        publish(node, volume_id, capability, pod="pod-2")


def test_published_path_with_other_arguments_is_refused(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md D."""
    publish(node, volume_id, BLOCK)
    with pytest.raises(DifferentUseError):
        publish(node, volume_id, BLOCK, is_read_only=True)


@pytest.mark.parametrize("has_reboot", [False, True])
def test_publish_attaches_a_device_that_was_lost(
    node: FakeNode, volume_id: VolumeId, *, has_reboot: bool
) -> None:
    """rules.md B6."""
    stage(node, volume_id, BLOCK)
    node.mounter.detach(node.pool.data_path("v/pvc-1"))
    if has_reboot:
        node.mounter.reboot()
        node.state_store.documents.clear()
        node.restart()
    assert shown(node, publish(node, volume_id, BLOCK)).is_block


@pytest.mark.parametrize("point", ["attach", "bind_device", "state.save"])
@pytest.mark.parametrize("side", ["before", "after"])
def test_publish_that_was_cut_short_is_finished_by_its_repetition(
    node: FakeNode, volume_id: VolumeId, point: str, side: str
) -> None:
    """rules.md B1."""
    node.effects = once(f"{point}:{side}", raising(OutcomeUnknownError("cut short")))
    with pytest.raises(OutcomeUnknownError):
        publish(node, volume_id, BLOCK)
    assert shown(node, publish(node, volume_id, BLOCK)).is_block


def test_expansion_is_seen_at_the_device(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md A10: also while it is published, read-only or not."""
    target = publish(node, volume_id, BLOCK, is_read_only=True)
    node.volumes.expand(volume_id, CapacityRange(GIB))
    for _ in range(2):
        assert node.publishing.expand(volume_id, target, CapacityRange(GIB)) == GIB
    device = device_of(node)
    assert device is not None
    assert (device.size_bytes, device.is_read_only) == (GIB, True)


def test_unstage_lets_go_of_the_device_and_everything_is_forgotten(
    node: FakeNode, volume_id: VolumeId
) -> None:
    stage(node, volume_id, BLOCK)
    target = publish(node, volume_id, BLOCK)
    for _ in range(2):
        node.publishing.unpublish(volume_id, target)
    assert device_of(node) is not None
    assert not target.exists()
    for _ in range(2):
        node.publishing.unstage(volume_id, staging_path(node.kubelet_dir, volume_id))
    assert device_of(node) is None
    assert node.state_store.documents == {}
    assert not target_path(node.kubelet_dir, volume_id).exists()
