"""What every `Mounter` promises, on the fake node and on this machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from csi_zfs.domain.model import DeviceNode, ImageFile, UsageUnit
from csi_zfs.domain.sizes import MIB
from csi_zfs.mount.api import (
    Device,
    DeviceBusyError,
    DeviceUnavailableError,
    FilesystemDamagedError,
    FreezeLimitError,
    Mounted,
    Mounter,
    MountFlagError,
    MountRequest,
    NotBlankError,
    Probe,
    TargetBusyError,
    TargetNotFoundError,
    TargetPathError,
)
from tests.support.mounter_worlds import (
    IMAGE_BYTES,
    World,
    WorldMaker,
    fake_world,
    linux_world,
)

both_filesystems = pytest.mark.parametrize("fs_type", ["ext4", "xfs"])


@pytest.fixture(
    params=[
        pytest.param(fake_world, id="fake"),
        pytest.param(linux_world, id="linux", marks=pytest.mark.root),
    ]
)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    make: WorldMaker = request.param
    with make(tmp_path) as made:
        yield made


@pytest.fixture
def mounter(world: World) -> Mounter:
    return world.mounter


@pytest.fixture
def image(world: World) -> ImageFile:
    return world.create_image("image")


def formatted(world: World, image: ImageFile, fs_type: str = "ext4") -> Device:
    device = world.mounter.attach(image)
    world.mounter.format(device, fs_type)
    return device


def staged(world: World, fs_type: str = "ext4", name: str = "image") -> tuple[Device, Path]:
    """A formatted device, mounted at a staging target."""
    device = formatted(world, world.create_image(name), fs_type)
    target = world.root / f"stage-{name}"
    world.mounter.mount(MountRequest(device, target, fs_type))
    return device, target


# --- devices ---


def test_attach_of_an_image_gives_a_writable_device_of_its_size(
    mounter: Mounter, image: ImageFile
) -> None:
    device = mounter.attach(image)
    assert device.size_bytes == IMAGE_BYTES
    assert not device.is_read_only
    assert mounter.find_device(image) == device


def test_attach_again_gives_the_same_device(mounter: Mounter, image: ImageFile) -> None:
    """rules.md A11."""
    assert mounter.attach(image) == mounter.attach(image)


def test_attach_after_a_rename_gives_the_same_device(world: World, image: ImageFile) -> None:
    """The file is looked for by inode, not by path: rules.md A11."""
    device = world.mounter.attach(image)
    renamed = world.rename_image(image, "renamed")
    assert world.mounter.attach(renamed) == device
    assert world.mounter.find_device(image) is None


def test_attach_of_a_missing_image_is_unavailable(mounter: Mounter, image: ImageFile) -> None:
    missing = ImageFile(image.path.with_name("missing"), IMAGE_BYTES)
    with pytest.raises(DeviceUnavailableError):
        mounter.attach(missing)
    assert mounter.find_device(missing) is None


def test_attach_of_an_image_of_another_size_is_unavailable(
    mounter: Mounter, image: ImageFile
) -> None:
    """rules.md A7."""
    with pytest.raises(DeviceUnavailableError):
        mounter.attach(ImageFile(image.path, IMAGE_BYTES - MIB))
    assert mounter.find_device(image) is None


def test_attach_brings_the_device_to_the_wanted_read_only_state(
    mounter: Mounter, image: ImageFile
) -> None:
    assert mounter.attach(image, is_read_only=True).is_read_only
    assert mounter.find_device(image) == mounter.attach(image, is_read_only=True)
    assert not mounter.attach(image).is_read_only


@pytest.mark.parametrize("is_read_only", [True, False])
def test_attach_never_flips_a_device_that_is_bound(
    world: World, image: ImageFile, *, is_read_only: bool
) -> None:
    """Its user would lose their writes, or a reader could write: whoever asks (rules.md A6)."""
    device = world.mounter.attach(image, is_read_only=is_read_only)
    world.mounter.bind_device(device, world.root / "pod")
    with pytest.raises(DeviceBusyError):
        world.mounter.attach(image, is_read_only=not is_read_only)
    assert world.mounter.find_device(image) == device
    world.mounter.unmount(world.root / "pod")
    flipped = world.mounter.attach(image, is_read_only=not is_read_only)
    assert flipped.is_read_only is not is_read_only


def test_attach_read_only_while_mounted_is_busy(world: World) -> None:
    device, _ = staged(world)
    image = ImageFile(world.create_image("other").path.with_name("image"), IMAGE_BYTES)
    with pytest.raises(DeviceBusyError):
        world.mounter.attach(image, is_read_only=True)
    assert world.mounter.find_device(image) == device


def test_attach_of_a_grown_image_grows_the_device(world: World, image: ImageFile) -> None:
    device = world.mounter.attach(image)
    grown = world.mounter.attach(world.grow_image(image, IMAGE_BYTES + MIB))
    assert (grown.number, grown.size_bytes) == (device.number, IMAGE_BYTES + MIB)


def test_detach_lets_the_device_go_and_may_be_repeated(mounter: Mounter, image: ImageFile) -> None:
    mounter.attach(image)
    mounter.detach(image)
    assert mounter.find_device(image) is None
    mounter.detach(image)


def test_detach_of_a_read_only_device_leaves_no_trace(mounter: Mounter, image: ImageFile) -> None:
    mounter.attach(image, is_read_only=True)
    mounter.detach(image)
    assert not mounter.attach(image).is_read_only


def test_detach_of_a_mounted_device_is_busy_and_names_the_target(world: World) -> None:
    """rules.md B4."""
    device, target = staged(world)
    image = ImageFile(world.create_image("other").path.with_name("image"), IMAGE_BYTES)
    with pytest.raises(DeviceBusyError, match=str(target)):
        world.mounter.detach(image)
    assert world.mounter.find_device(image) == device


def test_detach_of_a_bound_device_is_busy_and_names_the_target(
    world: World, image: ImageFile
) -> None:
    """Its number would soon be another volume's: rules.md B4."""
    target = world.root / "block"
    world.mounter.bind_device(world.mounter.attach(image), target)
    with pytest.raises(DeviceBusyError, match=str(target)):
        world.mounter.detach(image)


