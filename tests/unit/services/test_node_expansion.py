"""NodeGetVolumeStats and NodeExpandVolume."""

import pytest

from csi_zfs.domain.errors import OutcomeUnknownError
from csi_zfs.domain.ids import VolumeId
from csi_zfs.domain.model import UsageUnit
from csi_zfs.domain.sizes import GIB, CapacityRange
from csi_zfs.mount.api import TargetNotFoundError
from csi_zfs.services.catalogue import VolumeNotFoundError
from csi_zfs.services.locks import LockTakenError
from csi_zfs.services.publishing import NotExpandedError
from csi_zfs.services.records import parse_volume
from tests.support.builders import (
    SIZE_BYTES,
    block_capability,
    mount_capability,
    publish_spec,
    staging_path,
    target_path,
    volume_spec,
)
from tests.support.node import FakeNode
from tests.support.points import once, raising

UID = "0" * 15 + "1"
WANTED = CapacityRange(GIB)


@pytest.fixture
def volume_id(node: FakeNode) -> VolumeId:
    """A published volume."""
    made = node.volumes.create(volume_spec("pvc-1")).volume_id
    node.publishing.publish(publish_spec(node.kubelet_dir, made))
    return made


def expand(node: FakeNode, volume_id: VolumeId, wanted: CapacityRange = WANTED) -> int:
    target = target_path(node.kubelet_dir, volume_id)
    return node.publishing.expand(volume_id, target, wanted)


def recorded_bytes(node: FakeNode, volume_id: VolumeId) -> int:
    return parse_volume(node.dataset(volume_id).user_properties).disk.filesystem_bytes


def test_usage_counts_bytes_and_inodes_of_a_file_system(
    node: FakeNode, volume_id: VolumeId
) -> None:
    node.image(volume_id).content["file"] = b"12345"
    target = target_path(node.kubelet_dir, volume_id)
    usage = {figure.unit: figure for figure in node.publishing.usage(volume_id, target)}
    assert usage[UsageUnit.BYTES].total == SIZE_BYTES
    assert usage[UsageUnit.BYTES].used == 5
    assert usage[UsageUnit.INODES].used == 1
    assert node.publishing.usage(volume_id, staging_path(node.kubelet_dir, volume_id))


def test_usage_of_a_block_volume_is_its_size(node: FakeNode) -> None:
    capability = block_capability()
    volume_id = node.volumes.create(volume_spec("block", capability=capability)).volume_id
    spec = publish_spec(node.kubelet_dir, volume_id, capability)
    node.publishing.publish(spec)
    (usage,) = node.publishing.usage(volume_id, spec.target_path)
    assert (usage.unit, usage.total) == (UsageUnit.BYTES, SIZE_BYTES)


