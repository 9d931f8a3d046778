"""Formatting asks twice, and believes nothing that it did not read (rules.md A4)."""

import errno
import os
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from csi_zfs.domain.model import ImageFile
from csi_zfs.domain.sizes import MIB
from csi_zfs.mount import filesystems
from csi_zfs.mount.api import (
    Device,
    DeviceUnavailableError,
    FilesystemDamagedError,
    NotBlankError,
    Probe,
)
from csi_zfs.mount.filesystems import Filesystems
from csi_zfs.system.runner import CommandFailedError, CommandResult, SystemRunner
from tests.support.mounter_worlds import IMAGE_BYTES, LinuxWorld

pytestmark = pytest.mark.root


@dataclass
class ScriptedRunner:
    """Answers blkid by a script, mkfs by a status, and keeps the commands."""

    blkid: CommandResult
    mkfs_status: int = 0
    commands: list[Sequence[str]] = field(default_factory=list)

    def run(
        self, argv: Sequence[str], *, timeout_s: float | None = None, expected: Sequence[int] = (0,)
    ) -> CommandResult:
        self.commands.append(argv)
        result = self.blkid if argv[0] == "blkid" else CommandResult(self.mkfs_status, "", "")
        if result.status not in expected:
            raise CommandFailedError(argv, result.status, "scripted")
        return result


NOTHING_FOUND = CommandResult(2, "", "")
AMBIVALENT = CommandResult(8, "", "")


def write(device: Device, offset: int, data: bytes) -> None:
    descriptor = os.open(device.path, os.O_RDWR)
    try:
        os.pwrite(descriptor, data, offset)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("offset", [0, MIB - 1, IMAGE_BYTES - MIB, IMAGE_BYTES - 1])
def test_one_byte_at_either_end_is_not_blank(device: Device, offset: int) -> None:
    """rules.md A4: blkid knows no format by it."""
    write(device, offset, b"x")
    assert Filesystems(SystemRunner()).probe(device) is Probe.OTHER


def test_partition_table_is_not_blank(device: Device) -> None:
    """It has a name of its own, but no type: rules.md A4."""
    entry = struct.pack("<B3xB3xII", 0x80, 0x83, 8, 1024)
    write(device, 446, entry + bytes(48) + b"\x55\xaa")
    assert Filesystems(SystemRunner()).probe(device) is Probe.OTHER