def test_missing_device_node_is_not_found(mounter: Mounter, tmp_path: Path) -> None:
    assert mounter.find_device(DeviceNode(tmp_path / "none", IMAGE_BYTES)) is None
    mounter.detach(DeviceNode(tmp_path / "none", IMAGE_BYTES))


# --- what is on them ---


def test_probe_of_a_new_image_is_blank(mounter: Mounter, image: ImageFile) -> None:
    assert mounter.probe(mounter.attach(image)) is Probe.BLANK


@both_filesystems
def test_probe_after_format_is_the_filesystem(world: World, image: ImageFile, fs_type: str) -> None:
    assert world.mounter.probe(formatted(world, image, fs_type)) == fs_type


def test_probe_of_raw_data_is_other(world: World, image: ImageFile) -> None:
    """No mark is found, and yet it is not blank: rules.md A4."""
    device = world.mounter.attach(image)
    world.mounter.bind_device(device, world.root / "block")
    world.write_raw(world.root / "block", b"precious".ljust(4096, b"\0"))
    assert world.mounter.probe(device) is Probe.OTHER


def test_format_of_a_device_with_data_is_refused_and_writes_nothing(
    world: World, image: ImageFile
) -> None:
    """rules.md A4."""
    device = world.mounter.attach(image)
    world.mounter.bind_device(device, world.root / "block")
    data = b"precious".ljust(4096, b"\0")
    world.write_raw(world.root / "block", data)
    with pytest.raises(NotBlankError):
        world.mounter.format(device, "ext4")
    assert world.read_raw(world.root / "block", 4096) == data


def test_format_of_a_formatted_device_is_refused(world: World, image: ImageFile) -> None:
    """rules.md A4."""
    device = formatted(world, image, "ext4")
    with pytest.raises(NotBlankError):
        world.mounter.format(device, "xfs")
    assert world.mounter.probe(device) is Probe.EXT4


def test_wipe_makes_a_formatted_device_blank(world: World, image: ImageFile) -> None:
    device = formatted(world, image)
    world.mounter.wipe(device)
    assert world.mounter.probe(device) is Probe.BLANK
    world.mounter.format(device, "xfs")


def test_wipe_of_a_mounted_device_is_busy_and_loses_nothing(world: World) -> None:
    device, target = staged(world)
    world.write_file(target, "file", b"data")
    with pytest.raises(DeviceBusyError):
        world.mounter.wipe(device)
    assert world.read_file(target, "file") == b"data"


