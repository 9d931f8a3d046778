"""DeleteVolume: exactly the volume that was meant, and only if nobody uses it."""

from dataclasses import replace

import pytest

from csi_zfs.datasets.api import NewDataset
from csi_zfs.domain.errors import OutcomeUnknownError
from csi_zfs.domain.ids import VolumeId
from csi_zfs.domain.sizes import GIB, MIB, CapacityRange
from csi_zfs.services.catalogue import VolumeNotFoundError
from csi_zfs.services.locks import LockTakenError
from csi_zfs.services.volumes import VolumeInUseError
from tests.support.builders import (
    block_capability,
    publish_spec,
    stage_spec,
    staging_path,
    target_path,
    volume_spec,
)
from tests.support.node import FakeNode
from tests.support.points import once, raising

UID = "0" * 15 + "1"
CANARIES = {"v/pvc-1-canary", "v/pvc", "v/by-hand", "v/by-hand@keep"}


@pytest.fixture
def volume_id(node: FakeNode) -> VolumeId:
    return node.volumes.create(volume_spec("pvc-1")).volume_id


@pytest.fixture
def block_volume_id(node: FakeNode) -> VolumeId:
    """A block volume that is staged: mounted nowhere, and in use all the same."""
    capability = block_capability()
    volume_id = node.volumes.create(volume_spec("block", capability=capability)).volume_id
    node.publishing.stage(stage_spec(node.kubelet_dir, volume_id, capability))
    return volume_id


def plant_canaries(node: FakeNode) -> None:
    """Siblings whose names are near to the volume's."""
    for name in ("pvc-1-canary", "pvc"):
        node.volumes.create(volume_spec(name))
    node.pool.create(NewDataset("v/by-hand", MIB))
    node.pool.plant_snapshot("v/by-hand@keep")


