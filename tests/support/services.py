"""Services that remember what they were asked, answer with examples, and fail on demand.

For tests of the gRPC face alone; what the real services do is shown with them over fake engines.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from csi_zfs.domain.capabilities import AccessType, VolumeCapability
from csi_zfs.domain.ids import EphemeralId, GroupSnapshotId, SnapshotId, VolumeId
from csi_zfs.domain.model import (
    CapacityReport,
    CreateVolumeSpec,
    EphemeralSpec,
    ExpandedVolume,
    GroupSnapshot,
    HealthFinding,
    HealthStatus,
    Page,
    PublishSpec,
    Snapshot,
    StageSpec,
    Topology,
    Usage,
    UsageUnit,
    Volume,
    VolumeHealth,
)
from csi_zfs.domain.secrets import Secrets
from csi_zfs.domain.sizes import GIB, MIB, CapacityRange
from csi_zfs.rpc.services import Services
from csi_zfs.services.identity import Identity
from csi_zfs.services.pools import Pools

if TYPE_CHECKING:
    from csi_zfs.services.groups import GroupSnapshots
    from csi_zfs.services.health import Health
    from csi_zfs.services.named import NamedThings
    from csi_zfs.services.publishing import Publishing
    from csi_zfs.services.snapshots import Snapshots
    from csi_zfs.services.volumes import Volumes

POOL_ID = "0123456789abcdef"
VOLUME_ID = VolumeId(POOL_ID, "pvc-1", "1111111111111111")
OTHER_VOLUME_ID = VolumeId(POOL_ID, "pvc-2", "2222222222222222")
SNAPSHOT_ID = SnapshotId(POOL_ID, "snap-1", "3333333333333333")
GROUP_ID = GroupSnapshotId(POOL_ID, "group-1", "4444444444444444")
EPHEMERAL_ID = EphemeralId("csi-" + "5" * 64)

VOLUME = Volume(VOLUME_ID, "pvc-1", GIB, AccessType.MOUNT, "ext4")
SNAPSHOT = Snapshot(SNAPSHOT_ID, "snap-1", VOLUME_ID, GIB, created_ns=1_700_000_000_123_456_789)
GROUP = GroupSnapshot(
    GROUP_ID,
    "group-1",
    (Snapshot(SNAPSHOT_ID, "snap-1", VOLUME_ID, GIB, 1_700_000_000_000_000_000, GROUP_ID),),
    created_ns=1_700_000_000_000_000_000,
)
FINDING = HealthFinding(HealthStatus.DEGRADED, "PoolAlmostFull", "2 % are free")
IDENTITY = Identity("csi-zfs.example.io", "1.2.3", "node-1", "topology.csi-zfs.io/node")

Call = tuple[str, tuple[object, ...]]


@dataclass
class _Recording:
    """Remembers calls; raises `error` in each, if there is one."""

    calls: list[Call] = field(default_factory=list)
    error: Exception | None = None

    def note(self, name: str, *arguments: object) -> None:
        self.calls.append((name, arguments))
        if self.error is not None:
            raise self.error


@dataclass
class RecordingVolumes(_Recording):
    """In place of `Volumes`."""

    volume: Volume = VOLUME
    page: Page[Volume] = field(default_factory=lambda: Page((VOLUME,)))
    refusal: str = ""
    is_modify_supported: bool = False

    def create(self, spec: CreateVolumeSpec) -> Volume:
        self.note("create", spec)
        return self.volume

    def delete(self, volume_id: VolumeId) -> None:
        self.note("delete", volume_id)

    def get(self, volume_id: VolumeId) -> Volume:
        self.note("get", volume_id)
        return self.volume

    def list(self, *, max_entries: int, starting_token: str) -> Page[Volume]:
        self.note("list", max_entries, starting_token)
        return self.page

    def expand(
        self, volume_id: VolumeId, capacity_range: CapacityRange, secrets: Secrets
    ) -> ExpandedVolume:
        self.note("expand", volume_id, capacity_range, secrets)
        return ExpandedVolume(2 * GIB, is_node_expansion_required=True)

    def modify(self, volume_id: VolumeId, mutable_parameters: Mapping[str, str]) -> None:
        self.note("modify", volume_id, mutable_parameters)

    def validate(
        self,
        volume_id: VolumeId,
        capabilities: Sequence[VolumeCapability],
        parameters: Mapping[str, str],
    ) -> str:
        self.note("validate", volume_id, capabilities, parameters)
        return self.refusal

    def capacity(
        self,
        *,
        parameters: Mapping[str, str],
        capabilities: Sequence[VolumeCapability],
        topology: Topology | None,
    ) -> CapacityReport:
        self.note("capacity", parameters, capabilities, topology)
        return CapacityReport(10 * GIB, 5 * GIB, MIB)


@dataclass
class RecordingSnapshots(_Recording):
    """In place of `Snapshots`."""

    page: Page[Snapshot] = field(default_factory=lambda: Page((SNAPSHOT,)))

    def create(
        self, *, snapshot_name: str, source_volume_id: VolumeId, parameters: Mapping[str, str]
    ) -> Snapshot:
        self.note("create", snapshot_name, source_volume_id, parameters)
        return SNAPSHOT

    def delete(self, snapshot_id: SnapshotId) -> None:
        self.note("delete", snapshot_id)

    def get(self, snapshot_id: SnapshotId) -> Snapshot:
        self.note("get", snapshot_id)
        return SNAPSHOT

    def list(
        self,
        *,
        max_entries: int,
        starting_token: str,
        source_volume_id: VolumeId | None,
        snapshot_id: SnapshotId | None,
    ) -> Page[Snapshot]:
        self.note("list", max_entries, starting_token, source_volume_id, snapshot_id)
        return self.page


@dataclass
class RecordingGroups(_Recording):
    """In place of `GroupSnapshots`."""

    def create(
        self,
        *,
        group_snapshot_name: str,
        source_volume_ids: Sequence[VolumeId],
        parameters: Mapping[str, str],
    ) -> GroupSnapshot:
        self.note("create", group_snapshot_name, source_volume_ids, parameters)
        return GROUP

    def delete(
        self, group_snapshot_id: GroupSnapshotId, snapshot_ids: Sequence[SnapshotId]
    ) -> None:
        self.note("delete", group_snapshot_id, snapshot_ids)

    def get(
        self, group_snapshot_id: GroupSnapshotId, snapshot_ids: Sequence[SnapshotId]
    ) -> GroupSnapshot:
        self.note("get", group_snapshot_id, snapshot_ids)
        return GROUP


@dataclass
class RecordingPublishing(_Recording):
    """In place of `Publishing`."""

    def stage(self, spec: StageSpec) -> None:
        self.note("stage", spec)

    def unstage(self, volume_id: VolumeId, staging_target_path: Path) -> None:
        self.note("unstage", volume_id, staging_target_path)

    def publish(self, spec: PublishSpec) -> None:
        self.note("publish", spec)

    def publish_ephemeral(self, spec: EphemeralSpec) -> None:
        self.note("publish_ephemeral", spec)

    def unpublish(self, volume_id: VolumeId | EphemeralId, target_path: Path) -> None:
        self.note("unpublish", volume_id, target_path)

    def usage(self, volume_id: VolumeId | EphemeralId, volume_path: Path) -> tuple[Usage, ...]:
        self.note("usage", volume_id, volume_path)
        return (
            Usage(UsageUnit.BYTES, total=100, used=30, available=70),
            Usage(UsageUnit.INODES, total=10, used=3, available=7),
        )

    def expand(self, volume_id: VolumeId, volume_path: Path, capacity_range: CapacityRange) -> int:
        self.note("expand", volume_id, volume_path, capacity_range)
        return 2 * GIB


@dataclass
class RecordingHealth(_Recording):
    """In place of `Health`."""

    findings: tuple[HealthFinding, ...] = (FINDING,)
    ready: bool = True

    def volume(self, volume_id: VolumeId) -> VolumeHealth:
        self.note("volume", volume_id)
        return VolumeHealth(str(volume_id), self.findings)

    def list(self, *, max_entries: int, starting_token: str) -> Page[VolumeHealth]:
        self.note("list", max_entries, starting_token)
        return Page((VolumeHealth(str(VOLUME_ID), self.findings),))

    def node_volume(
        self, volume_id: VolumeId | EphemeralId, volume_publish_path: Path | None
    ) -> VolumeHealth:
        self.note("node_volume", volume_id, volume_publish_path)
        return VolumeHealth(str(volume_id), self.findings)

    def storage(self) -> tuple[HealthFinding, ...]:
        self.note("storage")
        return self.findings

    def is_ready(self) -> bool:
        self.note("is_ready")
        return self.ready


@dataclass
class RecordingNames(_Recording):
    """In place of `NamedThings`: every name is taken."""

    def volume(self, volume_name: str) -> VolumeId | None:
        self.note("volume", volume_name)
        return VOLUME_ID

    def snapshot(self, snapshot_name: str) -> SnapshotId | None:
        self.note("snapshot", snapshot_name)
        return SNAPSHOT_ID

    def group_snapshot(self, group_snapshot_name: str) -> GroupSnapshotId | None:
        self.note("group_snapshot", group_snapshot_name)
        return GROUP_ID


@dataclass
class RecordingServices:
    """All of them."""

    volumes: RecordingVolumes = field(default_factory=RecordingVolumes)
    snapshots: RecordingSnapshots = field(default_factory=RecordingSnapshots)
    groups: RecordingGroups = field(default_factory=RecordingGroups)
    publishing: RecordingPublishing = field(default_factory=RecordingPublishing)
    health: RecordingHealth = field(default_factory=RecordingHealth)
    named: RecordingNames = field(default_factory=RecordingNames)

    @property
    def services(self) -> Services:
        """The same, by the types of the real ones."""
        return Services(
            identity=IDENTITY,
            volumes=cast("Volumes", self.volumes),
            snapshots=cast("Snapshots", self.snapshots),
            groups=cast("GroupSnapshots", self.groups),
            publishing=cast("Publishing", self.publishing),
            health=cast("Health", self.health),
            pools=Pools([]),
            named=cast("NamedThings", self.named),
        )

    @property
    def calls(self) -> list[Call]:
        """What all of them were asked."""
        return [call for service in self._all() for call in service.calls]

    def fail_with(self, error: Exception) -> None:
        """Let every call of every service raise this."""
        for service in self._all():
            service.error = error

    def _all(self) -> tuple[_Recording, ...]:
        return (self.volumes, self.snapshots, self.groups, self.publishing, self.health)