# --- mounts ---


@both_filesystems
def test_mount_shows_the_device_at_the_target(world: World, image: ImageFile, fs_type: str) -> None:
    """rules.md A6."""
    device = formatted(world, image, fs_type)
    target = world.root / "a" / "stage"
    mounted = world.mounter.mount(MountRequest(device, target, fs_type, flags=("noatime",)))
    assert mounted == Mounted(target, device.number, fs_type, is_read_only=False)
    assert world.mounter.mounted_at(target) == mounted
    assert world.mounter.targets_of(device) == [target]
    world.write_file(target, "file", b"data")
    assert world.read_file(target, "file") == b"data"


def test_mount_again_is_the_same_mount(world: World) -> None:
    """rules.md B1."""
    device, target = staged(world)
    again = world.mounter.mount(MountRequest(device, target, "ext4"))
    assert again == world.mounter.mounted_at(target)
    assert world.mounter.targets_of(device) == [target]


@both_filesystems
def test_mount_again_corrects_the_read_only_state(
    world: World, image: ImageFile, fs_type: str
) -> None:
    device = formatted(world, image, fs_type)
    target = world.root / "stage"
    for is_read_only in (True, False, True):
        request = MountRequest(device, target, fs_type, is_read_only=is_read_only)
        assert world.mounter.mount(request).is_read_only is is_read_only
        assert world.mounter.mounted_at(target) == world.mounter.mount(request)


def test_mount_with_the_flag_ro_is_read_only(world: World, image: ImageFile) -> None:
    device = formatted(world, image)
    target = world.root / "stage"
    assert world.mounter.mount(MountRequest(device, target, "ext4", flags=("ro",))).is_read_only
    with pytest.raises(OSError, match=r"[Rr]ead-only"):
        world.write_file(target, "file", b"data")


def test_mount_of_another_device_at_a_used_target_is_busy(world: World, image: ImageFile) -> None:
    """rules.md A6."""
    device, target = staged(world, name="first")
    with pytest.raises(TargetBusyError):
        world.mounter.mount(MountRequest(formatted(world, image), target, "ext4"))
    assert world.mounter.targets_of(device) == [target]


def test_mount_of_a_blank_device_is_damaged(world: World, image: ImageFile) -> None:
    device = world.mounter.attach(image)
    with pytest.raises(FilesystemDamagedError):
        world.mounter.mount(MountRequest(device, world.root / "stage", "ext4"))
    assert world.mounter.targets_of(device) == []


def test_mount_with_a_flag_of_another_filesystem_is_refused(world: World, image: ImageFile) -> None:
    """rules.md C3."""
    device = formatted(world, image, "xfs")
    request = MountRequest(device, world.root / "stage", "xfs", flags=("data=journal",))
    with pytest.raises(MountFlagError, match="data"):
        world.mounter.mount(request)
    assert world.mounter.targets_of(device) == []


def test_mount_writable_of_a_read_only_device_is_unavailable(
    world: World, image: ImageFile
) -> None:
    formatted(world, image)
    device = world.mounter.attach(image, is_read_only=True)
    with pytest.raises(DeviceUnavailableError):
        world.mounter.mount(MountRequest(device, world.root / "stage", "ext4"))
    request = MountRequest(device, world.root / "stage", "ext4", is_read_only=True)
    assert world.mounter.mount(request).is_read_only


def test_mount_of_an_xfs_clone_needs_the_word_twin(world: World, image: ImageFile) -> None:
    """rules.md A11: two of one UUID, side by side with different content."""
    target, clone_target = world.root / "stage", world.root / "clone"
    world.mounter.mount(MountRequest(formatted(world, image, "xfs"), target, "xfs"))
    world.write_file(target, "file", b"before")
    with world.mounter.frozen([target], limit_s=60):
        clone = world.mounter.attach(world.clone_image(image, "clone"))
    world.write_file(target, "file", b"after")
    with pytest.raises(FilesystemDamagedError):
        world.mounter.mount(MountRequest(clone, clone_target, "xfs"))
    world.mounter.mount(MountRequest(clone, clone_target, "xfs", has_twin_uuid=True))
    assert world.read_file(clone_target, "file") == b"before"
    assert world.read_file(target, "file") == b"after"


