"""Holding file systems still for an instant, with a hard limit: nobody's writes hang for longer.

FIFREEZE itself may take long, and the copy that it is for may; so a timer in a thread of its own
thaws whatever is frozen by then.
"""

import errno
import fcntl
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from csi_zfs.mount.api import DeviceUnavailableError, FreezeLimitError
from csi_zfs.mount.syscalls import sync_filesystem

_FIFREEZE = 0xC0045877
_FITHAW = 0xC0045878


@contextmanager
def frozen(mounts: Mapping[Path, int], *, limit_s: float) -> Iterator[None]:
    """Freeze the file systems of open directories for the length of a `with` block.

    All are thawed at its end, however it ends, and at the latest after `limit_s`.  One that
    somebody else has frozen is still already, and stays so.

    Raises:
        FreezeLimitError: the limit was reached; it does not hide an error of the block itself.
        DeviceUnavailableError: one cannot be frozen or thawed.
    """
    for descriptor in mounts.values():
        sync_filesystem(descriptor)  # now, while writes still flow: little is left for the freeze
    block = _Block()
    timer = threading.Timer(limit_s, block.expire)
    timer.daemon = True
    timer.start()
    try:
        for target, descriptor in _one_of_each(mounts):
            block.freeze(target, descriptor)
        yield
    finally:
        timer.cancel()
        block.thaw_all()
    block.require_in_time()


def thaw(descriptor: int) -> None:
    """Let writes to a file system go on; no-op where it is not frozen."""
    try:
        fcntl.ioctl(descriptor, _FITHAW, 0)
    except OSError as exc:
        if exc.errno != errno.EINVAL:
            raise


def _one_of_each(mounts: Mapping[Path, int]) -> Iterator[tuple[Path, int]]:
    """One mount of each file system: it cannot be frozen through two of them."""
    seen = set()
    for target, descriptor in mounts.items():
        number = os.fstat(descriptor).st_dev
        if number not in seen:
            seen.add(number)
            yield target, descriptor


class _Block:
    """What one `with` block has frozen.  Two threads meet here: its own and its timer's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frozen: dict[Path, int] = {}
        self._is_over = False

    def freeze(self, target: Path, descriptor: int) -> None:
        try:
            # Without the lock: if this takes too long, the timer must get at the others.
            fcntl.ioctl(descriptor, _FIFREEZE, 0)
        except OSError as exc:
            if exc.errno == errno.EBUSY:
                return  # frozen by somebody else, such as a backup's hook: theirs to thaw
            raise DeviceUnavailableError(f"{target} does not freeze: {exc.strerror}") from exc
        with self._lock:
            self._frozen[target] = descriptor
        self.require_in_time()

    def expire(self) -> None:
        """Thaw at the limit; what does not thaw now, the end of the block tries again and tells."""
        with self._lock:
            self._is_over = True
            self._thaw_what_can_be()

    def thaw_all(self) -> None:
        with self._lock:
            faults = self._thaw_what_can_be()
        if faults:
            raise DeviceUnavailableError("; ".join(faults))

    def _thaw_what_can_be(self) -> list[str]:
        faults = []
        for target, descriptor in list(self._frozen.items()):
            try:
                thaw(descriptor)
            except OSError as exc:
                faults.append(f"{target} does not thaw: {exc.strerror}")
            else:
                del self._frozen[target]
        return faults

    def require_in_time(self) -> None:
        with self._lock:
            if self._is_over:
                raise FreezeLimitError("the file systems were thawed before the work was done")
