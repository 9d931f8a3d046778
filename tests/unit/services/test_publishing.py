"""File systems on the node: stage and publish, and which uses go together."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from csi_zfs.domain.capabilities import AccessMode, VolumeCapability
from csi_zfs.domain.ids import VolumeId
from csi_zfs.services.catalogue import VolumeNotFoundError
from csi_zfs.services.publishing import StagedElsewhereError
from csi_zfs.services.uses import (
    CapabilityMismatchError,
    DifferentUseError,
    PublishedElsewhereError,
)
from tests.support.builders import (
    block_capability,
    mount_capability,
    stage_spec,
    staging_path,
    volume_spec,
)
from tests.support.node import FakeNode
from tests.support.node_calls import is_shown, publish, stage
from tests.support.points import nothing

UID = "0" * 15 + "1"
MULTI = mount_capability(access_mode=AccessMode.SINGLE_NODE_MULTI_WRITER)
SINGLE_MODES = [
    AccessMode.SINGLE_NODE_WRITER,
    AccessMode.SINGLE_NODE_SINGLE_WRITER,
    AccessMode.SINGLE_NODE_READER_ONLY,
]


@pytest.fixture
def volume_id(node: FakeNode) -> VolumeId:
    return node.volumes.create(volume_spec("pvc-1")).volume_id


def test_stage_and_publish_show_the_volume_at_both_paths(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md A6."""
    stage(node, volume_id)
    target = publish(node, volume_id)
    assert is_shown(node, volume_id, staging_path(node.kubelet_dir, volume_id))
    assert is_shown(node, volume_id, target)


def test_stage_and_publish_can_be_repeated(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md B1."""
    points: list[str] = []
    stage(node, volume_id)
    publish(node, volume_id)
    for restart in (nothing, node.restart):
        restart()
        node.effects = points.append
        stage(node, volume_id)
        publish(node, volume_id)
    assert points == []


def test_calls_on_a_missing_volume_are_not_found(node: FakeNode) -> None:
    missing = VolumeId(node.pool.pool_id, "pvc-9", UID)
    for call in (stage, publish):
        with pytest.raises(VolumeNotFoundError):
            call(node, missing)
    assert node.state_store.documents == {}


@pytest.mark.parametrize("capability", [block_capability(), mount_capability("xfs")])
def test_use_of_another_kind_than_the_volume_was_made_for_is_refused(
    node: FakeNode, volume_id: VolumeId, capability: VolumeCapability
) -> None:
    for call in (stage, publish):
        with pytest.raises(CapabilityMismatchError):
            call(node, volume_id, capability)
    assert node.state_store.documents == {}


def test_stage_at_a_second_path_is_refused_and_says_where_it_is(
    node: FakeNode, volume_id: VolumeId
) -> None:
    stage(node, volume_id)
    spec = stage_spec(node.kubelet_dir, volume_id)
    elsewhere = replace(spec, staging_target_path=node.kubelet_dir / "elsewhere")
    with pytest.raises(StagedElsewhereError, match=str(spec.staging_target_path)):
        node.publishing.stage(elsewhere)


@pytest.mark.parametrize("call", [stage, publish])
def test_path_in_use_with_other_arguments_is_refused(
    node: FakeNode, volume_id: VolumeId, call: Callable[..., object]
) -> None:
    """rules.md D: the same path with other arguments is ALREADY_EXISTS."""
    call(node, volume_id)
    with pytest.raises(DifferentUseError, match="in use already, with a different"):
        call(node, volume_id, mount_capability("ext4", mount_flags=["noatime"]))


def test_published_path_with_another_read_only_flag_is_refused(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md D."""
    publish(node, volume_id)
    with pytest.raises(DifferentUseError):
        publish(node, volume_id, is_read_only=True)


@pytest.mark.parametrize("mode", SINGLE_MODES)
def test_second_path_of_a_single_mode_is_refused_and_says_where_the_first_is(
    node: FakeNode, volume_id: VolumeId, mode: AccessMode
) -> None:
    """rules.md D."""
    capability = mount_capability(access_mode=mode)
    first = publish(node, volume_id, capability)
    with pytest.raises(PublishedElsewhereError, match=str(first)):
        publish(node, volume_id, capability, pod="pod-2")
    with pytest.raises(PublishedElsewhereError):
        publish(node, volume_id, MULTI, pod="pod-2")
    node.publishing.unpublish(volume_id, first)
    publish(node, volume_id, capability, pod="pod-2")


def test_multi_writer_is_published_at_many_paths(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md D."""
    targets = [publish(node, volume_id, MULTI, pod=f"pod-{number}") for number in range(3)]
    read_only = publish(node, volume_id, MULTI, pod="reader", is_read_only=True)
    assert all(is_shown(node, volume_id, target) for target in [*targets, read_only])
    mounted = [node.mounter.mounted_at(target) for target in [*targets, read_only]]
    assert [one is not None and one.is_read_only for one in mounted] == [False] * 3 + [True]
    with pytest.raises(PublishedElsewhereError):
        publish(node, volume_id, pod="single")


@pytest.mark.parametrize(
    ("capability", "is_read_only", "is_shown_read_only"),
    [
        (mount_capability(), False, False),
        (mount_capability(), True, True),
        (mount_capability(access_mode=AccessMode.SINGLE_NODE_READER_ONLY), False, True),
        (mount_capability(mount_flags=["ro"]), False, True),
    ],
)
def test_volume_is_shown_read_only_where_that_was_asked(
    node: FakeNode,
    volume_id: VolumeId,
    capability: VolumeCapability,
    *,
    is_read_only: bool,
    is_shown_read_only: bool,
) -> None:
    target = publish(node, volume_id, capability, is_read_only=is_read_only)
    mounted = node.mounter.mounted_at(target)
    assert mounted is not None
    assert mounted.is_read_only is is_shown_read_only
