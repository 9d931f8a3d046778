"""Volume capabilities: how a caller wants to use a volume."""

from collections.abc import Sequence

from csi_zfs.domain.capabilities import (
    AccessMode,
    AccessType,
    UnsupportedCapabilityError,
    VolumeCapability,
)
from csi_zfs.domain.sizes import KIB
from csi_zfs.rpc.generated import csi_pb2
from csi_zfs.rpc.requests.fields import InvalidFieldError, MissingFieldError

MAX_MOUNT_FLAGS_BYTES = 4 * KIB

_Mode = csi_pb2.VolumeCapability.AccessMode.Mode
_SUPPORTED_MODES = {_Mode.Value(mode): mode for mode in AccessMode}


def parse_capability(capability: csi_pb2.VolumeCapability) -> VolumeCapability:
    """One way to use a volume.

    Raises:
        MissingFieldError: it names no access mode or no access type.
        InvalidFieldError: its mount flags have more than 4 KiB.
        UnsupportedCapabilityError: the driver does not serve it.
    """
    access_mode = _parse_mode(capability.access_mode)
    match capability.WhichOneof("access_type"):
        case "block":
            return VolumeCapability(access_mode, AccessType.BLOCK)
        case "mount":
            return _parse_mount(access_mode, capability.mount)
        case _:
            raise MissingFieldError("volume_capability: access_type is missing (block or mount)")


def parse_capabilities(
    capabilities: Sequence[csi_pb2.VolumeCapability],
) -> tuple[VolumeCapability, ...]:
    """The ways to use one volume; raises as `parse_capability`, and where they disagree."""
    parsed = tuple(map(parse_capability, capabilities))
    if len({(capability.access_type, capability.fs_type) for capability in parsed}) > 1:
        raise UnsupportedCapabilityError(
            "volume_capabilities: one volume has one access_type and one fs_type, not several"
        )
    return parsed


def _parse_mode(access_mode: csi_pb2.VolumeCapability.AccessMode) -> AccessMode:
    mode = access_mode.mode
    if mode == _Mode.UNKNOWN:
        raise MissingFieldError("volume_capability: access_mode is missing")
    if mode not in _SUPPORTED_MODES:
        name = _Mode.Name(mode) if mode in _Mode.values() else str(mode)
        raise UnsupportedCapabilityError(
            f"access mode {name} is not supported: a volume lives on one node; "
            f"use one of {', '.join(AccessMode)}"
        )
    return _SUPPORTED_MODES[mode]


def _parse_mount(
    access_mode: AccessMode, mount: csi_pb2.VolumeCapability.MountVolume
) -> VolumeCapability:
    if mount.volume_mount_group:
        # The driver does not say that it can, because ext4 and xfs have no mount option for it.
        raise UnsupportedCapabilityError("volume_mount_group is not supported: leave it out")
    if sum(len(flag.encode()) for flag in mount.mount_flags) > MAX_MOUNT_FLAGS_BYTES:
        raise InvalidFieldError(f"mount_flags have more than {MAX_MOUNT_FLAGS_BYTES} bytes")
    return VolumeCapability(
        access_mode,
        AccessType.MOUNT,
        fs_type=mount.fs_type,
        mount_flags=tuple(mount.mount_flags),
    )
