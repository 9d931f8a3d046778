"""What the services ask of the node: devices, file systems, mounts: `Mounter`.

Paths given to a `Mounter` are absolute.  Targets lie below the mounter's root (the kubelet's directory) without symbolic
links on the way; anything else is refused (rules.md C1).  Every `ensure_*`, `attach`, `detach` and `unmount` is idempotent.
"""

import enum
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from csi_zfs.domain.errors import (
    CorruptionError,
    InUseError,
    InvalidRequestError,
    NotFoundError,
    OutcomeUnknownError,
    UnavailableError,
    UnsupportedError,
)
from csi_zfs.domain.model import DataPath, Usage


class TargetPathError(InvalidRequestError):
    """The path is outside the root, leads through a symbolic link, or is of the wrong type."""


class MountFlagError(InvalidRequestError):
    """The file system does not know the mount flag."""


class TargetNotFoundError(NotFoundError):
    """Nothing is mounted at the path."""


class TargetBusyError(InUseError):
    """The target is in use by processes, or by another mount than the one asked for; the text names it."""


class DeviceBusyError(InUseError):
    """The device is mounted or open; the text names where."""


class DeviceUnavailableError(UnavailableError):
    """The device cannot be opened, is of the wrong size, or there is none free."""


class NotBlankError(InUseError):
    """The device was to be formatted but is not proved blank: nothing was written (rules.md A4)."""


class FilesystemDamagedError(CorruptionError):
    """The file system is damaged or is not the one expected."""


class FilesystemUnsupportedError(UnsupportedError):
    """The kernel of this node does not know the file system."""


class GrowthForbiddenError(UnavailableError):
    """The driver lacks the capability without which ext4 cannot grow while it is mounted."""


class FreezeLimitError(OutcomeUnknownError):
    """The file systems were thawed at the hard limit before the work inside had ended; the work does not count."""


class Probe(enum.StrEnum):
    """What a device carries, as far as the driver needs to know; a doubt raises instead."""

    BLANK = "blank"
    EXT4 = "ext4"
    XFS = "xfs"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Device:
    """An open-able block device of this node: its path under /dev, its number, its size."""

    path: Path
    number: tuple[int, int]
    size_bytes: int
    is_read_only: bool = False


@dataclass(frozen=True, slots=True)
class MountRequest:
    """A file system on a device, to be mounted at a directory."""

    device: Device
    target: Path
    fs_type: str
    flags: Sequence[str] = ()
    is_read_only: bool = False
    has_twin_uuid: bool = False
    """The file system is a clone: XFS refuses a second one of the same UUID unless told (rules.md A11)."""


@dataclass(frozen=True, slots=True)
class Mounted:
    """What is mounted at a target: the device's number, where in the file system, and how.

    For a block device that is bound to a file, `is_block` is true and `number` is the number of that device.
    """

    target: Path
    number: tuple[int, int]
    fs_type: str
    is_read_only: bool
    is_block: bool = False


class Mounter(Protocol):
    """Devices, file systems and mounts of this node.  Thread-safe for different volumes."""

    def find_device(self, data_path: DataPath) -> Device | None:
        """The device that already serves this data (by device and inode, never by path alone), or None."""

    def attach(self, data_path: DataPath, *, is_read_only: bool = False) -> Device:
        """The one block device for this data; an image file is attached to at most one loop device (rules.md A11).

        An existing device is brought to the wanted read-only state and to the data's size.

        Raises:
            DeviceUnavailableError: it cannot be opened, or is not of the expected size.
        """

    def detach(self, data_path: DataPath) -> None:
        """Let go of the device of this data; none is no error; raises `DeviceBusyError` while it is mounted or open."""

    def probe(self, device: Device) -> Probe:
        """What is on the device; raises `DeviceUnavailableError` where that cannot be said for sure."""

    def wipe(self, device: Device) -> None:
        """Make the whole device read as zeros: only for a format that was cut short before any mount."""

    def format(self, device: Device, fs_type: str) -> None:
        """Make a file system on a device that is proved blank in this very call; raises `NotBlankError`."""

    def mount(self, request: MountRequest) -> Mounted:
        """Mount a file system, making the target directory where it is missing.

        The same mount already there is success (its read-only state is corrected).  What is there at the end is
        compared with what was asked for (rules.md A6).

        Raises:
            TargetPathError: see the module.
            TargetBusyError: something else is mounted there.
            FilesystemDamagedError: the kernel refuses the file system.
        """

    def bind(self, source: Path, target: Path, *, flags: Sequence[str] = (), is_read_only: bool) -> Mounted:
        """Show the directory `source` (a mount of this driver's) at `target` too; otherwise as `mount`.

        Raises `TargetNotFoundError` if nothing is mounted at `source`.
        """

    def bind_device(self, device: Device, target: Path) -> Mounted:
        """Show a block device at the regular file `target`, made where it is missing; otherwise as `mount`."""

    def mounted_at(self, target: Path) -> Mounted | None:
        """What is mounted on top at exactly this path, or None.  Does not touch the file system that is mounted."""

    def targets_of(self, device: Device) -> list[Path]:
        """All paths of this mount namespace at which the device or its file system is mounted or bound."""

    def unmount(self, target: Path) -> None:
        """Unmount everything at the target and remove it (rules.md A1): rmdir, or unlink of an empty regular file.

        A missing target, or one that is not mounted, is no error.  Raises `TargetBusyError`.
        """

    def grow(self, device: Device, mounted: Mounted) -> None:
        """Grow a mounted file system to the size of its device; no-op where it already fills it."""

    def frozen(self, targets: Sequence[Path], *, limit_s: float) -> AbstractContextManager[None]:
        """Hold back writes to the mounted file systems for the length of a `with` block, synced to disk.

        All are thawed at the end, in every case, and at the latest after `limit_s`; the block then ends with
        `FreezeLimitError` even if its work was done.
        """

    def thaw(self, target: Path) -> None:
        """Undo a freeze that a crash left behind; no-op where there is none."""

    def usage(self, target: Path) -> tuple[Usage, ...]:
        """Bytes and inodes of a mounted file system, or the bytes of a bound block device.

        Raises `TargetNotFoundError` if nothing is mounted there.
        """
