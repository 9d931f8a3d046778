"""What Kubernetes does around a driver: paths below the kubelet's directory, and calls in order."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from csi_zfs.rpc.generated import csi_pb2
from tests.support.csi_client import CsiClient


@dataclass(frozen=True, slots=True)
class PublishedVolume:
    """A volume in use on the node; its data is at `target_path`."""

    name: str
    volume_id: str
    capability: csi_pb2.VolumeCapability
    staging_path: Path
    target_path: Path


class Orchestrator:
    """Puts volumes to use on one node, and takes them out of use."""

    def __init__(self, client: CsiClient, kubelet_dir: Path) -> None:
        """Speak through this client, and keep volumes below this directory."""
        self.client = client
        self._kubelet_dir = kubelet_dir
        self.published: dict[str, PublishedVolume] = {}

    def publish(
        self, name: str, volume_id: str, capability: csi_pb2.VolumeCapability
    ) -> PublishedVolume:
        """Stage a volume and publish it to a pod of its own."""
        staging_path = self._kubelet_dir / "plugins" / name / "globalmount"
        staging_path.mkdir(parents=True)
        target_path = self.pod_directory(name) / "mount"
        volume = PublishedVolume(name, volume_id, capability, staging_path, target_path)
        self.client.stage(volume_id, staging_path, capability)
        self.client.publish(volume_id, staging_path, target_path, capability)
        self.published[name] = volume
        return volume

    def unpublish(self, volume: PublishedVolume) -> None:
        """Take a volume away from its pod and from the node."""
        self.client.unpublish(volume.volume_id, volume.target_path)
        self.client.unstage(volume.volume_id, volume.staging_path)
        with contextlib.suppress(FileNotFoundError):  # the driver may remove it, or leave it
            volume.staging_path.rmdir()
        volume.staging_path.parent.rmdir()
        volume.target_path.parent.rmdir()
        del self.published[volume.name]

    def expand(self, volume: PublishedVolume, size_bytes: int) -> int:
        """Grow a volume in use; returns its capacity in bytes."""
        answer = self.client.expand_volume(volume.volume_id, size_bytes)
        if answer.node_expansion_required:
            return self.client.expand_on_node(volume.volume_id, volume.target_path)
        return answer.capacity_bytes

    def pod_directory(self, name: str) -> Path:
        """A new directory for a pod's volume."""
        directory = self._kubelet_dir / "pods" / name
        directory.mkdir(parents=True)
        return directory
