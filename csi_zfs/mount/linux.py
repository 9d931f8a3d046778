"""`LinuxMounter`: devices, file systems and mounts of the machine that the driver runs on."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from csi_zfs.domain.model import DataPath, Usage, UsageUnit
from csi_zfs.mount import freeze, mount_table
from csi_zfs.mount.api import (
    Device,
    Mounted,
    MountRequest,
    NativeMountRequest,
    Probe,
    TargetNotFoundError,
)
from csi_zfs.mount.devices import DataDevices
from csi_zfs.mount.filesystems import Filesystems
from csi_zfs.mount.growth import Growth
from csi_zfs.mount.holders import PROC, Holders
from csi_zfs.mount.loop import LoopDevices
from csi_zfs.mount.placing import Placing
from csi_zfs.mount.targets import TargetTree
from csi_zfs.mount.translation import naming_holders, translating
from csi_zfs.mount.unmounting import Unmounting
from csi_zfs.system.clock import Clock, SystemClock
from csi_zfs.system.runner import Runner

_SYSTEM_CLOCK = SystemClock()


class LinuxMounter:
    """A `Mounter` on the kernel's own interfaces.  Thread-safe for different volumes."""

    def __init__(
        self, runner: Runner, *, root: Path, proc: Path = PROC, clock: Clock = _SYSTEM_CLOCK
    ) -> None:
        """Serve targets below `root`, the kubelet's directory, which is resolved once, now.

        Whoever keeps something busy is looked for among the processes in `proc`.
        """
        tree = TargetTree(root)
        self._holders = Holders(clock, proc)
        self._devices = DataDevices(LoopDevices(clock), self._holders, clock)
        self._filesystems = Filesystems(runner)
        self._growth = Growth(runner)
        self._placing = Placing(tree, self._holders)
        self._unmounting = Unmounting(tree, self._holders, clock)

    def find_device(self, data_path: DataPath) -> Device | None:
        """See `Mounter`."""
        return self._devices.find(data_path)

    def attach(self, data_path: DataPath, *, is_read_only: bool = False) -> Device:
        """See `Mounter`."""
        return self._devices.attach(data_path, is_read_only=is_read_only)

    def detach(self, data_path: DataPath) -> None:
        """See `Mounter`."""
        self._devices.detach(data_path)

    def probe(self, device: Device, *, is_formatted: bool = False) -> Probe:
        """See `Mounter`."""
        with self._translating("probing", device):
            return self._filesystems.probe(device, is_formatted=is_formatted)

    def wipe(self, device: Device) -> None:
        """See `Mounter`."""
        with self._translating("wiping", device):
            self._filesystems.wipe(device)

    def format(self, device: Device, fs_type: str) -> None:
        """See `Mounter`."""
        with self._translating("formatting", device):
            self._filesystems.format(device, fs_type)

    def mount(self, request: MountRequest) -> Mounted:
        """See `Mounter`."""
        with self._translating("mounting", request.device):
            self._grow_before_mount(request)
            return self._placing.mount(request)

    def mount_native(self, request: NativeMountRequest) -> Mounted:
        """See `Mounter`."""
        with translating(f"mounting {request.filesystem.dataset_name}"):
            return self._placing.mount_native(request)

    def bind(
        self, source: Path, target: Path, *, flags: Sequence[str] = (), is_read_only: bool
    ) -> Mounted:
        """See `Mounter`."""
        with translating(f"mounting {source} at {target}"):
            return self._placing.bind(source, target, flags=flags, is_read_only=is_read_only)

    def bind_device(self, device: Device, target: Path) -> Mounted:
        """See `Mounter`."""
        with self._translating("binding", device):
            return self._placing.bind_device(device, target)

    def mounted_at(self, target: Path) -> Mounted | None:
        """See `Mounter`."""
        with translating(f"looking for what is mounted at {target}"):
            return self._placing.mounted_at(target)

    def targets_of(self, device: Device) -> list[Path]:
        """See `Mounter`."""
        with translating(f"looking for where {device.path} is mounted"):
            return mount_table.paths_of(device)

    def unmount(self, target: Path) -> None:
        """See `Mounter`."""
        with translating(f"unmounting {target}"):
            self._unmounting.unmount(target)

    def grow(self, device: Device, mounted: Mounted) -> None:
        """See `Mounter`."""
        with (
            self._translating("growing", device),
            self._placing.opened(mounted.target) as (shown, mount),
        ):
            if shown.number != device.number:
                raise TargetNotFoundError(f"{device.path} is not mounted at {mounted.target}")
            self._growth.grow(mount, device, shown.fs_type)

    @contextmanager
    def frozen(self, targets: Sequence[Path], *, limit_s: float) -> Iterator[None]:
        """See `Mounter`."""
        with ExitStack() as stack:
            with translating("freezing"):
                mounts = {target: self._open_directory(target, stack) for target in targets}
                freezing = freeze.frozen(mounts, limit_s=limit_s)
                stack.enter_context(freezing)
            yield

    def thaw(self, target: Path) -> None:
        """See `Mounter`."""
        with translating(f"thawing {target}"), ExitStack() as stack:
            freeze.thaw(self._open_directory(target, stack))

    def usage(self, target: Path) -> tuple[Usage, ...]:
        """See `Mounter`."""
        with translating(f"measuring {target}"), self._placing.opened(target) as (mount, root):
            number = mount_table.bound_device(mount)
            if number is not None:
                return (_block_usage(mount_table.device_size(number)),)
            return _filesystem_usage(os.fstatvfs(root))

    def _grow_before_mount(self, request: MountRequest) -> None:
        """Grow an ext4 that could not grow later, where the container withholds the capability."""
        device = request.device
        if request.fs_type != "ext4" or device.is_read_only or mount_table.paths_of(device):
            return
        if not self._growth.may_grow_mounted_ext4():
            self._growth.grow_unmounted_ext4(device)

    def _open_directory(self, target: Path, stack: ExitStack) -> int:
        return stack.enter_context(self._placing.opened(target, os.O_RDONLY | os.O_DIRECTORY))[1]

    @contextmanager
    def _translating(self, doing: str, device: Device) -> Iterator[None]:
        with translating(f"{doing} {device.path}"), naming_holders(device, self._holders):
            yield


def _block_usage(size_bytes: int) -> Usage:
    """What a block device has in all: nobody but its user knows what of it is in use."""
    return Usage(UsageUnit.BYTES, total=size_bytes, used=0, available=0)


def _filesystem_usage(status: os.statvfs_result) -> tuple[Usage, ...]:
    unit_bytes = status.f_frsize
    return (
        Usage(
            UsageUnit.BYTES,
            total=status.f_blocks * unit_bytes,
            used=(status.f_blocks - status.f_bfree) * unit_bytes,
            available=status.f_bavail * unit_bytes,
        ),
        Usage(
            UsageUnit.INODES,
            total=status.f_files,
            used=status.f_files - status.f_ffree,
            available=status.f_favail,
        ),
    )
