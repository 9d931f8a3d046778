"""The node's calls with the usual paths, and what they are to show."""

from pathlib import Path

from csi_zfs.domain.capabilities import VolumeCapability
from csi_zfs.domain.ids import VolumeId
from tests.support.builders import publish_spec, stage_spec
from tests.support.node import FakeNode


def stage(node: FakeNode, volume_id: VolumeId, capability: VolumeCapability | None = None) -> None:
    """Stage at the usual path."""
    node.publishing.stage(stage_spec(node.kubelet_dir, volume_id, capability))


def publish(
    node: FakeNode,
    volume_id: VolumeId,
    capability: VolumeCapability | None = None,
    *,
    pod: str = "pod-1",
    is_read_only: bool = False,
) -> Path:
    """Publish at the usual path, and say where that is."""
    spec = publish_spec(node.kubelet_dir, volume_id, capability, pod=pod, is_read_only=is_read_only)
    node.publishing.publish(spec)
    return spec.target_path


def is_shown(node: FakeNode, volume_id: VolumeId, path: Path) -> bool:
    """Whether the volume's own device is mounted at the path."""
    mounted = node.mounter.mounted_at(path)
    device = node.mounter.find_device(node.pool.data_path(f"v/{volume_id.leaf}"))
    return mounted is not None and device is not None and mounted.number == device.number
