"""Requests as tests want them: everything has a good value, and a test names what matters to it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from csi_zfs.domain.capabilities import AccessMode, AccessType, VolumeCapability
from csi_zfs.domain.ids import VolumeId
from csi_zfs.domain.model import (
    ContentSource,
    CreateVolumeSpec,
    EphemeralSpec,
    PublishSpec,
    StageSpec,
    Topology,
)
from csi_zfs.domain.sizes import MIB, CapacityRange

SIZE_BYTES = 64 * MIB
EPHEMERAL_ID = "csi-" + "e" * 64


def mount_capability(
    fs_type: str = "",
    *,
    access_mode: AccessMode = AccessMode.SINGLE_NODE_WRITER,
    mount_flags: Sequence[str] = (),
) -> VolumeCapability:
    """Use as a file system."""
    return VolumeCapability(access_mode, AccessType.MOUNT, fs_type, tuple(mount_flags))


def block_capability(
    access_mode: AccessMode = AccessMode.SINGLE_NODE_WRITER,
) -> VolumeCapability:
    """Use as a raw block device."""
    return VolumeCapability(access_mode, AccessType.BLOCK)


def volume_spec(
    volume_name: str = "pvc-1",
    *,
    size_bytes: int = SIZE_BYTES,
    limit_bytes: int = 0,
    capability: VolumeCapability | None = None,
    parameters: Mapping[str, str] | None = None,
    mutable_parameters: Mapping[str, str] | None = None,
    content_source: ContentSource | None = None,
    requisite_topologies: Sequence[Topology] = (),
) -> CreateVolumeSpec:
    """A CreateVolume request."""
    return CreateVolumeSpec(
        volume_name=volume_name,
        capacity_range=CapacityRange(size_bytes, limit_bytes),
        capabilities=(capability or mount_capability(),),
        parameters=parameters or {},
        mutable_parameters=mutable_parameters or {},
        content_source=content_source,
        requisite_topologies=requisite_topologies,
    )


def staging_path(kubelet_dir: Path, volume_id: VolumeId) -> Path:
    """Where the kubelet stages a volume."""
    return kubelet_dir / "plugins" / volume_id.leaf / "globalmount"


def target_path(kubelet_dir: Path, volume_id: VolumeId, pod: str = "pod-1") -> Path:
    """Where the kubelet publishes a volume for a pod."""
    return kubelet_dir / "pods" / pod / volume_id.leaf


def stage_spec(
    kubelet_dir: Path, volume_id: VolumeId, capability: VolumeCapability | None = None
) -> StageSpec:
    """A NodeStageVolume request at the usual path."""
    staging = staging_path(kubelet_dir, volume_id)
    return StageSpec(volume_id, staging, capability or mount_capability())


def publish_spec(
    kubelet_dir: Path,
    volume_id: VolumeId,
    capability: VolumeCapability | None = None,
    *,
    pod: str = "pod-1",
    is_read_only: bool = False,
) -> PublishSpec:
    """A NodePublishVolume request at the usual paths."""
    return PublishSpec(
        volume_id=volume_id,
        staging_target_path=staging_path(kubelet_dir, volume_id),
        target_path=target_path(kubelet_dir, volume_id, pod),
        capability=capability or mount_capability(),
        is_read_only=is_read_only,
    )


def ephemeral_spec(
    kubelet_dir: Path,
    ephemeral_id: str = EPHEMERAL_ID,
    *,
    pod: str = "pod-1",
    capability: VolumeCapability | None = None,
    is_read_only: bool = False,
    parameters: Mapping[str, str] | None = None,
) -> EphemeralSpec:
    """A NodePublishVolume request for an inline ephemeral volume."""
    return EphemeralSpec(
        ephemeral_id=ephemeral_id,
        target_path=kubelet_dir / "pods" / pod / "scratch",
        capability=capability or mount_capability(),
        is_read_only=is_read_only,
        parameters=parameters or {},
    )
