"""Making a volume's data ready on this node.

Attach its device, format it once, mount it, grow it; a file system of ZFS is only mounted.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from csi_zfs.datasets.api import Dataset, DatasetManager
from csi_zfs.domain.capabilities import VolumeCapability
from csi_zfs.domain.model import NativeFilesystem
from csi_zfs.mount.api import (
    Device,
    FilesystemDamagedError,
    Mounted,
    Mounter,
    MountRequest,
    NativeMountRequest,
    NotBlankError,
    Probe,
)
from csi_zfs.services import records
from csi_zfs.services.keys import EncryptedDataset
from csi_zfs.services.records import DiskFormat, FormatState, VolumeRecord


@dataclass(frozen=True, slots=True)
class Disk:
    """A dataset whose data a node is to use: where it is, and what is known of it."""

    pool: DatasetManager
    dataset: Dataset
    record: VolumeRecord

    @classmethod
    def read(cls, pool: DatasetManager, dataset_name: str) -> "Disk":
        """Read it from the pool: what decides about formatting must not come from a cache."""
        dataset = pool.get(dataset_name)
        return cls(pool, dataset, records.parse_volume(dataset.user_properties))

    @property
    def encrypted(self) -> EncryptedDataset | None:
        """The same as one of an encrypted lineage, if it is."""
        if not self.record.salt:
            return None
        return EncryptedDataset(self.pool, self.dataset.name, self.record.salt)

    def with_format(self, disk_format: DiskFormat) -> "Disk":
        """Write down another format; durable when this returns."""
        record = replace(self.record, disk=disk_format)
        dataset = self.pool.set_user_properties(self.dataset.name, records.format_volume(record))
        return Disk(self.pool, dataset, record)


@dataclass(frozen=True, slots=True)
class Staging:
    """Brings disks up and down.  Every step is idempotent.

    Callers serialise the calls for one dataset.
    """

    mounter: Mounter

    def attach(self, disk: Disk, *, is_read_only: bool = False) -> Device:
        """The disk's one block device."""
        return self.mounter.attach(
            disk.pool.data_path(disk.dataset.name), is_read_only=is_read_only
        )

    def ensure_attached(self, disk: Disk, *, is_read_only: bool) -> None:
        """Attach the disk if it is not.

        One that is attached keeps its read-only state, which others rely on.
        """
        if self.mounter.find_device(disk.pool.data_path(disk.dataset.name)) is None:
            self.attach(disk, is_read_only=is_read_only)

    def mount(
        self, disk: Disk, target: Path, capability: VolumeCapability, *, is_read_only: bool = False
    ) -> None:
        """Mount the disk's file system at `target`, formatted if it never was, and let it fill it.

        Raises:
            NotBlankError: it counts as never formatted, but holds something (rules.md A4).
            FilesystemDamagedError: it holds something else than it should.
        """
        data_path = disk.pool.data_path(disk.dataset.name)
        if isinstance(data_path, NativeFilesystem):
            flags = capability.mount_flags
            self.mounter.mount_native(
                NativeMountRequest(data_path, target, flags, is_read_only=is_read_only)
            )
            return
        device = self.attach(disk)
        disk = self._formatted(disk, device)
        request = MountRequest(
            device=device,
            target=target,
            fs_type=disk.record.disk.fs_type,
            flags=capability.mount_flags,
            is_read_only=is_read_only,
            has_twin_uuid=disk.record.disk.has_twin_uuid,
        )
        self.grow(disk, device, self.mounter.mount(request))

    def is_shown(self, disk: Disk, mounted: Mounted) -> bool:
        """Whether what is mounted is this disk, and not what came over it (rules.md A6)."""
        data_path = disk.pool.data_path(disk.dataset.name)
        if isinstance(data_path, NativeFilesystem):
            return mounted.dataset_name == data_path.dataset_name
        device = self.mounter.find_device(data_path)
        return device is not None and mounted.number == device.number

    def grow(self, disk: Disk, device: Device, mounted: Mounted) -> None:
        """Let the mounted file system fill its device, and write that down once it does (A10)."""
        if disk.record.disk.filesystem_bytes < device.size_bytes and not mounted.is_read_only:
            self.mounter.grow(device, mounted)
            disk.with_format(replace(disk.record.disk, filesystem_bytes=device.size_bytes))

    def _formatted(self, disk: Disk, device: Device) -> Disk:
        disk_format = disk.record.disk
        is_formatted = disk_format.state is FormatState.FORMATTED
        found = self.mounter.probe(device, is_formatted=is_formatted)
        if is_formatted:
            _require_found(disk, found)
            return disk
        if disk_format.state is FormatState.BLANK:
            if found is not Probe.BLANK:
                msg = (
                    f"{disk.dataset.name} was never formatted, yet it holds {found}: it is left as "
                    "it is"
                )
                raise NotBlankError(msg)
            disk = disk.with_format(replace(disk_format, state=FormatState.FORMATTING))
        elif found is not Probe.BLANK:
            # An earlier format was cut short: the device was proved blank before it began, and was
            # never mounted.
            self.mounter.wipe(device)
        self.mounter.format(device, disk_format.fs_type)
        done = replace(disk_format, state=FormatState.FORMATTED, filesystem_bytes=device.size_bytes)
        return disk.with_format(done)


def _require_found(disk: Disk, found: Probe) -> None:
    wanted = disk.record.disk.fs_type
    if found.value != wanted:
        msg = (
            f"{disk.dataset.name} should hold {wanted}, but {found} was found: nothing was written "
            "to it"
        )
        raise FilesystemDamagedError(msg)