@both_filesystems
def test_mount_read_only_of_a_clone_that_was_in_use_shows_what_was_synced(
    world: World, image: ImageFile, fs_type: str
) -> None:
    """Its log is replayed, although nobody may write to it."""
    target, clone_target = world.root / "stage", world.root / "clone"
    world.mounter.mount(MountRequest(formatted(world, image, fs_type), target, fs_type))
    world.write_file(target, "file", b"synced")
    clone = world.mounter.attach(world.clone_image(image, "clone"))
    world.mounter.mount(
        MountRequest(clone, clone_target, fs_type, is_read_only=True, has_twin_uuid=True)
    )
    assert world.read_file(clone_target, "file") == b"synced"


def test_bind_shows_the_source_at_the_target(world: World) -> None:
    device, stage = staged(world)
    target = world.root / "pod" / "mount"
    mounted = world.mounter.bind(stage, target, is_read_only=False)
    assert mounted == Mounted(target, device.number, "ext4", is_read_only=False)
    assert sorted(world.mounter.targets_of(device)) == [target, stage]
    world.write_file(target, "file", b"data")
    assert world.read_file(stage, "file") == b"data"


def test_bind_again_corrects_the_read_only_state(world: World) -> None:
    _, stage = staged(world)
    target = world.root / "pod"
    for is_read_only in (True, False, True):
        mounted = world.mounter.bind(stage, target, flags=("nosuid",), is_read_only=is_read_only)
        assert mounted.is_read_only is is_read_only
    with pytest.raises(OSError, match=r"[Rr]ead-only"):
        world.write_file(target, "file", b"data")
    world.write_file(stage, "file", b"data")


def test_bind_of_a_source_without_a_mount_is_not_found(world: World) -> None:
    """rules.md A6: what would be shown is the node's own disk."""
    (world.root / "stage").mkdir()
    with pytest.raises(TargetNotFoundError):
        world.mounter.bind(world.root / "stage", world.root / "pod", is_read_only=False)
    with pytest.raises(TargetNotFoundError):
        world.mounter.bind(world.root / "missing", world.root / "pod", is_read_only=False)
    assert world.mounter.mounted_at(world.root / "pod") is None


def test_bind_over_another_mount_is_busy(world: World) -> None:
    _, first = staged(world, name="first")
    _, second = staged(world, name="second")
    with pytest.raises(TargetBusyError):
        world.mounter.bind(first, second, is_read_only=False)


def test_bind_device_shows_the_device_at_a_file(world: World, image: ImageFile) -> None:
    device = world.mounter.attach(image)
    target = world.root / "block"
    mounted = world.mounter.bind_device(device, target)
    assert mounted == Mounted(target, device.number, "", is_read_only=False, is_block=True)
    assert world.mounter.bind_device(device, target) == mounted
    assert world.mounter.mounted_at(target) == mounted
    assert world.mounter.targets_of(device) == [target]
    world.write_raw(target, b"x" * 4096)
    assert world.read_raw(target, 4096) == b"x" * 4096


def test_bind_device_read_only_takes_no_writes(world: World, image: ImageFile) -> None:
    device = world.mounter.attach(image, is_read_only=True)
    target = world.root / "block"
    assert world.mounter.bind_device(device, target).is_read_only
    with pytest.raises(PermissionError):
        world.write_raw(target, b"x" * 4096)


def test_bind_device_over_another_device_is_busy(world: World, image: ImageFile) -> None:
    target = world.root / "block"
    world.mounter.bind_device(world.mounter.attach(image), target)
    with pytest.raises(TargetBusyError):
        world.mounter.bind_device(world.mounter.attach(world.create_image("other")), target)


def test_mounted_at_a_plain_or_missing_target_is_none(world: World) -> None:
    (world.root / "plain").mkdir()
    assert world.mounter.mounted_at(world.root / "plain") is None
    assert world.mounter.mounted_at(world.root / "missing") is None


# --- targets ---


@pytest.mark.parametrize("escape", ["", "../outside", "a/../../outside", "a/../b", "nul\0l"])
def test_path_that_is_not_below_the_root_is_refused(
    world: World, image: ImageFile, escape: str
) -> None:
    """rules.md C1."""
    target = world.root / escape
    device = formatted(world, image)
    with pytest.raises(TargetPathError):
        world.mounter.mount(MountRequest(device, target, "ext4"))
    with pytest.raises(TargetPathError):
        world.mounter.mounted_at(target)
    with pytest.raises(TargetPathError):
        world.mounter.unmount(target)


