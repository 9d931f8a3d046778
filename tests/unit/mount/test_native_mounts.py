"""Native file systems on `LinuxMounter`, as far as a kernel without ZFS can tell."""

from pathlib import Path

import pytest

from csi_zfs.domain.model import NativeFilesystem
from csi_zfs.domain.sizes import MIB
from csi_zfs.mount.api import (
    DeviceUnavailableError,
    FilesystemUnsupportedError,
    MountFlagError,
    NativeMountRequest,
)
from csi_zfs.mount.linux import LinuxMounter
from csi_zfs.mount.mountinfo import parse_mountinfo
from csi_zfs.system.runner import SystemRunner
from tests.support.machine import why_no_openzfs

FILESYSTEM = NativeFilesystem("tank/csi/v/a", 64 * MIB)


@pytest.fixture
def mounter(tmp_path: Path) -> LinuxMounter:
    return LinuxMounter(SystemRunner(), root=tmp_path)


def test_native_mount_is_known_by_its_source() -> None:
    """rules.md A6; the source of any other file system is no dataset."""
    table = b"34 30 0:29 / /a rw - zfs tank/csi/v/a rw\n35 30 7:1 / /b rw - ext4 /dev/loop1 rw\n"
    assert [entry.dataset_name for entry in parse_mountinfo(table)] == ["tank/csi/v/a", ""]


@pytest.mark.parametrize("flag", ["discard", "data=ordered", "sync"])
def test_flag_that_zfs_does_not_know_is_refused_before_anything_else(
    mounter: LinuxMounter, tmp_path: Path, flag: str
) -> None:
    """rules.md C3."""
    request = NativeMountRequest(FILESYSTEM, tmp_path / "stage", flags=["noatime", flag])
    with pytest.raises(MountFlagError, match=flag):
        mounter.mount_native(request)


@pytest.mark.root
@pytest.mark.skipif(why_no_openzfs() is None, reason="this kernel knows ZFS")
def test_native_mount_on_a_kernel_without_zfs_is_unsupported(
    mounter: LinuxMounter, tmp_path: Path
) -> None:
    with pytest.raises(FilesystemUnsupportedError, match="zfs"):
        mounter.mount_native(NativeMountRequest(FILESYSTEM, tmp_path / "stage"))


def test_native_file_system_has_no_device(mounter: LinuxMounter) -> None:
    assert mounter.find_device(FILESYSTEM) is None
    mounter.detach(FILESYSTEM)
    with pytest.raises(DeviceUnavailableError, match="no device"):
        mounter.attach(FILESYSTEM)
