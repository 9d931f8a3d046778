"""The CSI messages that requests are made of: how a volume is used, and what it begins with."""

from collections.abc import Sequence

from csi_zfs.rpc.generated import csi_pb2

_Mode = csi_pb2.VolumeCapability.AccessMode


def mount_capability(
    fs_type: str = "",
    *,
    mode: _Mode.Mode.ValueType = _Mode.SINGLE_NODE_WRITER,
    flags: Sequence[str] = (),
) -> csi_pb2.VolumeCapability:
    """A volume with a file system."""
    mount = csi_pb2.VolumeCapability.MountVolume(fs_type=fs_type, mount_flags=flags)
    return csi_pb2.VolumeCapability(mount=mount, access_mode=_Mode(mode=mode))


def block_capability(
    *, mode: _Mode.Mode.ValueType = _Mode.SINGLE_NODE_WRITER
) -> csi_pb2.VolumeCapability:
    """A volume that is a raw block device."""
    block = csi_pb2.VolumeCapability.BlockVolume()
    return csi_pb2.VolumeCapability(block=block, access_mode=_Mode(mode=mode))


def from_snapshot(snapshot_id: str) -> csi_pb2.VolumeContentSource:
    """The content of a snapshot, for a new volume."""
    source = csi_pb2.VolumeContentSource.SnapshotSource(snapshot_id=snapshot_id)
    return csi_pb2.VolumeContentSource(snapshot=source)


def from_volume(volume_id: str) -> csi_pb2.VolumeContentSource:
    """The content of a live volume, for a new one."""
    source = csi_pb2.VolumeContentSource.VolumeSource(volume_id=volume_id)
    return csi_pb2.VolumeContentSource(volume=source)