def test_delete_destroys_the_volume_and_nothing_beside_it(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md A2."""
    plant_canaries(node)
    node.volumes.delete(volume_id)
    assert node.names() == CANARIES
    with pytest.raises(VolumeNotFoundError):
        node.volumes.get(volume_id)


def test_delete_repeated_and_of_a_missing_volume_is_no_error(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md B3."""
    for _ in range(2):
        node.volumes.delete(volume_id)
    node.restart()
    node.volumes.delete(volume_id)
    node.volumes.delete(VolumeId(node.pool.pool_id, "never-there", UID))


def test_late_delete_touches_nothing_of_a_new_volume_of_the_same_name(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md A2: the id of the earlier volume has another uid."""
    node.volumes.delete(volume_id)
    new = node.volumes.create(volume_spec("pvc-1"))
    node.volumes.delete(volume_id)
    assert node.volumes.get(new.volume_id) == new
    assert node.names() == {"v/pvc-1"}


@pytest.mark.parametrize("side", ["before", "after"])
def test_delete_whose_answer_was_lost_is_finished_by_its_repetition(
    node: FakeNode, volume_id: VolumeId, side: str
) -> None:
    """rules.md B1."""
    node.effects = once(f"destroy:{side}", raising(OutcomeUnknownError("lost")))
    with pytest.raises(OutcomeUnknownError):
        node.volumes.delete(volume_id)
    node.volumes.delete(volume_id)
    assert node.names() == set()
    assert node.volumes.list(max_entries=0, starting_token="").entries == ()


def test_create_after_a_delete_whose_answer_was_lost_makes_a_new_volume(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md B7: the volume that the catalogue still knows is gone."""
    node.effects = once("destroy:after", raising(OutcomeUnknownError("lost")))
    with pytest.raises(OutcomeUnknownError):
        node.volumes.delete(volume_id)
    new = node.volumes.create(volume_spec("pvc-1"))
    assert node.dataset(new.volume_id).uid == new.volume_id.uid
    node.volumes.delete(volume_id)
    assert node.names() == {"v/pvc-1"}


def test_delete_while_the_volume_is_worked_on_is_aborted(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md B1."""
    refused: list[LockTakenError] = []

    def delete() -> None:
        try:
            node.volumes.delete(volume_id)
        except LockTakenError as exc:
            refused.append(exc)

    node.effects = once("resize:before", delete)
    node.volumes.expand(volume_id, CapacityRange(GIB))
    assert len(refused) == 1


def test_delete_of_a_staged_volume_is_refused_and_says_where(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md B4."""
    staging = staging_path(node.kubelet_dir, volume_id)
    node.publishing.stage(stage_spec(node.kubelet_dir, volume_id))
    with pytest.raises(VolumeInUseError, match=str(staging)):
        node.volumes.delete(volume_id)
    node.publishing.unstage(volume_id, staging)
    node.volumes.delete(volume_id)
    assert node.names() == set()
    assert node.state_store.documents == {}


def test_delete_of_a_published_volume_is_refused_also_after_a_restart(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md B4."""
    node.publishing.publish(publish_spec(node.kubelet_dir, volume_id))
    node.restart()
    with pytest.raises(VolumeInUseError, match=str(target_path(node.kubelet_dir, volume_id))):
        node.volumes.delete(volume_id)


def test_delete_of_a_staged_block_volume_is_refused(
    node: FakeNode, block_volume_id: VolumeId
) -> None:
    staging = staging_path(node.kubelet_dir, block_volume_id)
    with pytest.raises(VolumeInUseError, match=str(staging)):
        node.volumes.delete(block_volume_id)
    assert "v/block" in node.names()


def test_delete_of_a_staged_block_volume_whose_device_is_gone_forgets_its_stage(
    node: FakeNode, block_volume_id: VolumeId
) -> None:
    node.mounter.detach(node.pool.data_path("v/block"))
    node.volumes.delete(block_volume_id)
    assert node.names() == set()
    assert node.state_store.documents == {}


def test_delete_of_a_staged_block_volume_whose_dataset_is_gone_is_no_error(
    node: FakeNode, block_volume_id: VolumeId
) -> None:
    """rules.md B3: destroyed by hand, or by a call whose answer was lost."""
    node.mounter.detach(node.pool.data_path("v/block"))
    node.pool.destroy("v/block", uid=block_volume_id.uid)
    node.volumes.delete(block_volume_id)
    assert node.state_store.documents == {}


def test_delete_lets_go_of_a_device_that_a_crash_left_behind(
    node: FakeNode, volume_id: VolumeId
) -> None:
    node.mounter.attach(node.pool.data_path("v/pvc-1"))
    node.volumes.delete(volume_id)
    assert node.names() == set()


def test_delete_does_not_let_go_of_a_device_that_somebody_has_open(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md B4."""
    device = node.mounter.attach(node.pool.data_path("v/pvc-1"))
    node.mounter.open_devices.add(device.number)
    with pytest.raises(VolumeInUseError, match="open"):
        node.volumes.delete(volume_id)
    assert node.names() == {"v/pvc-1"}
    assert node.volumes.get(volume_id).volume_id == volume_id


def test_late_delete_is_not_held_up_by_a_new_volume_of_the_name(
    node: FakeNode, block_volume_id: VolumeId
) -> None:
    """A power cut can bring a removed document of the state directory back."""
    documents = dict(node.state_store.documents)
    node.mounter.reboot()
    node.volumes.delete(block_volume_id)
    capability = block_capability()
    new = node.volumes.create(volume_spec("block", capability=capability)).volume_id
    node.state_store.documents.update(documents)
    node.restart()
    node.publishing.stage(
        replace(
            stage_spec(node.kubelet_dir, new, capability),
            staging_target_path=node.kubelet_dir / "new",
        )
    )
    node.volumes.delete(block_volume_id)
    assert str(block_volume_id) not in node.state_store.documents
    assert node.mounter.find_device(node.pool.data_path("v/block")) is not None