def test_path_through_a_symbolic_link_is_refused(
    world: World, image: ImageFile, tmp_path: Path
) -> None:
    """rules.md C1: the link leads out of the root, or back into it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (world.root / "out").symlink_to(outside)
    (world.root / "loop").symlink_to(world.root)
    device = formatted(world, image)
    for target in ("out", "out/stage", "loop/stage"):
        with pytest.raises(TargetPathError):
            world.mounter.mount(MountRequest(device, world.root / target, "ext4"))
        with pytest.raises(TargetPathError):
            world.mounter.bind_device(device, world.root / target)
    assert list(outside.iterdir()) == []
    assert world.mounter.targets_of(device) == []


def test_target_of_the_wrong_type_is_refused(world: World, image: ImageFile) -> None:
    (world.root / "file").write_bytes(b"data")
    (world.root / "directory").mkdir()
    device = formatted(world, image)
    with pytest.raises(TargetPathError):
        world.mounter.mount(MountRequest(device, world.root / "file", "ext4"))
    with pytest.raises(TargetPathError):
        world.mounter.mount(MountRequest(device, world.root / "file" / "below", "ext4"))
    for name in ("file", "directory"):
        with pytest.raises(TargetPathError):
            world.mounter.bind_device(device, world.root / name)
    assert (world.root / "file").read_bytes() == b"data"


def test_unmount_removes_a_mounted_directory_and_may_be_repeated(world: World) -> None:
    device, target = staged(world)
    world.mounter.unmount(target)
    assert not target.exists()
    assert world.mounter.targets_of(device) == []
    world.mounter.unmount(target)


def test_unmount_removes_the_file_of_a_block_device(world: World, image: ImageFile) -> None:
    device = world.mounter.attach(image)
    world.mounter.bind_device(device, world.root / "block")
    world.mounter.unmount(world.root / "block")
    assert not (world.root / "block").exists()
    world.mounter.detach(image)


def test_unmount_leaves_the_content_of_the_volume(world: World) -> None:
    """rules.md A1."""
    device, target = staged(world)
    world.write_file(target, "file", b"data")
    world.mounter.unmount(target)
    world.mounter.mount(MountRequest(device, target, "ext4"))
    assert world.read_file(target, "file") == b"data"


def test_unmount_of_a_target_that_is_not_mounted_removes_it_if_empty(world: World) -> None:
    (world.root / "directory").mkdir()
    (world.root / "file").touch()
    for name in ("directory", "file", "missing", "missing/below"):
        world.mounter.unmount(world.root / name)
    assert list(world.root.iterdir()) == []


@pytest.mark.parametrize("name", ["directory", "file", "link"])
def test_unmount_never_removes_data(world: World, name: str, tmp_path: Path) -> None:
    """rules.md A1: what lies at the target is not the driver's."""
    (world.root / "directory" / "below").mkdir(parents=True)
    (world.root / "file").write_bytes(b"data")
    (world.root / "link").symlink_to(tmp_path)
    with pytest.raises(TargetBusyError):
        world.mounter.unmount(world.root / name)
    assert sorted(path.name for path in world.root.iterdir()) == ["directory", "file", "link"]
    assert (world.root / "directory" / "below").is_dir()


def test_unmount_of_a_target_in_use_is_busy_and_names_the_process(world: World) -> None:
    """rules.md B4."""
    device, target = staged(world)
    with world.using(target), pytest.raises(TargetBusyError, match=r"process [0-9]+ \("):
        world.mounter.unmount(target)
    assert world.mounter.targets_of(device) == [target]
    world.mounter.unmount(target)


# --- growth, freeze, usage ---


def test_grow_of_an_xfs_fills_the_grown_device(world: World, image: ImageFile) -> None:
    """rules.md A10."""
    target = world.root / "stage"
    world.mounter.mount(MountRequest(formatted(world, image, "xfs"), target, "xfs"))
    before = world.mounter.usage(target)[0].total
    device = world.mounter.attach(world.grow_image(image, IMAGE_BYTES + 64 * MIB))
    mounted = world.mounter.mounted_at(target)
    assert mounted is not None
    for _ in range(2):
        world.mounter.grow(device, mounted)
        assert world.mounter.usage(target)[0].total == before + 64 * MIB


