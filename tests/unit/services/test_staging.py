"""Making a volume's data ready: format once and never again, grow, mount beside twins."""

from dataclasses import replace

import pytest

from csi_zfs.domain.errors import OutcomeUnknownError
from csi_zfs.domain.ids import VolumeId
from csi_zfs.domain.sizes import GIB, CapacityRange
from csi_zfs.mount.api import DeviceUnavailableError, FilesystemDamagedError, NotBlankError
from csi_zfs.services.records import DiskFormat, FormatState, parse_volume
from csi_zfs.services.staging import Disk
from tests.support.builders import (
    block_capability,
    mount_capability,
    publish_spec,
    stage_spec,
    staging_path,
    volume_spec,
)
from tests.support.node import FakeNode
from tests.support.points import nothing, once, raising

XFS = mount_capability("xfs")


@pytest.fixture
def volume_id(node: FakeNode) -> VolumeId:
    return node.volumes.create(volume_spec("pvc-1")).volume_id


def stage(node: FakeNode, volume_id: VolumeId) -> None:
    node.publishing.stage(stage_spec(node.kubelet_dir, volume_id))


def unstage(node: FakeNode, volume_id: VolumeId) -> None:
    node.publishing.unstage(volume_id, staging_path(node.kubelet_dir, volume_id))


def disk_of(node: FakeNode, volume_id: VolumeId) -> DiskFormat:
    """What the record on the pool says of the format."""
    return parse_volume(node.dataset(volume_id).user_properties).disk


def points_of(node: FakeNode) -> list[str]:
    points: list[str] = []
    node.effects = points.append
    return points


