"""What a crash or a reboot lost is repaired by the next stage or publish (rules.md B6)."""

import pytest

from csi_zfs.domain.errors import OutcomeUnknownError
from csi_zfs.domain.ids import VolumeId
from tests.support.builders import staging_path, volume_spec
from tests.support.node import FakeNode
from tests.support.node_calls import is_shown, publish, stage
from tests.support.points import once, raising


@pytest.fixture
def volume_id(node: FakeNode) -> VolumeId:
    return node.volumes.create(volume_spec("pvc-1")).volume_id


@pytest.mark.parametrize("loss", ["never staged", "mount lost", "node restarted"])
def test_publish_after_a_lost_stage_stages_again(
    node: FakeNode, volume_id: VolumeId, loss: str
) -> None:
    """rules.md B6: the kubelet does not always stage again."""
    if loss != "never staged":
        stage(node, volume_id)
        node.image(volume_id).content["file"] = b"data"
    if loss == "mount lost":
        node.mounter.unmount(staging_path(node.kubelet_dir, volume_id))
    if loss == "node restarted":
        node.mounter.reboot()
        node.state_store.documents.clear()
        node.restart()
    target = publish(node, volume_id)
    assert is_shown(node, volume_id, staging_path(node.kubelet_dir, volume_id))
    assert is_shown(node, volume_id, target)
    assert node.image(volume_id).content == ({} if loss == "never staged" else {"file": b"data"})


def test_target_that_was_lost_can_be_published_in_another_way(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """A reboot unmounts without telling anybody: what is not mounted binds nobody."""
    publish(node, volume_id)
    node.mounter.reboot()
    publish(node, volume_id, is_read_only=True)
    publish(node, volume_id, is_read_only=True)


@pytest.mark.parametrize("point", ["state.save", "attach", "mount"])
@pytest.mark.parametrize("side", ["before", "after"])
def test_stage_that_was_cut_short_is_finished_by_its_repetition(
    node: FakeNode, volume_id: VolumeId, point: str, side: str
) -> None:
    """rules.md B1, B6."""
    node.effects = once(f"{point}:{side}", raising(OutcomeUnknownError("cut short")))
    with pytest.raises(OutcomeUnknownError):
        stage(node, volume_id)
    stage(node, volume_id)
    assert is_shown(node, volume_id, staging_path(node.kubelet_dir, volume_id))
    assert is_shown(node, volume_id, publish(node, volume_id))


@pytest.mark.parametrize("side", ["before", "after"])
def test_publish_that_was_cut_short_is_finished_by_its_repetition(
    node: FakeNode, volume_id: VolumeId, side: str
) -> None:
    """rules.md B1."""
    node.effects = once(f"bind:{side}", raising(OutcomeUnknownError("cut short")))
    with pytest.raises(OutcomeUnknownError):
        publish(node, volume_id)
    assert is_shown(node, volume_id, publish(node, volume_id))


def test_volume_whose_target_is_published_survives_the_death_of_the_driver(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """The writer goes on, and every call on the volume works."""
    target = publish(node, volume_id)
    node.restart()
    node.image(volume_id).content["file"] = b"written meanwhile"
    assert is_shown(node, volume_id, target)
    stage(node, volume_id)
    publish(node, volume_id)
    assert node.publishing.usage(volume_id, target)
    node.publishing.unpublish(volume_id, target)
    node.publishing.unstage(volume_id, staging_path(node.kubelet_dir, volume_id))
    node.volumes.delete(volume_id)
