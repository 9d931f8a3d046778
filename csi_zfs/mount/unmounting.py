"""Taking mounts away from a target, and the target itself."""

import errno
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from csi_zfs.mount import freeze, syscalls
from csi_zfs.mount.api import TargetBusyError
from csi_zfs.mount.holders import Holders
from csi_zfs.mount.mountinfo import MountEntry, load_mountinfo, top_at
from csi_zfs.mount.targets import TargetTree
from csi_zfs.system.clock import Clock

# More mounts on top of each other than anybody makes, by accident too.
_LAYERS = 100
# Whatever looked at the file system for a moment is gone by then.
_PAUSES_S = (0.05, 0.1, 0.2)


@dataclass(frozen=True, slots=True)
class Unmounting:
    """Unmounts; depends on nothing but this node's kernel (rules.md B5).

    Raises plain `OSError` for what the kernel refuses; linux.py gives it its meaning.
    """

    tree: TargetTree
    holders: Holders
    clock: Clock

    def unmount(self, target: Path) -> None:
        """See `Mounter.unmount`."""
        mount_point = self.tree.mount_point_of(target)
        for _ in range(_LAYERS):
            entries = load_mountinfo()
            top = top_at(entries, mount_point)
            if top is None:
                self.tree.remove(target)
                return
            if sum(entry.number == top.number for entry in entries) == 1:
                self._thaw(target)
            self._unmount_top(target, top)
        raise TargetBusyError(f"{target} is still mounted after {_LAYERS} unmounts")

    def _thaw(self, target: Path) -> None:
        """Thaw what a crash left frozen: unmounted like that, it would keep its device for ever."""
        with (
            suppress(OSError),  # a dead file system does not open; it must go all the same
            self.tree.opened(target, os.O_RDONLY) as directory,
        ):
            freeze.thaw(directory)

    def _unmount_top(self, target: Path, top: MountEntry) -> None:
        pauses_s = iter(_PAUSES_S)
        while True:
            try:
                with self.tree.parent_of(target) as parent:
                    syscalls.unmount(parent, target.name)
            except OSError as exc:
                if exc.errno == errno.EINVAL:
                    return  # somebody else unmounted it in this moment
                if exc.errno != errno.EBUSY:
                    raise
                pause_s = next(pauses_s, None)
                if pause_s is None:
                    msg = f"{target} is in use by {self.holders.of_mount(top)}"
                    raise TargetBusyError(msg) from exc
                self.clock.wait(pause_s)
            else:
                return
