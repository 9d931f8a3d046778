"""What a device carries; making a file system on a blank one; making one blank again.

Formatting is what loses data, so it asks twice and believes nothing that it did not read (rules.md
A4).
"""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass

from csi_zfs.domain.sizes import MIB
from csi_zfs.mount.api import (
    Device,
    DeviceUnavailableError,
    FilesystemDamagedError,
    NotBlankError,
    Probe,
)
from csi_zfs.mount.block import opened_device
from csi_zfs.mount.syscalls import punch_hole, zero_range
from csi_zfs.system.runner import CommandFailedError, CommandResult, Runner

# Every format known to blkid has a mark within the first or the last MiB.
_EDGE_BYTES = MIB
_BLKID = ("blkid", "-p", "-o", "export")
_NOTHING_FOUND = 2

# 4 KiB blocks and sectors: what every device of ours takes, and large enough to grow.  No discard:
# the device is blank, and a thick one must keep its blocks.  No force: mkfs looks for itself, too.
_MKFS = {
    "ext4": (
        *("mkfs.ext4", "-q", "-b", "4096", "-m", "0"),
        *("-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1"),
    ),
    "xfs": ("mkfs.xfs", "-q", "-K", "-s", "size=4096"),
}
# Two of these cannot be on one device, but a file system can hold the mark of anything else.
_OUR_FORMATS = ("-n", ",".join(_MKFS))


@dataclass(frozen=True, slots=True)
class Filesystems:
    """Probes, formats and wipes devices.  Thread-safe for different devices.

    Methods raise plain `OSError` for what the kernel refuses; linux.py gives it its meaning.
    """

    runner: Runner

    def probe(self, device: Device, *, is_formatted: bool = False) -> Probe:
        """See `Mounter.probe`; raises `DeviceUnavailableError` where it is not sure."""
        command = (*_BLKID, *_OUR_FORMATS) if is_formatted else _BLKID
        with opened_device(device, os.O_RDONLY) as descriptor:
            return self._probe(device, descriptor, command)

    def format(self, device: Device, fs_type: str) -> None:
        """Make a file system on a device that is proved blank while it is held open.

        Raises:
            NotBlankError: it is not blank; nothing was written.
            FilesystemDamagedError: what mkfs made is not there.
        """
        with opened_device(device, os.O_RDONLY) as descriptor:
            found = self._probe(device, descriptor)
            if found is not Probe.BLANK:
                raise NotBlankError(f"{device.path} is not formatted: it holds {found}")
            self._run(device, _MKFS[fs_type])
            found = self._probe(device, descriptor)
            if found != fs_type:
                raise FilesystemDamagedError(f"{device.path} holds {found} after mkfs.{fs_type}")

    def wipe(self, device: Device) -> None:
        """Make the whole device read as zeros; EBUSY while it is mounted."""
        with opened_device(device, os.O_RDWR | os.O_EXCL) as descriptor:
            _write_zeros(descriptor, device.size_bytes)
            os.fsync(descriptor)
            if not _has_blank_edges(device, descriptor):
                raise DeviceUnavailableError(f"{device.path} still holds data after it was wiped")

    def _probe(self, device: Device, descriptor: int, command: Sequence[str] = _BLKID) -> Probe:
        signature = self._signature(device, command)
        if signature is not None:
            return Probe(signature) if signature in _MKFS else Probe.OTHER
        # blkid says "nothing found" also about a device that it could not read.
        return Probe.BLANK if _has_blank_edges(device, descriptor) else Probe.OTHER

    def _signature(self, device: Device, command: Sequence[str]) -> str | None:
        """The type of the one format that blkid knows the device by, or None."""
        result = self._run(device, command, expected=(0, _NOTHING_FOUND))
        if result.status == _NOTHING_FOUND:
            return None
        fields = dict(line.partition("=")[::2] for line in result.output.splitlines())
        return fields.get("TYPE", "")

    def _run(
        self, device: Device, command: Sequence[str], *, expected: Sequence[int] = (0,)
    ) -> CommandResult:
        try:
            return self.runner.run([*command, str(device.path)], expected=expected)
        except CommandFailedError as exc:
            raise DeviceUnavailableError(f"{device.path}: {exc}") from exc


def _write_zeros(descriptor: int, size_bytes: int) -> None:
    try:
        # First of all, because zeros over a sparse file would allocate all of it.
        punch_hole(descriptor, size_bytes)
    except OSError as exc:
        if exc.errno != errno.EOPNOTSUPP:
            raise
        zero_range(descriptor, size_bytes)


def _has_blank_edges(device: Device, descriptor: int) -> bool:
    """Whether the first and the last MiB hold nothing but zeros, all of them read."""
    edge_bytes = min(_EDGE_BYTES, device.size_bytes)
    return all(
        _is_blank(device, descriptor, offset, edge_bytes)
        for offset in (0, device.size_bytes - edge_bytes)
    )


def _is_blank(device: Device, descriptor: int, offset: int, size_bytes: int) -> bool:
    data = os.pread(descriptor, size_bytes, offset)
    if len(data) != size_bytes:
        raise DeviceUnavailableError(f"{device.path} ended after {offset + len(data)} bytes")
    return data == bytes(size_bytes)
