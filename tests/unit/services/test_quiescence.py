"""Freezing what is staged on this node while its blocks are copied."""

import pytest

from csi_zfs.domain.ids import VolumeId
from csi_zfs.mount.api import FreezeLimitError
from csi_zfs.services.locks import LockTakenError
from csi_zfs.services.quiescence import Quiescence
from tests.support.builders import block_capability, publish_spec, volume_spec
from tests.support.node import FakeNode


@pytest.fixture
def volume_id(node: FakeNode) -> VolumeId:
    """A published volume."""
    made = node.volumes.create(volume_spec("pvc-1")).volume_id
    node.publishing.publish(publish_spec(node.kubelet_dir, made))
    return made


def quiescence_of(node: FakeNode) -> Quiescence:
    return node.snapshots.quiescence


def test_staged_file_system_is_frozen_for_the_block_only(
    node: FakeNode, volume_id: VolumeId
) -> None:
    with quiescence_of(node).around([volume_id]):
        assert node.image(volume_id).is_frozen
    assert not node.image(volume_id).is_frozen


def test_file_system_is_thawed_after_an_error(node: FakeNode, volume_id: VolumeId) -> None:
    with pytest.raises(ZeroDivisionError), quiescence_of(node).around([volume_id]):
        _ = 1 // 0
    assert not node.image(volume_id).is_frozen


def test_volume_that_is_not_staged_or_a_block_device_has_nothing_to_freeze(
    node: FakeNode,
) -> None:
    idle = node.volumes.create(volume_spec("idle")).volume_id
    capability = block_capability()
    block = node.volumes.create(volume_spec("block", capability=capability)).volume_id
    node.publishing.publish(publish_spec(node.kubelet_dir, block, capability))
    with quiescence_of(node).around([idle, block]):
        assert not node.image(idle).is_frozen
        assert not node.image(block).is_frozen
    with quiescence_of(node).around([]):
        pass


def test_block_that_comes_to_the_freeze_limit_does_not_count(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md D: FIFREEZE only with a hard limit."""
    with pytest.raises(FreezeLimitError), quiescence_of(node).around([volume_id]):
        node.clock.advance(quiescence_of(node).freeze_limit_s)
    assert not node.image(volume_id).is_frozen


def test_file_system_is_frozen_for_one_call_at_a_time(node: FakeNode, volume_id: VolumeId) -> None:
    """Else the first call to end would thaw it for the other."""
    with quiescence_of(node).around([volume_id]):
        with pytest.raises(LockTakenError), quiescence_of(node).around([volume_id]):
            pass
        assert node.image(volume_id).is_frozen
    with quiescence_of(node).around([volume_id]):
        pass