def test_first_stage_formats_and_writes_that_down_before_and_after(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md A4."""
    points = points_of(node)
    stage(node, volume_id)
    order = [points.index(point) for point in ("format:before", "format:after", "mount:before")]
    assert order == sorted(order)
    marks = [at for at, point in enumerate(points) if point == "set_user_properties:after"]
    assert marks[0] < order[0]
    assert order[1] < marks[1] < order[2]
    size_bytes = node.image(volume_id).size_bytes
    done = DiskFormat(disk_of(node, volume_id).access_type, "ext4", FormatState.FORMATTED)
    assert disk_of(node, volume_id) == replace(done, filesystem_bytes=size_bytes)


def test_later_stages_never_format_again(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md A4."""
    stage(node, volume_id)
    node.image(volume_id).content["file"] = b"data"
    points = points_of(node)
    for restart in (nothing, node.restart):
        unstage(node, volume_id)
        restart()
        stage(node, volume_id)
    assert not [point for point in points if point.startswith(("format", "wipe"))]
    assert node.image(volume_id).content == {"file": b"data"}


def test_volume_whose_user_wrote_the_mark_of_another_format_is_staged_again(
    node: FakeNode, volume_id: VolumeId
) -> None:
    stage(node, volume_id)
    node.image(volume_id).has_foreign_mark = True
    unstage(node, volume_id)
    stage(node, volume_id)


@pytest.mark.parametrize("point", ["format:before", "format:half", "format:after"])
def test_format_that_was_cut_short_is_begun_anew(
    node: FakeNode, volume_id: VolumeId, point: str
) -> None:
    """rules.md A4, B6: it was proved blank before, and was never mounted."""
    node.effects = once(point, raising(OutcomeUnknownError("cut short")))
    with pytest.raises(OutcomeUnknownError):
        stage(node, volume_id)
    assert disk_of(node, volume_id).state is FormatState.FORMATTING
    stage(node, volume_id)
    assert disk_of(node, volume_id).state is FormatState.FORMATTED
    assert not node.image(volume_id).is_half_formatted


@pytest.mark.parametrize("found", ["ext4", "xfs"])
def test_blank_volume_that_holds_something_is_left_as_it_is(
    node: FakeNode, volume_id: VolumeId, found: str
) -> None:
    """rules.md A4."""
    node.image(volume_id).fs_type = found
    node.image(volume_id).content["file"] = b"somebody's"
    with pytest.raises(NotBlankError, match=f"v/pvc-1 .* holds {found}"):
        stage(node, volume_id)
    assert node.image(volume_id).content == {"file": b"somebody's"}
    assert disk_of(node, volume_id).state is FormatState.BLANK


def test_probe_that_fails_is_not_blank(
    node: FakeNode, volume_id: VolumeId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rules.md A4."""
    raise_it = raising(DeviceUnavailableError("the first bytes cannot be read"))
    monkeypatch.setattr(node.mounter, "probe", lambda _device, **_: raise_it())
    points = points_of(node)
    with pytest.raises(DeviceUnavailableError):
        stage(node, volume_id)
    assert not [point for point in points if point.startswith(("format", "wipe", "mount"))]
    assert disk_of(node, volume_id).state is FormatState.BLANK


@pytest.mark.parametrize("found", ["", "xfs"])
def test_formatted_volume_that_holds_something_else_is_damaged_and_left_as_it_is(
    node: FakeNode, volume_id: VolumeId, found: str
) -> None:
    """rules.md A4: a blank device with the mark "formatted" has lost its data; mkfs hides that."""
    stage(node, volume_id)
    unstage(node, volume_id)
    node.image(volume_id).fs_type = found
    points = points_of(node)
    with pytest.raises(FilesystemDamagedError, match="should hold ext4"):
        stage(node, volume_id)
    assert not [point for point in points if point.startswith(("format", "wipe", "mount"))]


def test_copy_of_a_raw_device_is_never_formatted(node: FakeNode) -> None:
    """rules.md A4: nobody knows what is on it."""
    block = node.volumes.create(volume_spec("block", capability=block_capability())).volume_id
    copy = node.volumes.create(volume_spec("copy", content_source=block)).volume_id
    with pytest.raises(FilesystemDamagedError, match="blank was found"):
        stage(node, copy)


def test_mark_is_read_from_the_pool_and_not_from_memory(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md A4."""
    before = node.catalogue.volume(volume_id)
    stage(node, volume_id)
    unstage(node, volume_id)
    node.image(volume_id).fs_type = ""
    node.catalogue.put_volume(before)
    with pytest.raises(FilesystemDamagedError):
        stage(node, volume_id)


def test_expanded_volume_grows_its_file_system_when_it_is_staged(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md A10."""
    stage(node, volume_id)
    unstage(node, volume_id)
    node.volumes.expand(volume_id, CapacityRange(GIB))
    stage(node, volume_id)
    assert node.image(volume_id).fs_size_bytes == GIB == disk_of(node, volume_id).filesystem_bytes
    points = points_of(node)
    stage(node, volume_id)
    assert "grow:before" not in points


@pytest.mark.parametrize("side", ["before", "after"])
def test_growth_that_was_cut_short_is_done_by_the_repetition(
    node: FakeNode, volume_id: VolumeId, side: str
) -> None:
    """rules.md A10: the size on record is never more than the file system's."""
    stage(node, volume_id)
    unstage(node, volume_id)
    node.volumes.expand(volume_id, CapacityRange(GIB))
    node.effects = once(f"grow:{side}", raising(OutcomeUnknownError("cut short")))
    with pytest.raises(OutcomeUnknownError):
        stage(node, volume_id)
    assert disk_of(node, volume_id).filesystem_bytes < GIB
    stage(node, volume_id)
    assert node.image(volume_id).fs_size_bytes == GIB == disk_of(node, volume_id).filesystem_bytes


def test_volume_that_is_mounted_read_only_grows_later(node: FakeNode, volume_id: VolumeId) -> None:
    stage(node, volume_id)
    unstage(node, volume_id)
    node.volumes.expand(volume_id, CapacityRange(GIB))
    read_only = mount_capability(mount_flags=["ro"])
    node.publishing.stage(stage_spec(node.kubelet_dir, volume_id, read_only))
    assert node.image(volume_id).fs_size_bytes < GIB
    unstage(node, volume_id)
    stage(node, volume_id)
    assert node.image(volume_id).fs_size_bytes == GIB


def test_xfs_clone_is_mounted_beside_its_source(node: FakeNode) -> None:
    """rules.md A11: the kernel refuses a second file system of the same UUID unless it is told."""
    source = node.volumes.create(volume_spec("source", capability=XFS)).volume_id
    node.publishing.publish(publish_spec(node.kubelet_dir, source, XFS))
    for name in ("copy-1", "copy-2"):
        copy = node.volumes.create(volume_spec(name, content_source=source)).volume_id
        node.publishing.publish(publish_spec(node.kubelet_dir, copy))
        assert disk_of(node, copy).has_twin_uuid
        assert node.image(copy).fs_generation == node.image(source).fs_generation
    assert not disk_of(node, source).has_twin_uuid


def test_xfs_source_is_mounted_beside_its_clone(node: FakeNode) -> None:
    """rules.md A11: also where the clone was mounted first."""
    source = node.volumes.create(volume_spec("source", capability=XFS)).volume_id
    stage(node, source)
    unstage(node, source)
    copy = node.volumes.create(volume_spec("copy", content_source=source)).volume_id
    stage(node, copy)
    stage(node, source)


def test_copy_of_a_volume_that_was_never_formatted_is_formatted_itself(node: FakeNode) -> None:
    """rules.md A4, A11: it gets a UUID of its own."""
    source = node.volumes.create(volume_spec("source", capability=XFS)).volume_id
    copy = node.volumes.create(volume_spec("copy", content_source=source)).volume_id
    for volume_id in (source, copy):
        stage(node, volume_id)
    assert not disk_of(node, copy).has_twin_uuid
    assert node.image(copy).fs_generation != node.image(source).fs_generation


def test_disk_is_attached_once_and_keeps_its_state(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md A11."""
    disk = Disk.read(node.pool, "v/pvc-1")
    staging = node.publishing.staging
    staging.ensure_attached(disk, is_read_only=True)
    staging.ensure_attached(disk, is_read_only=False)
    device = node.mounter.find_device(node.pool.data_path("v/pvc-1"))
    assert device is not None
    assert device.is_read_only
    assert staging.attach(disk).number == device.number
