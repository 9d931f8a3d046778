"""What the services ask of the node: devices, file systems, mounts: `Mounter`.

Paths given to a `Mounter` are absolute.  Targets lie below the mounter's root (the kubelet's
directory) without symbolic links on the way; anything else is refused (rules.md C1).  All
but `wipe` and `format` may be repeated: what is there already is success.
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
from csi_zfs.domain.model import DataPath, NativeFilesystem, Usage


class TargetPathError(InvalidRequestError):
    """The path is outside the root, leads through a symbolic link, or is of the wrong type."""


class MountFlagError(InvalidRequestError):
    """The file system does not know the mount flag, or not together with the others."""


class TargetRootError(UnavailableError):
    """The directory below which targets lie is not there."""


class TargetNotFoundError(NotFoundError):
    """Nothing is mounted at the path."""


class TargetBusyError(InUseError):
    """The target is in use, by processes or by another mount; the text names the holder."""


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
    """The file systems were thawed at the hard limit, before the work was done."""


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
    """It is a clone: XFS refuses a second file system of one UUID unless told (rules.md A11)."""


@dataclass(frozen=True, slots=True)
class NativeMountRequest:
    """A native ZFS file system, to be mounted at a directory."""

    filesystem: NativeFilesystem
    target: Path
    flags: Sequence[str] = ()
    is_read_only: bool = False


@dataclass(frozen=True, slots=True)
class Mounted:
    """What is mounted at a target: the number of the device, and how.

    For a block device that is bound to a file, `is_block` is true, `number` is the number of that
    device, and `fs_type` is empty.  For a native ZFS file system, `dataset_name` is its whole name
    of now, and `number` is one that the kernel gave to its mounts.
    """

    target: Path
    number: tuple[int, int]
    fs_type: str
    is_read_only: bool
    is_block: bool = False
    dataset_name: str = ""


class Mounter(Protocol):
    """Devices, file systems and mounts of this node.  Thread-safe for different volumes."""

    def find_device(self, data_path: DataPath) -> Device | None:
        """The device that serves this data already, known by inode and not by path, or None.

        A native file system has none.
        """

    def attach(self, data_path: DataPath, *, is_read_only: bool = False) -> Device:
        """The one block device for this data: never two for one image file (rules.md A11).

        An existing device is brought to the wanted read-only state and to the data's size.  A file
        system is attached writable even for a read-only mount: its log may have to be replayed.

        Raises:
            DeviceUnavailableError: it cannot be opened, or is not of the expected size, or the data
                is a native file system.
            DeviceBusyError: its read-only state would change under what is mounted or bound.
        """

    def detach(self, data_path: DataPath) -> None:
        """Let go of the device of this data; no device is no error.

        Raises `DeviceBusyError` while it is mounted, bound or open: it then stays attached.  A
        native file system is only looked for, in all mount namespaces that can be seen.
        """

    def probe(self, device: Device, *, is_formatted: bool = False) -> Probe:
        """What is on the device; raises `DeviceUnavailableError` where that is not sure.

        With `is_formatted`, only the driver's own file systems are looked for: whatever else can be
        taken for a mark there is in its user's data.
        """

    def wipe(self, device: Device) -> None:
        """Make the whole device read as zeros; raises `DeviceBusyError` while it is mounted.

        Only for a format that was cut short before any mount.
        """

    def format(self, device: Device, fs_type: str) -> None:
        """Make a file system on a device that this call proves blank; raises `NotBlankError`."""

    def mount(self, request: MountRequest) -> Mounted:
        """Mount a file system, making the target directory where it is missing.

        The same mount already there is success (its read-only state is corrected).  What is there
        at the end is compared with what was asked for (rules.md A6).

        Raises:
            TargetPathError: see the module.
            TargetBusyError: something else is mounted there.
            FilesystemDamagedError: the kernel refuses the file system, or it went read-only.
            FilesystemUnsupportedError, MountFlagError: the kernel knows neither it nor the flag.
            DeviceUnavailableError: it is shut down, or its read-only device needs a replay.
        """

    def mount_native(self, request: NativeMountRequest) -> Mounted:
        """Mount a native ZFS file system; otherwise as `mount`.

        Raises:
            DeviceUnavailableError: there is none of this name, or its pool is away.
        """

    def bind(
        self, source: Path, target: Path, *, flags: Sequence[str] = (), is_read_only: bool
    ) -> Mounted:
        """Show what is mounted at `source` at `target` too; otherwise as `mount`.

        Raises `TargetNotFoundError` if nothing is mounted at `source`.
        """

    def bind_device(self, device: Device, target: Path) -> Mounted:
        """Show a block device at the regular file `target`; otherwise as `mount`.

        It is read-only by its own state, see `attach`: a read-only mount of it would not be.
        """

    def mounted_at(self, target: Path) -> Mounted | None:
        """What is mounted on top at exactly this path, or None; a dead file system is not asked."""

    def targets_of(self, device: Device) -> list[Path]:
        """Where in this mount namespace the device or its file system is mounted or bound."""

    def unmount(self, target: Path) -> None:
        """Unmount everything at the target and remove it: an empty directory or file (rules.md A1).

        A missing target, or one that is not mounted, is no error.  Raises `TargetBusyError`.
        """

    def grow(self, device: Device, mounted: Mounted) -> None:
        """Grow a mounted file system to the size of its device; no-op where it already fills it.

        Raises `GrowthForbiddenError` for ext4 in a container without CAP_SYS_RESOURCE; there, the
        next `mount` of the device grows it.
        """

    def frozen(self, targets: Sequence[Path], *, limit_s: float) -> AbstractContextManager[None]:
        """Hold back writes to the mounted file systems, synced, for the length of a `with` block.

        All are thawed at the end, in every case, and at the latest after `limit_s`; the block then
        ends with `FreezeLimitError` even if its work was done.  One that somebody else has frozen
        (a backup's hook) is still already, and theirs to thaw.  A native file system cannot be
        frozen: `DeviceUnavailableError`.
        """

    def thaw(self, target: Path) -> None:
        """Undo a freeze that a crash left behind; no-op where there is none."""

    def usage(self, target: Path) -> tuple[Usage, ...]:
        """Bytes and inodes of a mounted file system, or the bytes of a bound block device.

        Raises `TargetNotFoundError` if nothing is mounted there.
        """
