"""One round of a workflow on a real driver: things with names of its own, beside some in use."""

from dataclasses import dataclass, field
from pathlib import Path

from csi_zfs.domain.sizes import MIB
from csi_zfs.rpc.generated import csi_pb2
from tests.support.csi_messages import block_capability, from_volume, mount_capability
from tests.support.process import RealDriver

SIZE_BYTES = 32 * MIB
XFS_BYTES = 320 * MIB
LARGER_XFS_BYTES = 448 * MIB
TEXT = "what the workload wrote"


@dataclass(slots=True)
class Kept:
    """Volumes that are in use all the time: a file system and a block device."""

    filesystem_id: str
    block_id: str


@dataclass(slots=True)
class RealScene:
    """One round; `token` begins all of its names."""

    driver: RealDriver
    token: str
    kept: Kept
    capability: csi_pb2.VolumeCapability = field(default_factory=mount_capability)
    volume_id: str = ""
    snapshot_id: str = ""
    group: csi_pb2.VolumeGroupSnapshot = field(default_factory=csi_pb2.VolumeGroupSnapshot)

    # --- paths ---

    @property
    def staging_path(self) -> Path:
        return self.driver.paths.kubelet_dir / "plugins" / self.token

    @property
    def target_path(self) -> Path:
        return self.driver.paths.kubelet_dir / "pods" / self.token

    def create_block(self) -> None:
        self.capability = block_capability()
        self.create()

    def create_xfs(self) -> None:
        """An ext4 grows while it is mounted only where the driver has CAP_SYS_RESOURCE."""
        self.capability = mount_capability("xfs")
        self.create(size_bytes=XFS_BYTES)

    def create(self, *, size_bytes: int = SIZE_BYTES) -> None:
        volume = self.driver.client.create_volume(
            self.token, size_bytes=size_bytes, capability=self.capability
        )
        self.volume_id = volume.volume_id

    def clone(self) -> None:
        source = from_volume(self.kept.filesystem_id)
        self.volume_id = self.driver.client.create_volume(self.token, source=source).volume_id

    def delete(self) -> None:
        self.driver.client.delete_volume(self.volume_id)

    def snapshot(self) -> None:
        self._snapshot_of(self.kept.filesystem_id)

    def snapshot_own(self) -> None:
        self._snapshot_of(self.volume_id)

    def _snapshot_of(self, volume_id: str) -> None:
        snapshot = self.driver.client.create_snapshot(self.token, volume_id)
        self.snapshot_id = snapshot.snapshot_id

    def delete_snapshot(self) -> None:
        self.driver.client.delete_snapshot(self.snapshot_id)

    def take_group(self) -> None:
        volume_ids = [self.kept.filesystem_id, self.kept.block_id]
        self.group = self.driver.client.create_group_snapshot(self.token, volume_ids)

    def delete_group(self) -> None:
        self.driver.client.delete_group_snapshot(self.group)

    def stage(self) -> None:
        self.driver.client.stage(self.volume_id, self.staging_path, self.capability)

    def unstage(self) -> None:
        self.driver.client.unstage(self.volume_id, self.staging_path)

    def publish(self) -> None:
        self.driver.client.publish(
            self.volume_id, self.staging_path, self.target_path, self.capability
        )

    def unpublish(self) -> None:
        self.driver.client.unpublish(self.volume_id, self.target_path)

    def write(self) -> None:
        (self.target_path / "file").write_text(TEXT)

    def expand(self) -> None:
        self.driver.client.expand_volume(self.volume_id, LARGER_XFS_BYTES)
        self.driver.client.expand_on_node(self.volume_id, self.target_path)

    def put_away(self) -> None:
        self.unpublish()
        self.unstage()
