"""Putting mounts at targets, and finding them there again."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from csi_zfs.domain.capabilities import NATIVE_FS_TYPE
from csi_zfs.mount import syscalls
from csi_zfs.mount.api import (
    Device,
    DeviceUnavailableError,
    FilesystemDamagedError,
    Mounted,
    MountRequest,
    NativeMountRequest,
    TargetBusyError,
    TargetNotFoundError,
)
from csi_zfs.mount.block import number_of, opened_device
from csi_zfs.mount.detached import is_read_only_by, native_mount, new_mount, second_mount
from csi_zfs.mount.holders import Holders
from csi_zfs.mount.mount_table import mounted_from
from csi_zfs.mount.mountinfo import MountEntry, load_mountinfo, mount_id_of, top_at
from csi_zfs.mount.targets import TargetTree


@dataclass(frozen=True, slots=True)
class Placing:
    """Mounts at targets, and compares what is there at the end with what was asked for (A6).

    Methods raise plain `OSError` for what the kernel refuses; linux.py gives it its meaning.
    """

    tree: TargetTree
    holders: Holders

    def mounted_at(self, target: Path) -> Mounted | None:
        """See `Mounter.mounted_at`."""
        top = self._top(target)
        return None if top is None else mounted_from(top, target)

    @contextmanager
    def opened(self, target: Path, flags: int = os.O_PATH) -> Iterator[tuple[MountEntry, int]]:
        """The mount at exactly this path, and a descriptor of its root.

        Raises `TargetNotFoundError` where nothing is mounted: what is done to a file system must
        not hit the one that holds the target.
        """
        with ExitStack() as stack:
            try:
                descriptor = stack.enter_context(self.tree.opened(target, flags))
            except FileNotFoundError as exc:
                raise TargetNotFoundError(f"{target} does not exist") from exc
            top = self._top(target)
            if top is None or mount_id_of(descriptor) != top.mount_id:
                raise TargetNotFoundError(f"nothing is mounted at {target}")
            yield top, descriptor

    def mount(self, request: MountRequest) -> Mounted:
        """See `Mounter.mount`."""
        is_read_only = is_read_only_by(request.flags, is_read_only=request.is_read_only)
        wanted = Mounted(request.target, request.device.number, request.fs_type, is_read_only)
        if self._is_free_for(wanted, root="/"):
            with self.tree.made_directory(request.target) as place, new_mount(request) as mount:
                syscalls.place_mount(mount, place)
        return self._settled(wanted)

    def mount_native(self, request: NativeMountRequest) -> Mounted:
        """See `Mounter.mount_native`."""
        is_read_only = is_read_only_by(request.flags, is_read_only=request.is_read_only)
        name = request.filesystem.dataset_name
        top = self._top(request.target)
        if top is not None:
            # Its number is the kernel's choice, at the first of its mounts.
            wanted = Mounted(
                request.target, top.number, NATIVE_FS_TYPE, is_read_only, dataset_name=name
            )
            self._is_free_for(wanted, root="/")
            return self._settled(wanted)
        with self.tree.made_directory(request.target) as place, native_mount(request) as mount:
            number = number_of(os.fstat(mount).st_dev)
            wanted = Mounted(
                request.target, number, NATIVE_FS_TYPE, is_read_only, dataset_name=name
            )
            syscalls.place_mount(mount, place)
        return self._settled(wanted)

    def bind(
        self, source: Path, target: Path, *, flags: Sequence[str], is_read_only: bool
    ) -> Mounted:
        """See `Mounter.bind`."""
        is_read_only = is_read_only_by(flags, is_read_only=is_read_only)
        with self.opened(source) as (shown, origin):
            wanted = replace(mounted_from(shown, target), is_read_only=is_read_only)
            if self._is_free_for(wanted, root=shown.root):
                with (
                    self.tree.made_directory(target) as place,
                    second_mount(origin, flags=flags, is_read_only=is_read_only) as mount,
                ):
                    syscalls.place_mount(mount, place)
        return self._settled(wanted)

    def bind_device(self, device: Device, target: Path) -> Mounted:
        """See `Mounter.bind_device`."""
        is_read_only = device.is_read_only
        wanted = Mounted(target, device.number, "", is_read_only=is_read_only, is_block=True)
        if self._is_free_for(wanted):
            with (
                self.tree.made_file(target) as place,
                opened_device(device, os.O_RDONLY) as node,
                second_mount(node, is_read_only=False) as mount,
            ):
                syscalls.place_mount(mount, place)
        return self._settled(wanted)

    def _top(self, target: Path) -> MountEntry | None:
        return top_at(load_mountinfo(), self.tree.mount_point_of(target))

    def _is_free_for(self, wanted: Mounted, *, root: str | None = None) -> bool:
        """Whether nothing is mounted there yet; raises `TargetBusyError` for another mount."""
        top = self._top(wanted.target)
        if top is None:
            return True
        found = mounted_from(top, wanted.target)
        is_same = replace(found, is_read_only=wanted.is_read_only) == wanted
        if not is_same or root not in (None, top.root):
            raise TargetBusyError(f"something else is mounted at {wanted.target}: {found}")
        return False

    def _settled(self, wanted: Mounted) -> Mounted:
        found = self.mounted_at(wanted.target)
        if found is not None and not found.is_block and found.is_read_only != wanted.is_read_only:
            self._set_read_only(wanted)
            found = self.mounted_at(wanted.target)
        if found is None or _identity(found) != _identity(wanted):
            raise TargetBusyError(f"{wanted.target} shows {found} instead of {wanted}")
        if found != wanted:
            raise FilesystemDamagedError(f"{wanted.target} went read-only: {found}")
        self._require_alive(found)
        return found

    def _set_read_only(self, wanted: Mounted) -> None:
        attribute = syscalls.MOUNT_ATTR_RDONLY
        to_set, to_clear = (attribute, 0) if wanted.is_read_only else (0, attribute)
        with self.opened(wanted.target) as (top, mount):
            try:
                syscalls.set_mount_attributes(mount, to_set=to_set, to_clear=to_clear)
            except OSError as exc:
                if exc.errno != errno.EBUSY:
                    raise
                msg = f"{wanted.target} is written to by {self.holders.of_mount(top)}"
                raise TargetBusyError(msg) from exc

    def _require_alive(self, found: Mounted) -> None:
        """Raise unless the file system serves: an xfs that is shut down does not even open."""
        if found.is_block:
            return
        with self.opened(found.target, os.O_RDONLY) as (top, _):
            if top.is_shut_down:
                msg = f"the file system at {found.target} is shut down: unmount it first"
                raise DeviceUnavailableError(msg)


def _identity(mounted: Mounted) -> tuple[tuple[int, int], str]:
    """What is shown, however it is (rules.md A6)."""
    return mounted.number, mounted.dataset_name
