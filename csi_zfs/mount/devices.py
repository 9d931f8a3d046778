"""The block device of a volume's data: found, attached, let go of."""

from dataclasses import dataclass

from csi_zfs.domain.model import DataPath, DeviceNode, ImageFile, NativeFilesystem
from csi_zfs.mount import mount_table
from csi_zfs.mount.api import Device, DeviceBusyError, DeviceUnavailableError
from csi_zfs.mount.block import identify, require_unclaimed, wait_for_device, with_read_only
from csi_zfs.mount.holders import Holders
from csi_zfs.mount.loop import LoopDevices
from csi_zfs.mount.translation import naming_holders, translating
from csi_zfs.system.clock import Clock


@dataclass(frozen=True, slots=True)
class DataDevices:
    """The devices of image files and device nodes; native file systems have none.

    Thread-safe for different data.
    """

    loops: LoopDevices
    holders: Holders
    clock: Clock

    def find(self, data_path: DataPath) -> Device | None:
        """See `Mounter.find_device`."""
        if isinstance(data_path, NativeFilesystem):
            return None
        with translating(f"looking for the device of {data_path.path}"):
            if isinstance(data_path, ImageFile):
                return self.loops.find(data_path.path)
            return _find_node(data_path)

    def attach(self, data_path: DataPath, *, is_read_only: bool) -> Device:
        """See `Mounter.attach`."""
        if isinstance(data_path, NativeFilesystem):
            raise DeviceUnavailableError(f"{data_path.dataset_name} has no device: it is mounted")
        with translating(f"attaching {data_path.path}"):
            if isinstance(data_path, ImageFile):
                device = self.loops.attach(data_path)
            else:
                device = wait_for_device(data_path, self.clock)
            if device.is_read_only != is_read_only:
                _require_unused(device)
            with naming_holders(device, self.holders):
                return with_read_only(device, is_read_only=is_read_only)

    def detach(self, data_path: DataPath) -> None:
        """See `Mounter.detach`."""
        if isinstance(data_path, NativeFilesystem):
            self._require_unmounted(data_path)
            return
        device = self.find(data_path)
        if device is None:
            return
        with translating(f"detaching {data_path.path}"), naming_holders(device, self.holders):
            _require_unused(device)
            if isinstance(data_path, ImageFile):
                self.loops.detach(data_path.path)
            else:
                require_unclaimed(device)

    def _require_unmounted(self, filesystem: NativeFilesystem) -> None:
        name = filesystem.dataset_name
        with translating(f"looking for where {name} is mounted"):
            if words := self.holders.mounts_of_dataset(name):
                raise DeviceBusyError(f"{name} is in use: {words}")


def _require_unused(device: Device) -> None:
    """Raise unless nothing in this mount namespace shows the device.

    One that is only bound to a file is not busy for the kernel.  Yet whoever uses that file would
    lose their writes by a switch to read-only; once detached, its number, and with it the file,
    would show another volume's data.
    """
    if targets := mount_table.paths_of(device):
        raise DeviceBusyError(f"{device.path} is in use at {', '.join(map(str, targets))}")


def _find_node(node: DeviceNode) -> Device | None:
    try:
        device = identify(node.path)
    except (FileNotFoundError, DeviceUnavailableError):
        return None
    return device if device.size_bytes == node.size_bytes else None
