"""What every `Mounter` promises of native file systems, on a fake node and on real OpenZFS."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from csi_zfs.domain.model import NativeFilesystem, UsageUnit
from csi_zfs.mount.api import (
    DeviceBusyError,
    DeviceUnavailableError,
    Mounted,
    MountFlagError,
    NativeMountRequest,
    TargetBusyError,
)
from csi_zfs.zfs.binding import DirectLibzfsCore
from tests.support.machine import why_no_openzfs
from tests.support.native_worlds import (
    FILESYSTEM_BYTES,
    FakeNativeWorld,
    NativeWorld,
    zfs_native_world,
)
from tests.support.zfs_pools import Zpool, made_zpool

# Few machines have OpenZFS: `make e2e-zfs` runs these in one that has, and fails where none ran.
ON_OPENZFS = [pytest.param("openzfs", id="openzfs", marks=pytest.mark.root)]
WORLDS = [pytest.param("fake", id="fake"), *(ON_OPENZFS if why_no_openzfs() is None else [])]


@pytest.fixture(scope="module")
def zpool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zpool]:
    with made_zpool(tmp_path_factory.mktemp("zpool"), DirectLibzfsCore()) as made:
        yield made


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NativeWorld]:
    if request.param == "fake":
        yield FakeNativeWorld(tmp_path)
        return
    with zfs_native_world(tmp_path, request.getfixturevalue("zpool")) as made:
        yield made


@pytest.fixture
def stage(world: NativeWorld) -> Path:
    return world.root / "stage"


@pytest.fixture
def filesystem(world: NativeWorld, request: pytest.FixtureRequest) -> NativeFilesystem:
    return world.filesystem(f"f-{abs(hash(request.node.name)):x}")


@pytest.fixture
def mounted(world: NativeWorld, filesystem: NativeFilesystem, stage: Path) -> Mounted:
    return world.mounter.mount_native(NativeMountRequest(filesystem, stage))


def test_mount_native_shows_the_file_system_at_the_target(
    world: NativeWorld, filesystem: NativeFilesystem, stage: Path, mounted: Mounted
) -> None:
    """rules.md A6: by its name, and by the number of what is mounted."""
    assert world.mounter.mounted_at(stage) == mounted
    assert (mounted.fs_type, mounted.dataset_name) == ("zfs", filesystem.dataset_name)
    assert (mounted.is_read_only, mounted.is_block) == (False, False)
    world.write_file(stage, "file", b"data")
    assert world.read_file(stage, "file") == b"data"


def test_mount_native_again_is_the_same_mount(
    world: NativeWorld, filesystem: NativeFilesystem, stage: Path, mounted: Mounted
) -> None:
    request = NativeMountRequest(filesystem, stage)
    assert world.mounter.mount_native(request) == mounted
    read_only = world.mounter.mount_native(replace(request, is_read_only=True))
    assert read_only == replace(mounted, is_read_only=True)
    with pytest.raises(OSError, match="Read-only"):
        world.write_file(stage, "file", b"data")
    assert world.mounter.mount_native(request) == mounted
    world.write_file(stage, "file", b"data")


@pytest.mark.parametrize("flag", ["", "ro"])
def test_mount_native_read_only_beside_a_writable_one(
    world: NativeWorld, filesystem: NativeFilesystem, mounted: Mounted, flag: str
) -> None:
    """Read-only is a mount, not the file system; both are one and the same."""
    target = world.root / "second"
    request = NativeMountRequest(
        filesystem, target, flags=[flag] if flag else [], is_read_only=not flag
    )
    second = world.mounter.mount_native(request)
    assert second == replace(mounted, target=target, is_read_only=True)
    world.write_file(mounted.target, "file", b"data")
    assert world.read_file(target, "file") == b"data"


def test_mount_native_of_another_one_at_a_used_target_is_busy(
    world: NativeWorld, filesystem: NativeFilesystem, stage: Path, mounted: Mounted
) -> None:
    """rules.md A6."""
    other = world.filesystem(f"{filesystem.dataset_name.rpartition('/')[2]}-2")
    with pytest.raises(TargetBusyError):
        world.mounter.mount_native(NativeMountRequest(other, stage))
    assert world.mounter.mounted_at(stage) == mounted


def test_mount_native_of_a_missing_one_is_unavailable(
    world: NativeWorld, filesystem: NativeFilesystem, stage: Path
) -> None:
    missing = replace(filesystem, dataset_name=f"{filesystem.dataset_name}-none")
    with pytest.raises(DeviceUnavailableError, match="none"):
        world.mounter.mount_native(NativeMountRequest(missing, stage))
    assert world.mounter.mounted_at(stage) is None


@pytest.mark.parametrize("flag", ["discard", "data=ordered", "sync", "lazytime"])
def test_mount_native_with_a_flag_that_zfs_does_not_know_is_refused(
    world: NativeWorld, filesystem: NativeFilesystem, stage: Path, flag: str
) -> None:
    """rules.md C3: the kernel's ZFS would take it, and do nothing."""
    with pytest.raises(MountFlagError, match=flag):
        world.mounter.mount_native(NativeMountRequest(filesystem, stage, flags=[flag]))
    assert world.mounter.mounted_at(stage) is None


def test_bind_of_a_native_file_system_shows_the_same(
    world: NativeWorld, stage: Path, mounted: Mounted
) -> None:
    target = world.root / "pod"
    shown = world.mounter.bind(stage, target, flags=["noatime"], is_read_only=True)
    assert shown == replace(mounted, target=target, is_read_only=True)
    assert world.mounter.bind(stage, target, is_read_only=True) == shown


def test_unmount_of_a_native_file_system_removes_the_target_and_keeps_the_data(
    world: NativeWorld, filesystem: NativeFilesystem, stage: Path, mounted: Mounted
) -> None:
    """rules.md A1."""
    world.write_file(stage, "file", b"data")
    world.mounter.unmount(mounted.target)
    assert not stage.exists()
    world.mounter.mount_native(NativeMountRequest(filesystem, stage))
    assert world.read_file(stage, "file") == b"data"


def test_detach_of_a_native_file_system_only_looks_whether_it_is_mounted(
    world: NativeWorld, filesystem: NativeFilesystem, stage: Path, mounted: Mounted
) -> None:
    """rules.md B4: the words say where."""
    with pytest.raises(DeviceBusyError, match=str(stage)):
        world.mounter.detach(filesystem)
    assert world.mounter.mounted_at(stage) == mounted
    world.mounter.unmount(stage)
    world.mounter.detach(filesystem)


def test_native_file_system_has_no_device(world: NativeWorld, filesystem: NativeFilesystem) -> None:
    assert world.mounter.find_device(filesystem) is None
    with pytest.raises(DeviceUnavailableError, match="no device"):
        world.mounter.attach(filesystem)


def test_frozen_native_file_system_is_refused(
    world: NativeWorld, stage: Path, mounted: Mounted
) -> None:
    """ZFS has no freeze: whoever asks for one would believe in what is not there."""
    with pytest.raises(DeviceUnavailableError), world.mounter.frozen([stage], limit_s=5):
        pytest.fail("it was entered")
    assert world.mounter.mounted_at(stage) == mounted
    world.write_file(stage, "file", b"data")


def test_usage_of_a_native_file_system_is_within_its_size(
    world: NativeWorld, stage: Path, mounted: Mounted
) -> None:
    usages = {usage.unit: usage for usage in world.mounter.usage(mounted.target)}
    assert usages[UsageUnit.BYTES].total == FILESYSTEM_BYTES
    assert usages[UsageUnit.INODES].total > 0
    world.write_file(stage, "file", b"data")