def test_grow_of_a_target_that_is_not_mounted_is_not_found(world: World) -> None:
    device, target = staged(world)
    mounted = world.mounter.mounted_at(target)
    assert mounted is not None
    world.mounter.unmount(target)
    with pytest.raises(TargetNotFoundError):
        world.mounter.grow(device, mounted)


def test_grow_of_a_target_that_shows_another_device_is_not_found(
    world: World, image: ImageFile
) -> None:
    _, target = staged(world, name="other")
    mounted = world.mounter.mounted_at(target)
    assert mounted is not None
    with pytest.raises(TargetNotFoundError):
        world.mounter.grow(world.mounter.attach(image), mounted)


@both_filesystems
def test_frozen_block_ends_with_writable_filesystems(world: World, fs_type: str) -> None:
    _, first = staged(world, fs_type, "first")
    _, second = staged(world, fs_type, "second")
    with world.mounter.frozen([first, second], limit_s=60):
        pass
    for target in (first, second):
        world.write_file(target, "file", b"data")


def test_frozen_block_with_two_mounts_of_one_filesystem_freezes_it_once(world: World) -> None:
    _, stage = staged(world)
    world.mounter.bind(stage, world.root / "pod", is_read_only=True)
    with world.mounter.frozen([stage, world.root / "pod"], limit_s=60):
        pass
    world.write_file(stage, "file", b"data")


def test_frozen_block_that_fails_thaws_and_does_not_hide_the_failure(world: World) -> None:
    _, target = staged(world)
    with pytest.raises(KeyError), world.mounter.frozen([target], limit_s=60):
        raise KeyError
    world.write_file(target, "file", b"data")


def test_frozen_block_leaves_what_somebody_else_has_frozen_to_them(world: World) -> None:
    """A backup's hook that freezes before it asks for a snapshot is served."""
    _, first = staged(world, name="first")
    _, second = staged(world, name="second")
    with world.mounter.frozen([second], limit_s=60):
        with world.mounter.frozen([first, second], limit_s=60):
            assert world.is_frozen(second)
        assert world.is_frozen(second)
        assert not world.is_frozen(first)
    for target in (first, second):
        world.write_file(target, "file", b"data")


def test_frozen_block_of_a_target_that_is_not_mounted_is_not_found(world: World) -> None:
    """What would be frozen is the node's own disk."""
    (world.root / "plain").mkdir()
    with (
        pytest.raises(TargetNotFoundError),
        world.mounter.frozen([world.root / "plain"], limit_s=60),
    ):
        pytest.fail("the block ran")
    with pytest.raises(TargetNotFoundError):
        world.mounter.thaw(world.root / "plain")


def test_frozen_block_beyond_the_limit_does_not_count(world: World) -> None:
    _, target = staged(world)
    with (
        pytest.raises(FreezeLimitError),
        world.mounter.frozen([target], limit_s=0.1),
    ):
        world.outlast_freeze(target, limit_s=0.1)


def test_thaw_of_a_filesystem_that_is_not_frozen_does_nothing(world: World) -> None:
    _, target = staged(world)
    world.mounter.thaw(target)
    world.write_file(target, "file", b"data")


@both_filesystems
def test_usage_counts_bytes_and_inodes(world: World, fs_type: str) -> None:
    _, target = staged(world, fs_type)
    world.write_file(target, "file", b"x" * MIB)
    in_bytes, in_inodes = world.mounter.usage(target)
    assert (in_bytes.unit, in_inodes.unit) == (UsageUnit.BYTES, UsageUnit.INODES)
    assert in_bytes.total > in_bytes.used >= MIB
    assert 0 < in_bytes.available <= in_bytes.total - in_bytes.used
    assert in_inodes.total > in_inodes.used >= 1


def test_usage_of_a_block_device_is_its_size(world: World, image: ImageFile) -> None:
    world.mounter.bind_device(world.mounter.attach(image), world.root / "block")
    [usage] = world.mounter.usage(world.root / "block")
    assert (usage.unit, usage.total) == (UsageUnit.BYTES, IMAGE_BYTES)


def test_usage_of_a_target_that_is_not_mounted_is_not_found(world: World) -> None:
    (world.root / "plain").mkdir()
    for name in ("plain", "missing"):
        with pytest.raises(TargetNotFoundError):
            world.mounter.usage(world.root / name)
