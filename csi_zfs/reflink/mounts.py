"""The loop device and the mount of a pool that lives in an image file."""

import json
import os
import re
from pathlib import Path

from csi_zfs.datasets.api import PoolUnavailableError
from csi_zfs.domain.errors import InUseError
from csi_zfs.system.clock import Clock
from csi_zfs.system.runner import CommandFailedError, Runner

SECTOR_BYTES = 4096
# A volume's data is never executed or opened as a device through the pool's own mount; `discard`
# gives the blocks of deleted objects back to the file system below.
_MOUNT_OPTIONS = "nodev,nosuid,noexec,discard"
_MOUNTINFO = Path("/proc/self/mountinfo")
_OCTAL = re.compile(r"\\([0-7]{3})")
_ATTEMPTS = 20
_PAUSE_S = 0.05
_LIST = ("losetup", "--list", "--json", "--output", "NAME,BACK-INO,BACK-MAJ:MIN")


class PoolBusyError(InUseError):
    """The pool is in use, so that it cannot be unmounted."""


class PoolMounts:
    """Attaches and mounts image files; every `ensure_*` is idempotent and finds what is there."""

    def __init__(self, runner: Runner, clock: Clock) -> None:
        """Start the commands through `runner`."""
        self._runner = runner
        self._clock = clock

    def find_device(self, image: Path) -> Path | None:
        """The loop device of an image file, by device and inode, never by path (rules.md A11)."""
        found = image.stat()
        backing = (_number(found.st_dev), found.st_ino)
        return parse_devices(self._runner.run(_LIST).output).get(backing)

    def ensure_attached(self, image: Path) -> Path:
        """The one loop device of an image file, with direct I/O where the file system has it.

        Two processes must not call this for one file at once.
        """
        device = self.find_device(image)
        if device is not None:
            return device
        attach = ["losetup", "--find", "--show", "--sector-size", str(SECTOR_BYTES)]
        try:
            shown = self._run(*attach, "--direct-io=on", str(image))
        except PoolUnavailableError:
            # Some file systems have no direct I/O; an error of another kind comes again.  An older
            # losetup has attached the image all the same, and there must not be a second device.
            device = self.find_device(image)
            if device is not None:
                return device
            shown = self._run(*attach, str(image))
        return Path(shown.strip())

    def ensure_mounted(self, image: Path, directory: Path) -> Path:
        """Attach the image, mount it at `directory`, and return its device.

        Raises `PoolUnavailableError`, also where something else is mounted there.
        """
        device = self.ensure_attached(image)
        if not self.is_mounted(device, directory):
            # A device that was once made read-only is so still when its number is used again, and
            # mount(8) would then be content with a read-only mount.
            self._run("blockdev", "--setrw", str(device))
            self._run(
                *("mount", "--rw", "-t", "xfs", "-o", _MOUNT_OPTIONS), str(device), str(directory)
            )
        return device

    def ensure_unmounted(self, image: Path, directory: Path) -> None:
        """Unmount and detach the image; raises `PoolBusyError` while it is in use."""
        device = self.find_device(image)
        if device is None:
            return
        if self.is_mounted(device, directory):
            try:
                self._runner.run(["umount", str(directory)])
            except CommandFailedError as exc:
                raise PoolBusyError(f"{directory} cannot be unmounted now: {exc}") from exc
        self._run("losetup", "--detach", str(device))
        self._wait_until_detached(image)

    def grow(self, device: Path, directory: Path) -> None:
        """Grow the device to its file and the mounted file system to the device."""
        self._run("losetup", "--set-capacity", str(device))
        self._run("xfs_growfs", str(directory))

    def format(self, image: Path) -> None:
        """Make an XFS with reflinks in a new image file."""
        self._run("mkfs.xfs", "-q", "-m", "reflink=1", "-s", f"size={SECTOR_BYTES}", str(image))

    def is_mounted(self, device: Path, directory: Path) -> bool:
        """Whether this very device is mounted at the directory, even if its file system is dead.

        Raises `PoolUnavailableError` where another one is.
        """
        # Others' mounts may be named by any bytes: a user's subPath is, through a link of theirs.
        table = _MOUNTINFO.read_text(encoding="utf-8", errors="surrogateescape")
        mounted = parse_mounts(table).get(str(directory))
        if mounted is None:
            return False
        if mounted == _number(device.stat().st_rdev):
            return True
        raise PoolUnavailableError(f"something else than {device} is mounted at {directory}")

    def _wait_until_detached(self, image: Path) -> None:
        # The kernel keeps the device for as long as anybody, such as udev, has it open.
        for _ in range(_ATTEMPTS):
            if self.find_device(image) is None:
                return
            self._clock.wait(_PAUSE_S)
        raise PoolBusyError(
            f"another process, or a container that was started while the pool was mounted, keeps"
            f" the loop device of {image}"
        )

    def _run(self, *argv: str) -> str:
        try:
            return self._runner.run(argv).output
        except CommandFailedError as exc:
            raise PoolUnavailableError(str(exc)) from exc


def parse_devices(text: str) -> dict[tuple[str, int], Path]:
    """Loop devices by the device number and the inode of their files, from losetup's JSON."""
    rows = json.loads(text)["loopdevices"] if text.strip() else []
    # A device that is detached in this very moment is listed, and serves no file.
    serving = [row for row in rows if row["back-ino"] and row["back-maj:min"]]
    return {
        (row["back-maj:min"].strip(), int(row["back-ino"])): Path(row["name"]) for row in serving
    }


def parse_mounts(text: str) -> dict[str, str]:
    """The device number of what is mounted on top at each mount point, from mountinfo."""
    rows = (line.split(" ") for line in text.splitlines())
    return {_OCTAL.sub(lambda code: chr(int(code[1], 8)), row[4]): row[2] for row in rows}


def _number(device: int) -> str:
    return f"{os.major(device)}:{os.minor(device)}"
