"""Loop devices: block devices over image files, at most one for each file (rules.md A11).

Two devices over one file would be two caches over one file system.  So the one that serves a file
is looked for by inode, never by path, among all that are attached; and whoever attaches or detaches
holds a lock on the file: another thread, or an older driver that has not ended yet.  `losetup`
takes no such lock; a second look finds what it did.

Every function raises plain `OSError` for what the kernel refuses; linux.py gives it its meaning.
"""

import contextlib
import errno
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from csi_zfs.domain.model import ImageFile
from csi_zfs.mount import loop_control
from csi_zfs.mount.api import Device, DeviceBusyError, DeviceUnavailableError
from csi_zfs.mount.block import (
    identify,
    is_read_only,
    opened_node,
    require_size,
    set_read_only,
)
from csi_zfs.mount.loop_control import FileIdentity
from csi_zfs.mount.syscalls import closing_descriptor
from csi_zfs.system.clock import Clock

_ATTEMPTS = 64
_LOCK_WAIT_S = 10.0
_POLL_S = 0.05
# udev and blkid open a device for a moment only.
_RELEASE_POLLS = 20


@dataclass(frozen=True, slots=True)
class LoopDevices:
    """The loop devices of this machine.  Thread-safe."""

    clock: Clock
    devices: Path = Path("/dev")
    sysfs: Path = Path("/sys/block")

    def find(self, image_path: Path) -> Device | None:
        """The device that serves a file, or None."""
        try:
            identity = FileIdentity.of(image_path.lstat())
        except FileNotFoundError:
            return None
        serving = self._serving(identity)
        return identify(self._node(serving[0])) if serving else None

    def attach(self, image: ImageFile) -> Device:
        """The one device that serves a file, made or found, and of the file's size.

        It stays until `detach`, also when this process ends.
        """
        with self._locked(image.path) as file:
            if os.fstat(file).st_size != image.size_bytes:
                raise DeviceUnavailableError(f"{image.path} is not of {image.size_bytes} bytes")
            node = self._node(self._only(file, image.path))
            with opened_node(node, os.O_RDONLY) as descriptor:
                loop_control.keep(descriptor)
                loop_control.adopt_file_size(descriptor)
            return require_size(identify(node), image.size_bytes)

    def detach(self, image_path: Path) -> None:
        """Let go of the device that serves a file; EBUSY, and it stays, while others use it."""
        with self._locked(image_path) as file:
            identity = FileIdentity.of(os.fstat(file))
            for name in self._serving(identity):
                self._clear(name, identity)

    def _only(self, file: int, image_path: Path) -> str:
        identity = FileIdentity.of(os.fstat(file))
        made: str | None = None
        for _ in range(_ATTEMPTS):
            serving = self._serving(identity)
            if len(serving) == 1:
                return serving[0]
            if made in serving:  # somebody without our lock was faster: the later one goes
                self._clear(made, identity)
            elif serving:
                raise DeviceBusyError(f"{image_path} is attached twice: {', '.join(serving)}")
            else:
                made = self._configure(file, image_path)
        raise DeviceUnavailableError(f"no loop device could be had for {image_path}")

    def _configure(self, file: int, image_path: Path) -> str | None:
        """Attach the file to a free device; None if another process took that in this moment."""
        with opened_node(self.devices / "loop-control", os.O_RDWR) as control:
            name = f"loop{loop_control.free_index(control)}"
        # The device keeps this opening of the file: one of its own, without our lock.
        backing_path = f"/proc/self/fd/{file}"
        with (
            opened_node(self._node(name), os.O_RDWR) as descriptor,
            closing_descriptor(os.open(backing_path, os.O_RDWR | os.O_CLOEXEC)) as backing,
        ):
            try:
                loop_control.configure(descriptor, backing, image_path)
            except OSError as exc:
                if exc.errno != errno.EBUSY:
                    raise
                return None
            # The switch outlives whatever the device served before.
            set_read_only(descriptor, is_read_only=False)
        return name

    def _clear(self, name: str, identity: FileIdentity) -> None:
        with opened_node(self._node(name), os.O_RDONLY | os.O_EXCL) as descriptor:
            was_read_only = is_read_only(descriptor)
            set_read_only(descriptor, is_read_only=False)  # or the number's next user inherits it
            loop_control.clear(descriptor)
        for _ in range(_RELEASE_POLLS):
            if name not in self._serving(identity):
                return
            self.clock.wait(_POLL_S)
        # Still open: unmarked, or it would go behind our back at some later moment.
        with opened_node(self._node(name), os.O_RDONLY) as descriptor:
            loop_control.keep(descriptor)
            set_read_only(descriptor, is_read_only=was_read_only)
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(self._node(name)))

    def _serving(self, identity: FileIdentity) -> list[str]:
        return [name for name in self._attached() if self._serves(name, identity)]

    def _attached(self) -> Iterator[str]:
        for entry in self.sysfs.iterdir():
            # The kernel shows this directory as long as the device serves a file.
            if re.fullmatch(r"loop[0-9]+", entry.name) and (entry / "loop").is_dir():
                yield entry.name

    def _serves(self, name: str, identity: FileIdentity) -> bool:
        try:
            with opened_node(self._node(name), os.O_RDONLY) as descriptor:
                return loop_control.served_file(descriptor) == identity
        except OSError as exc:
            # It goes in this moment; or its file lies on an xfs that is shut down, and is not this
            # one: the caller has just asked this file what it is, and was answered.
            if exc.errno not in {errno.ENXIO, errno.EIO}:
                raise
            return False

    def _node(self, name: str) -> Path:
        """The device's node; made where nobody else does, as in a container with its own /dev."""
        node = self.devices / name
        if not node.exists():
            major, minor = (self.sysfs / name / "dev").read_text("ascii").split(":")
            number = os.makedev(int(major), int(minor))
            with contextlib.suppress(FileExistsError):
                os.mknod(node, stat.S_IFBLK | 0o600, number)
        return node

    @contextmanager
    def _locked(self, image_path: Path) -> Iterator[int]:
        """A descriptor of the file that keeps other drivers and threads from attaching it."""
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        with closing_descriptor(os.open(image_path, flags)) as file:
            deadline_s = self.clock.monotonic_s() + _LOCK_WAIT_S
            while not _took_lock(file):
                if self.clock.monotonic_s() >= deadline_s:
                    msg = f"another process has had {image_path} locked for {_LOCK_WAIT_S:g} s"
                    raise DeviceUnavailableError(msg)
                self.clock.wait(_POLL_S)
            yield file


def _took_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