def test_path_that_does_not_show_the_volume_is_not_found(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md D."""
    other = node.volumes.create(volume_spec("pvc-2")).volume_id
    target = target_path(node.kubelet_dir, volume_id)
    elsewhere = node.kubelet_dir / "elsewhere"
    for wrong_id, wrong_path in ((volume_id, elsewhere), (other, target)):
        with pytest.raises(TargetNotFoundError, match=str(wrong_path)):
            node.publishing.usage(wrong_id, wrong_path)
        with pytest.raises(TargetNotFoundError):
            node.publishing.expand(wrong_id, wrong_path, WANTED)
    node.mounter.unmount(target)
    with pytest.raises(TargetNotFoundError):
        node.publishing.usage(volume_id, target)


def test_missing_volume_is_not_found(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md D."""
    missing = VolumeId(volume_id.pool_id, "pvc-1", UID)
    target = target_path(node.kubelet_dir, volume_id)
    with pytest.raises(VolumeNotFoundError):
        node.publishing.usage(missing, target)
    with pytest.raises(VolumeNotFoundError):
        node.publishing.expand(missing, target, WANTED)


def test_expand_grows_the_mounted_file_system_and_writes_that_down(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md A10: two steps, each of which can be repeated."""
    node.image(volume_id).content["file"] = b"data"
    node.volumes.expand(volume_id, WANTED)
    assert node.image(volume_id).fs_size_bytes == SIZE_BYTES
    for _ in range(2):
        assert expand(node, volume_id) == GIB
        assert node.image(volume_id).fs_size_bytes == GIB == recorded_bytes(node, volume_id)
    assert node.image(volume_id).content == {"file": b"data"}


def test_expand_before_the_controllers_is_refused(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md A10."""
    with pytest.raises(NotExpandedError, match=str(SIZE_BYTES)):
        expand(node, volume_id)
    assert node.image(volume_id).fs_size_bytes == SIZE_BYTES


@pytest.mark.parametrize("wanted", [CapacityRange(), CapacityRange(1), CapacityRange(SIZE_BYTES)])
def test_expand_to_less_reports_the_size_that_is(
    node: FakeNode, volume_id: VolumeId, wanted: CapacityRange
) -> None:
    """rules.md A10."""
    assert expand(node, volume_id, wanted) == SIZE_BYTES


@pytest.mark.parametrize("point", ["grow", "set_user_properties"])
@pytest.mark.parametrize("side", ["before", "after"])
def test_expand_that_was_cut_short_is_finished_by_its_repetition(
    node: FakeNode, volume_id: VolumeId, point: str, side: str
) -> None:
    """rules.md A10: the size on record is never more than the file system's."""
    node.volumes.expand(volume_id, WANTED)
    node.effects = once(f"{point}:{side}", raising(OutcomeUnknownError("cut short")))
    with pytest.raises(OutcomeUnknownError):
        expand(node, volume_id)
    assert recorded_bytes(node, volume_id) <= node.image(volume_id).fs_size_bytes
    expand(node, volume_id)
    assert node.image(volume_id).fs_size_bytes == GIB == recorded_bytes(node, volume_id)


def test_expand_of_a_volume_that_is_published_read_only_grows_it_where_it_is_staged(
    node: FakeNode,
) -> None:
    """A file system grows only through a writable mount."""
    volume_id = node.volumes.create(volume_spec("pvc-1")).volume_id
    node.publishing.publish(publish_spec(node.kubelet_dir, volume_id, is_read_only=True))
    node.volumes.expand(volume_id, WANTED)
    assert expand(node, volume_id) == GIB
    assert node.image(volume_id).fs_size_bytes == GIB


def test_expand_of_a_volume_that_is_writable_nowhere_leaves_it_to_the_next_stage(
    node: FakeNode,
) -> None:
    capability = mount_capability(mount_flags=["ro"])
    volume_id = node.volumes.create(volume_spec("pvc-1")).volume_id
    node.publishing.publish(publish_spec(node.kubelet_dir, volume_id, capability))
    node.volumes.expand(volume_id, WANTED)
    assert expand(node, volume_id) == GIB
    assert recorded_bytes(node, volume_id) == SIZE_BYTES


def test_expand_without_a_staging_mount_grows_through_the_target(
    node: FakeNode, volume_id: VolumeId
) -> None:
    node.mounter.unmount(staging_path(node.kubelet_dir, volume_id))
    node.volumes.expand(volume_id, WANTED)
    assert expand(node, volume_id) == GIB
    assert node.image(volume_id).fs_size_bytes == GIB


def test_expand_while_the_volume_is_worked_on_is_aborted(
    node: FakeNode, volume_id: VolumeId
) -> None:
    refused: list[LockTakenError] = []

    def again() -> None:
        try:
            expand(node, volume_id)
        except LockTakenError as exc:
            refused.append(exc)

    node.effects = once("resize:before", again)
    node.volumes.expand(volume_id, WANTED)
    assert len(refused) == 1


def test_snapshot_after_an_expansion_knows_the_size_of_the_file_system(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md A10: a restore of it to the same size has nothing to grow."""
    node.volumes.expand(volume_id, WANTED)
    expand(node, volume_id)
    copy = node.volumes.create(volume_spec("copy", size_bytes=GIB, content_source=volume_id))
    assert recorded_bytes(node, copy.volume_id) == GIB
