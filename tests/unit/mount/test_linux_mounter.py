"""What only the real kernel can show: dead file systems, stacked mounts, read-only devices."""

import errno
import fcntl
import os
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from csi_zfs.domain.model import DeviceNode, ImageFile
from csi_zfs.domain.sizes import MIB
from csi_zfs.mount import mount_table, placing, syscalls
from csi_zfs.mount.api import (
    Device,
    DeviceBusyError,
    DeviceUnavailableError,
    FilesystemDamagedError,
    FilesystemUnsupportedError,
    Mounted,
    MountFlagError,
    MountRequest,
    TargetBusyError,
    TargetNotFoundError,
)
from csi_zfs.mount.mount_table import bound_device
from csi_zfs.mount.mountinfo import MountEntry, load_mountinfo, top_at
from tests.support.cleanup import mounts_below
from tests.support.mounter_worlds import IMAGE_BYTES, LinuxWorld

pytestmark = pytest.mark.root

both_filesystems = pytest.mark.parametrize("fs_type", ["ext4", "xfs"])
_GOINGDOWN = 0x8004587D


@contextmanager
def opened(path: Path, flags: int = os.O_RDONLY) -> Iterator[int]:
    descriptor = os.open(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def staged(node: LinuxWorld, device: Device, fs_type: str) -> Path:
    node.mounter.format(device, fs_type)
    target = node.root / "stage"
    node.mounter.mount(MountRequest(device, target, fs_type))
    return target


def shut_down(target: Path) -> None:
    """Cut the file system off its device, as an I/O error does."""
    with opened(target) as directory:
        fcntl.ioctl(directory, _GOINGDOWN, struct.pack("=I", 2))


# --- B5: a file system that is dead ---


@both_filesystems
def test_dead_filesystem_is_seen_and_unmounted(
    node: LinuxWorld, device: Device, image: ImageFile, fs_type: str
) -> None:
    """rules.md B5."""
    target = staged(node, device, fs_type)
    pod = node.root / "pod"
    node.mounter.bind(target, pod, is_read_only=False)
    shut_down(target)
    assert node.mounter.mounted_at(pod) == Mounted(pod, device.number, fs_type, is_read_only=False)
    assert node.mounter.usage(pod)
    for path in (pod, target):
        node.mounter.unmount(path)
    node.mounter.detach(image)


@both_filesystems
def test_dead_filesystem_is_never_called_mounted(
    node: LinuxWorld, device: Device, fs_type: str
) -> None:
    """rules.md A6, A12; unmounted and mounted again, it lives (B6)."""
    target = staged(node, device, fs_type)
    node.write_file(target, "file", b"synced")
    shut_down(target)
    with pytest.raises(DeviceUnavailableError):
        node.mounter.mount(MountRequest(device, target, fs_type))
    with pytest.raises(DeviceUnavailableError):
        node.mounter.bind(target, node.root / "pod", is_read_only=False)
    node.mounter.unmount(node.root / "pod")
    node.mounter.unmount(target)
    node.mounter.mount(MountRequest(device, target, fs_type))
    assert node.read_file(target, "file") == b"synced"


# --- B5: a device that is gone ---


def test_bound_device_that_is_gone_is_seen_and_unmounted(
    node: LinuxWorld, device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rules.md B5: the node of an unplugged device stays bound, and takes no writes."""
    target = node.root / "block"
    node.mounter.bind_device(device, target)
    monkeypatch.setattr(mount_table, "_SYSFS", tmp_path / "sysfs-without-it")
    gone = Mounted(target, device.number, "", is_read_only=True, is_block=True)
    assert node.mounter.mounted_at(target) == gone
    assert node.mounter.targets_of(device) == [target]
    with pytest.raises(DeviceUnavailableError):
        node.mounter.usage(target)
    node.mounter.unmount(target)
    assert node.mounter.mounted_at(target) is None


def test_sysfs_that_fails_otherwise_is_unavailable(
    node: LinuxWorld, device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = node.root / "block"
    node.mounter.bind_device(device, target)
    looping = tmp_path / "looping"
    looping.symlink_to(looping)
    monkeypatch.setattr(mount_table, "_SYSFS", looping)
    with pytest.raises(DeviceUnavailableError):
        node.mounter.mounted_at(target)


LOOKS: dict[str, Callable[[LinuxWorld, ImageFile, Device], object]] = {
    "mounted_at": lambda node, _image, _device: node.mounter.mounted_at(node.root / "stage"),
    "targets_of": lambda node, _image, device: node.mounter.targets_of(device),
    "detach": lambda node, image, _device: node.mounter.detach(image),
}


@pytest.mark.parametrize("look", LOOKS)
def test_table_of_mounts_that_cannot_be_read_is_unavailable(
    node: LinuxWorld, image: ImageFile, monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    """Callers are told in the driver's words, and go on with the next volume."""
    device = node.mounter.attach(image)

    def refuse() -> list[MountEntry]:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        for module in (mount_table, placing):
            patch.setattr(module, "load_mountinfo", refuse)
        with pytest.raises(DeviceUnavailableError, match="Too many"):
            LOOKS[look](node, image, device)
    node.mounter.detach(image)


# --- A6: what is mounted is what was asked for ---


def test_path_that_leads_to_another_device_is_found_out_before_anybody_sees_it(
    node: LinuxWorld, device: Device, image: ImageFile
) -> None:
    """rules.md A6."""
    other = node.mounter.attach(node.create_image("other"))
    node.mounter.format(other, "xfs")
    request = MountRequest(replace(device, path=other.path), node.root / "stage", "xfs")
    with pytest.raises(FilesystemDamagedError, match="instead of"):
        node.mounter.mount(request)
    assert mounts_below(node.root) == []
    node.mounter.detach(image)


def test_mount_that_is_not_there_at_the_end_is_an_error(node: LinuxWorld, device: Device) -> None:
    """rules.md A6."""
    wanted = Mounted(node.root / "stage", device.number, "ext4", is_read_only=False)
    with pytest.raises(TargetBusyError, match="shows None"):
        node.mounter._placing._settled(wanted)


def test_unknown_filesystem_is_unsupported(node: LinuxWorld, device: Device) -> None:
    with pytest.raises(FilesystemUnsupportedError):
        node.mounter.mount(MountRequest(device, node.root / "stage", "nofs"))


def test_fsopen_that_fails_otherwise_is_unavailable(
    node: LinuxWorld, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str) -> int:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(syscalls, "open_filesystem", refuse)
    with pytest.raises(DeviceUnavailableError, match="not permitted"):
        node.mounter.mount(MountRequest(device, node.root / "stage", "ext4"))


@both_filesystems
def test_log_is_not_replayed_on_a_read_only_device_and_the_error_says_so(
    node: LinuxWorld, device: Device, image: ImageFile, fs_type: str
) -> None:
    """Mounted without its log, it would show a state that nobody ever synced."""
    target = staged(node, device, fs_type)
    node.write_file(target, "file", b"synced")
    clone = node.clone_image(image, "clone")
    request = MountRequest(
        node.mounter.attach(clone, is_read_only=True),
        node.root / "clone",
        fs_type,
        is_read_only=True,
        has_twin_uuid=True,
    )
    with pytest.raises(DeviceUnavailableError, match="log"):
        node.mounter.mount(request)
    node.mounter.mount(replace(request, device=node.mounter.attach(clone)))
    assert node.read_file(node.root / "clone", "file") == b"synced"


def test_filesystem_of_a_read_only_device_does_not_become_writable(
    node: LinuxWorld, device: Device, image: ImageFile
) -> None:
    """rules.md A6: neither at its target, nor, beside that, at another one."""
    node.mounter.format(device, "ext4")
    read_only = node.mounter.attach(image, is_read_only=True)
    target = node.root / "stage"
    node.mounter.mount(MountRequest(read_only, target, "ext4", is_read_only=True))
    with pytest.raises(DeviceBusyError, match=str(target)):
        node.mounter.attach(image)
    subprocess.run(["blockdev", "--setrw", read_only.path], check=True)  # by hand
    writable = node.mounter.attach(image)
    with pytest.raises(FilesystemDamagedError, match="read-only"):
        node.mounter.mount(MountRequest(writable, target, "ext4"))
    with pytest.raises(DeviceBusyError, match=str(target)):
        node.mounter.mount(MountRequest(writable, node.root / "other", "ext4"))


def test_read_only_state_is_not_forced_on_a_writer(
    node: LinuxWorld, device: Device, stage: Path
) -> None:
    """rules.md B4."""
    with (
        (stage / "file").open("wb"),
        pytest.raises(TargetBusyError, match=f"process {os.getpid()} "),
    ):
        node.mounter.mount(MountRequest(device, stage, "ext4", is_read_only=True))


def test_read_only_state_that_cannot_be_set_is_unavailable(
    node: LinuxWorld, device: Device, stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(syscalls, "set_mount_attributes", refuse)
    with pytest.raises(DeviceUnavailableError, match="not permitted"):
        node.mounter.mount(MountRequest(device, stage, "ext4", is_read_only=True))


def test_flags_of_the_mount_and_of_the_filesystem_each_take_effect(
    node: LinuxWorld, device: Device
) -> None:
    """rules.md C3."""
    node.mounter.format(device, "ext4")
    flags = ("nosuid", "nodev", "noexec", "noatime", "nodiratime", "sync", "errors=remount-ro")
    node.mounter.mount(MountRequest(device, node.root / "stage", "ext4", flags=flags))
    found = top_at(load_mountinfo(), str(node.root / "stage"))
    assert found is not None
    assert set(flags[:5]) <= set(found.options.split(","))
    assert set(flags[5:]) <= set(found.super_options.split(","))


def test_flags_that_do_not_go_together_are_no_damage(node: LinuxWorld, device: Device) -> None:
    """rules.md C3: the kernel says the same of both."""
    node.mounter.format(device, "ext4")
    flags = ("data=journal", "delalloc")
    with pytest.raises(MountFlagError, match="data=journal, delalloc"):
        node.mounter.mount(MountRequest(device, node.root / "stage", "ext4", flags=flags))


def test_flags_of_a_bind_are_its_own(node: LinuxWorld, stage: Path) -> None:
    pod = node.root / "pod"
    node.mounter.bind(stage, pod, flags=("strictatime", "nosuid", "sync"), is_read_only=True)
    options = {}
    for path in (stage, pod):
        found = top_at(load_mountinfo(), str(path))
        assert found is not None
        options[path] = set(found.options.split(","))
    assert options[pod] == {"ro", "nosuid"}
    assert options[stage] == {"rw", "relatime"}


# --- unmount ---


def test_unmount_takes_away_all_that_is_stacked(node: LinuxWorld, stage: Path) -> None:
    for _ in range(3):
        subprocess.run(["mount", "--bind", stage, stage], check=True)
    node.mounter.unmount(stage)
    assert mounts_below(node.root) == []
    assert not stage.exists()


def test_unmount_with_a_mount_below_is_busy_and_names_it(node: LinuxWorld, stage: Path) -> None:
    """rules.md B4."""
    (stage / "inner").mkdir()
    subprocess.run(["mount", "--bind", stage / "inner", stage / "inner"], check=True)
    with pytest.raises(TargetBusyError, match=f"the mount {stage}/inner"):
        node.mounter.unmount(stage)


def test_unmount_that_somebody_else_does_at_the_same_moment_is_done(
    node: LinuxWorld, stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rules.md B1."""
    unmount = syscalls.unmount

    def second(directory: int, name: str) -> None:
        unmount(directory, name)
        unmount(directory, name)

    monkeypatch.setattr(syscalls, "unmount", second)
    node.mounter.unmount(stage)
    assert not stage.exists()


def test_unmount_that_the_kernel_refuses_is_unavailable(
    node: LinuxWorld, stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_directory: int, _name: str) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(syscalls, "unmount", refuse)
    with pytest.raises(DeviceUnavailableError, match="not permitted"):
        node.mounter.unmount(stage)
    assert stage.is_dir()


def test_unmount_without_end_ends(
    node: LinuxWorld, stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rules.md A1: what is still mounted is not removed."""
    monkeypatch.setattr(syscalls, "unmount", lambda *_: None)
    with pytest.raises(TargetBusyError, match="still mounted"):
        node.mounter.unmount(stage)
    assert stage.is_dir()


# --- devices ---


def test_device_node_goes_through_the_same_life(
    node: LinuxWorld, device: Device, tmp_path: Path
) -> None:
    """What a zvol will be: a link below /dev."""
    link = tmp_path / "zvol"
    link.symlink_to(device.path)
    zvol = DeviceNode(link, IMAGE_BYTES)
    assert node.mounter.attach(zvol) == node.mounter.find_device(zvol) == device
    target = staged(node, device, "xfs")
    with pytest.raises(DeviceBusyError, match=str(target)):
        node.mounter.detach(zvol)
    node.mounter.unmount(target)
    node.mounter.detach(zvol)
    assert node.mounter.attach(zvol, is_read_only=True).is_read_only


def test_device_node_that_leads_elsewhere_is_not_found(
    node: LinuxWorld, device: Device, tmp_path: Path
) -> None:
    """rules.md A7."""
    assert node.mounter.find_device(DeviceNode(device.path, IMAGE_BYTES + MIB)) is None
    assert node.mounter.find_device(DeviceNode(tmp_path, IMAGE_BYTES)) is None


def test_detach_of_a_device_that_somebody_holds_is_busy_and_names_the_process(
    node: LinuxWorld, device: Device, image: ImageFile
) -> None:
    """rules.md B4."""
    zvol = DeviceNode(device.path, IMAGE_BYTES)
    with opened(device.path, os.O_RDONLY | os.O_EXCL):
        for data_path in (image, zvol):
            with pytest.raises(DeviceBusyError, match=f"process {os.getpid()} "):
                node.mounter.detach(data_path)
    node.mounter.detach(image)


def test_mount_that_hides_a_target_is_not_the_targets(node: LinuxWorld, stage: Path) -> None:
    """rules.md A6: the path leads elsewhere than the table says."""
    subprocess.run(["mount", "-t", "tmpfs", "none", node.root], check=True)
    (node.root / stage.name).mkdir()
    with pytest.raises(TargetNotFoundError):
        node.mounter.usage(stage)
    subprocess.run(["umount", node.root], check=True)


def test_bound_directory_of_a_tmpfs_is_no_device(tmp_path: Path) -> None:
    entry = MountEntry(1, 0, (0, 5), "/directory", str(tmp_path), "rw", "tmpfs", "rw")
    assert bound_device(entry) is None
    assert bound_device(entry._replace(mount_point=str(tmp_path / "gone"))) is None
