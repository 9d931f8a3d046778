"""Finding the device of a zvol by what the kernel says it is.

The links below /dev/zvol come late, never, or lead to another device (rules.md A7): a link is a
guess, and the device itself is asked for its dataset (the ioctl BLKZNAME).
"""

import fcntl
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from csi_zfs.datasets.api import PoolUnavailableError
from csi_zfs.system.clock import Clock

_BLKZNAME = 0x8100127D
_NAME_BYTES = 256
_ZVOL = re.compile(r"zd[0-9]+", re.ASCII)
# The kernel makes the device some time after the dataset.
_WAIT_S = 10.0
_POLL_S = 0.05


class DeviceLateError(PoolUnavailableError):
    """The zvol is there and its device has not come: try again."""


def zvol_name_at(path: Path) -> str | None:
    """The zvol that a device says it serves; None where it says nothing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:  # it went away in this very moment, or is being taken down
        return None
    try:
        if not stat.S_ISBLK(os.fstat(descriptor).st_mode):
            return None
        return fcntl.ioctl(descriptor, _BLKZNAME, bytes(_NAME_BYTES)).split(b"\0")[0].decode()
    except OSError:  # another kind of device
        return None
    finally:
        os.close(descriptor)


class ZvolDevices:
    """The block devices of zvols on this machine."""

    def __init__(
        self,
        clock: Clock,
        *,
        dev: Path = Path("/dev"),
        name_at: Callable[[Path], str | None] = zvol_name_at,
    ) -> None:
        """Look below `dev`, and ask what is found there by `name_at`."""
        self._clock = clock
        self._dev = dev
        self._name_at = name_at

    def find(self, full_name: str) -> Path | None:
        """The device that serves this zvol now, or None."""
        return next(
            (path for path in self._guesses(full_name) if self._name_at(path) == full_name), None
        )

    def await_device(self, full_name: str, *, wait_s: float = _WAIT_S) -> Path:
        """The device of a zvol that exists; raises `DeviceLateError` where it does not come."""
        deadline_s = self._clock.monotonic_s() + wait_s
        while True:
            path = self.find(full_name)
            if path is not None:
                return path
            if self._clock.monotonic_s() >= deadline_s:
                msg = f"{full_name} has no device after {wait_s:g} s: is the module zfs well?"
                raise DeviceLateError(msg)
            self._clock.wait(_POLL_S)

    def is_gone(self, path: Path, full_name: str) -> bool:
        """Whether the device at the path serves this zvol no more: it went, or is another one's.

        One that goes as soon as its last user closes it cannot be opened, and is still there.
        """
        return not path.exists() or self._name_at(path) not in {full_name, None}

    def _guesses(self, full_name: str) -> Iterator[Path]:
        link = self._dev / "zvol" / full_name
        if link.exists():
            yield link.resolve()
        for entry in sorted(self._dev.iterdir()):
            if _ZVOL.fullmatch(entry.name):
                yield entry
