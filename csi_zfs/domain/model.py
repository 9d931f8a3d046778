"""The things that the driver speaks of.

Volumes, snapshots, groups, where their data is, how healthy they are.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from csi_zfs.domain.capabilities import AccessType, VolumeCapability
from csi_zfs.domain.ids import GroupSnapshotId, SnapshotId, VolumeId
from csi_zfs.domain.secrets import NO_SECRETS, Secrets
from csi_zfs.domain.sizes import CapacityRange

T = TypeVar("T")
ContentSource = SnapshotId | VolumeId
Topology = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file that holds a disk image; a loop device makes it a block device."""

    path: Path
    size_bytes: int


@dataclass(frozen=True, slots=True)
class DeviceNode:
    """A path under /dev that leads to a block device of exactly `size_bytes`."""

    path: Path
    size_bytes: int


@dataclass(frozen=True, slots=True)
class NativeFilesystem:
    """A file system of ZFS itself, by its whole name: it is mounted without a block device."""

    dataset_name: str
    size_bytes: int


DataPath = ImageFile | DeviceNode | NativeFilesystem


@dataclass(frozen=True, slots=True)
class ChangedRange:
    """A part of an image that may differ from an older one; `is_zero`: it reads as zeros now."""

    offset_bytes: int
    length_bytes: int
    is_zero: bool


@dataclass(frozen=True, slots=True)
class Volume:
    """A provisioned volume, as callers see it."""

    volume_id: VolumeId
    volume_name: str
    capacity_bytes: int
    access_type: AccessType
    fs_type: str
    content_source: ContentSource | None = None
    volume_context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A point in time of a volume.

    `size_bytes` is the smallest volume it can be restored to, never 0.
    """

    snapshot_id: SnapshotId
    snapshot_name: str
    source_volume_id: VolumeId
    size_bytes: int
    created_ns: int
    group_snapshot_id: GroupSnapshotId | None = None


@dataclass(frozen=True, slots=True)
class GroupSnapshot:
    """Snapshots of several volumes at one instant."""

    group_snapshot_id: GroupSnapshotId
    group_snapshot_name: str
    snapshots: tuple[Snapshot, ...]
    created_ns: int


@dataclass(frozen=True, slots=True)
class CreateVolumeSpec:
    """What CreateVolume asks for, already checked for form."""

    volume_name: str
    capacity_range: CapacityRange
    capabilities: tuple[VolumeCapability, ...]
    parameters: Mapping[str, str] = field(default_factory=dict)
    mutable_parameters: Mapping[str, str] = field(default_factory=dict)
    content_source: ContentSource | None = None
    secrets: Secrets = NO_SECRETS
    requisite_topologies: Sequence[Topology] = ()
    preferred_topologies: Sequence[Topology] = ()


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing; `next_token` is empty on the last page."""

    entries: tuple[T, ...]
    next_token: str = ""


@dataclass(frozen=True, slots=True)
class CapacityReport:
    """Room for new volumes, in bytes."""

    available_bytes: int
    maximum_volume_bytes: int
    minimum_volume_bytes: int


@dataclass(frozen=True, slots=True)
class ExpandedVolume:
    """The true capacity after an expansion, and whether the node has work left to do."""

    capacity_bytes: int
    is_node_expansion_required: bool


class UsageUnit(enum.StrEnum):
    """What a usage figure counts."""

    BYTES = "BYTES"
    INODES = "INODES"


@dataclass(frozen=True, slots=True)
class Usage:
    """How full a published volume is."""

    unit: UsageUnit
    total: int
    used: int
    available: int


class HealthStatus(enum.StrEnum):
    """What is wrong, in the terms of the CSI health messages."""

    DEGRADED = "DEGRADED"
    INACCESSIBLE = "INACCESSIBLE"
    DATA_LOSS = "DATA_LOSS"


@dataclass(frozen=True, slots=True)
class HealthFinding:
    """One thing that is wrong: a CamelCase reason for machines, a message for people."""

    status: HealthStatus
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class VolumeHealth:
    """The findings about one volume; none means healthy."""

    volume_id: str
    findings: tuple[HealthFinding, ...] = ()


class PoolKind(enum.StrEnum):
    """What a pool is made of.

    An embedded one of a disk image with a file system, or of a directory of one.
    """

    IMAGE = "image"
    DIRECTORY = "directory"
    OPENZFS = "openzfs"


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """What a pool is and holds now, for people.

    Where the pool cannot be read, `pool_id` is empty and all numbers are 0; `findings` says why.

    Attributes:
        path: the directory of an embedded pool; None for one on OpenZFS.
        dataset: the dataset of a pool on OpenZFS; empty for an embedded one.
        state: `mounted`, `unmounted` or `unknown`; of a zpool the kernel's word, such as `ONLINE`.
    """

    name: str
    path: Path | None
    dataset: str
    pool_id: str
    kind: PoolKind
    state: str
    total_bytes: int
    free_bytes: int
    volumes: int
    snapshots: int
    findings: tuple[HealthFinding, ...] = ()


@dataclass(frozen=True, slots=True)
class StageSpec:
    """What NodeStageVolume asks for."""

    volume_id: VolumeId
    staging_target_path: Path
    capability: VolumeCapability
    secrets: Secrets = NO_SECRETS


@dataclass(frozen=True, slots=True)
class PublishSpec:
    """What NodePublishVolume asks for of a provisioned volume."""

    volume_id: VolumeId
    staging_target_path: Path
    target_path: Path
    capability: VolumeCapability
    is_read_only: bool
    secrets: Secrets = NO_SECRETS


@dataclass(frozen=True, slots=True)
class EphemeralSpec:
    """What NodePublishVolume asks for of an inline ephemeral volume."""

    ephemeral_id: str
    target_path: Path
    capability: VolumeCapability
    is_read_only: bool
    parameters: Mapping[str, str] = field(default_factory=dict)
    secrets: Secrets = NO_SECRETS