MARKS = {
    "md 0.90": ((IMAGE_BYTES & -64 * 1024) - 64 * 1024, struct.pack("<III", 0xA92B4EFC, 0, 90)),
    "md 1.0": (
        IMAGE_BYTES - 8 * 1024,
        struct.pack("<II136xQ104x", 0xA92B4EFC, 1, (IMAGE_BYTES - 8 * 1024) // 512),
    ),
    "zfs": (
        IMAGE_BYTES - 128 * 1024,
        b"".join(struct.pack("<QQQ1000x", 0x00BAB10C, 5000, number) for number in range(8)),
    ),
}


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("fs_type", ["ext4", "xfs"])
def test_formatted_device_whose_user_wrote_the_mark_of_a_member_is_its_filesystem(
    node: LinuxWorld, device: Device, fs_type: str, mark: str
) -> None:
    """A disk image in a file can end just where the device ends."""
    node.mounter.format(device, fs_type)
    write(device, *MARKS[mark])
    assert node.mounter.probe(device, is_formatted=True) == fs_type
    with suppress(DeviceUnavailableError):  # or another one: it would not be formatted
        assert node.mounter.probe(device) is Probe.OTHER


@pytest.mark.parametrize("mark", MARKS)
def test_device_that_carries_the_mark_of_a_member_is_not_blank(
    node: LinuxWorld, device: Device, mark: str
) -> None:
    """rules.md A4."""
    write(device, *MARKS[mark])
    assert node.mounter.probe(device) is Probe.OTHER
    assert node.mounter.probe(device, is_formatted=True) is Probe.OTHER
    with pytest.raises(NotBlankError):
        node.mounter.format(device, "ext4")


def test_probe_that_fails_is_not_blank(device: Device) -> None:
    """rules.md A4: status 8 is "several formats found"."""
    runner = ScriptedRunner(AMBIVALENT)
    with pytest.raises(DeviceUnavailableError, match="status 8"):
        Filesystems(runner).probe(device)
    with pytest.raises(DeviceUnavailableError, match="status 8"):
        Filesystems(runner).format(device, "ext4")
    assert {command[0] for command in runner.commands} == {"blkid"}


def test_blkid_that_sees_nothing_where_there_is_something_does_not_lead_to_mkfs(
    node: LinuxWorld, device: Device
) -> None:
    """rules.md A4: blkid says the same of a device that it cannot read."""
    node.mounter.format(device, "xfs")
    runner = ScriptedRunner(NOTHING_FOUND)
    with pytest.raises(NotBlankError):
        Filesystems(runner).format(device, "ext4")
    assert [command[0] for command in runner.commands] == ["blkid"]
    assert node.mounter.probe(device) is Probe.XFS


def test_short_read_is_not_blank(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """rules.md A4."""
    monkeypatch.setattr(os, "pread", lambda _descriptor, size, _offset: bytes(size - 1))
    with pytest.raises(DeviceUnavailableError, match="ended"):
        Filesystems(ScriptedRunner(NOTHING_FOUND)).format(device, "ext4")


def test_device_smaller_than_both_ends_is_read_as_a_whole(node: LinuxWorld) -> None:
    image = node.create_image("small")
    os.truncate(image.path, 64 * 1024)
    device = node.mounter.attach(ImageFile(image.path, 64 * 1024))
    assert Filesystems(SystemRunner()).probe(device) is Probe.BLANK


def test_mkfs_that_fails_is_unavailable(device: Device) -> None:
    with pytest.raises(DeviceUnavailableError, match="status 1"):
        Filesystems(ScriptedRunner(NOTHING_FOUND, mkfs_status=1)).format(device, "ext4")


def test_mkfs_that_made_nothing_is_found_out(device: Device) -> None:
    """rules.md A12."""
    with pytest.raises(FilesystemDamagedError, match="blank after mkfs"):
        Filesystems(ScriptedRunner(NOTHING_FOUND)).format(device, "ext4")


def test_mkfs_is_never_forced(device: Device) -> None:
    """rules.md A4: it looks for itself, too."""
    runner = ScriptedRunner(NOTHING_FOUND)
    for fs_type in ("ext4", "xfs"):
        with pytest.raises(FilesystemDamagedError):
            Filesystems(runner).format(device, fs_type)
    commands = [command for command in runner.commands if command[0] != "blkid"]
    assert [command[0] for command in commands] == ["mkfs.ext4", "mkfs.xfs"]
    assert all({"-f", "-F"}.isdisjoint(command) for command in commands)


def test_wipe_keeps_a_sparse_image_sparse(
    node: LinuxWorld, device: Device, image: ImageFile
) -> None:
    node.mounter.format(device, "ext4")
    node.mounter.wipe(device)
    assert image.path.stat().st_blocks * 512 < MIB


def test_wipe_of_a_device_that_gives_nothing_back_writes_zeros(
    node: LinuxWorld, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a loop device whose discard_max_bytes is 0, or a zvol."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    node.mounter.format(device, "ext4")
    monkeypatch.setattr(filesystems, "punch_hole", refuse)
    node.mounter.wipe(device)
    assert node.mounter.probe(device) is Probe.BLANK


def test_wipe_that_the_kernel_refuses_is_unavailable(
    node: LinuxWorld, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(filesystems, "punch_hole", refuse)
    with pytest.raises(DeviceUnavailableError, match="Input/output"):
        node.mounter.wipe(device)


def test_wipe_that_leaves_something_is_found_out(
    node: LinuxWorld, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rules.md A12."""
    node.mounter.format(device, "ext4")
    monkeypatch.setattr(filesystems, "punch_hole", lambda *_: None)
    with pytest.raises(DeviceUnavailableError, match="still holds"):
        node.mounter.wipe(device)
