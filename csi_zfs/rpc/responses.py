"""From the domain's terms to responses.  Everything here is pure."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import Int64Value

from csi_zfs.domain.ids import SnapshotId
from csi_zfs.domain.model import (
    CapacityReport,
    ContentSource,
    GroupSnapshot,
    HealthFinding,
    HealthStatus,
    Page,
    Snapshot,
    Topology,
    Usage,
    Volume,
    VolumeHealth,
)
from csi_zfs.domain.sizes import MIB
from csi_zfs.rpc.generated import csi_pb2

# Callers take messages of 4 MiB unless they say otherwise.
MAX_PAGE_BYTES = 3 * MIB
_ENTRY_HEADER_BYTES = 6
_NS_PER_S = 1_000_000_000

_STORAGE_STATUS = {
    HealthStatus.DEGRADED: csi_pb2.STORAGE_DEGRADED,
    HealthStatus.INACCESSIBLE: csi_pb2.STORAGE_UNREACHABLE,
    # The interface has no data loss of a whole backend: what is left of it is degraded.
    HealthStatus.DATA_LOSS: csi_pb2.STORAGE_DEGRADED,
}

T = TypeVar("T")
EntryT = TypeVar(
    "EntryT",
    csi_pb2.ListVolumesResponse.Entry,
    csi_pb2.ListSnapshotsResponse.Entry,
    csi_pb2.VolumeHealth,
)


def volume(of: Volume, topology: Topology) -> csi_pb2.Volume:
    """A volume, reachable at `topology` only."""
    return csi_pb2.Volume(
        volume_id=str(of.volume_id),
        capacity_bytes=of.capacity_bytes,
        volume_context=of.volume_context,
        content_source=_content_source(of.content_source),
        accessible_topology=[csi_pb2.Topology(segments=topology)],
    )


def _content_source(source: ContentSource | None) -> csi_pb2.VolumeContentSource | None:
    if source is None:
        return None
    if isinstance(source, SnapshotId):
        return csi_pb2.VolumeContentSource(
            snapshot=csi_pb2.VolumeContentSource.SnapshotSource(snapshot_id=str(source))
        )
    return csi_pb2.VolumeContentSource(
        volume=csi_pb2.VolumeContentSource.VolumeSource(volume_id=str(source))
    )


def snapshot(of: Snapshot) -> csi_pb2.Snapshot:
    """A snapshot; a local one is ready as soon as it exists."""
    group_snapshot_id = of.group_snapshot_id
    return csi_pb2.Snapshot(
        snapshot_id=str(of.snapshot_id),
        source_volume_id=str(of.source_volume_id),
        size_bytes=of.size_bytes,
        creation_time=_timestamp(of.created_ns),
        ready_to_use=True,
        group_snapshot_id="" if group_snapshot_id is None else str(group_snapshot_id),
    )


def group_snapshot(of: GroupSnapshot) -> csi_pb2.VolumeGroupSnapshot:
    """A group of snapshots."""
    return csi_pb2.VolumeGroupSnapshot(
        group_snapshot_id=str(of.group_snapshot_id),
        snapshots=map(snapshot, of.snapshots),
        creation_time=_timestamp(of.created_ns),
        ready_to_use=True,
    )


def _timestamp(time_ns: int) -> Timestamp:
    seconds, nanos = divmod(time_ns, _NS_PER_S)
    return Timestamp(seconds=seconds, nanos=nanos)


def list_volumes(page: Page[Volume], topology: Topology) -> csi_pb2.ListVolumesResponse:
    """One page of volumes."""
    entries, next_token = _cut(
        page,
        lambda of: csi_pb2.ListVolumesResponse.Entry(volume=volume(of, topology)),
        lambda of: str(of.volume_id),
    )
    return csi_pb2.ListVolumesResponse(entries=entries, next_token=next_token)


def list_snapshots(page: Page[Snapshot]) -> csi_pb2.ListSnapshotsResponse:
    """One page of snapshots."""
    entries, next_token = _cut(
        page,
        lambda of: csi_pb2.ListSnapshotsResponse.Entry(snapshot=snapshot(of)),
        lambda of: str(of.snapshot_id),
    )
    return csi_pb2.ListSnapshotsResponse(entries=entries, next_token=next_token)


def list_volume_health(page: Page[VolumeHealth]) -> csi_pb2.ControllerListVolumeHealthResponse:
    """One page of ill volumes."""
    entries, next_token = _cut(page, volume_health, lambda of: of.volume_id)
    return csi_pb2.ControllerListVolumeHealthResponse(entries=entries, next_token=next_token)


def _cut(
    page: Page[T], build: Callable[[T], EntryT], token_of: Callable[[T], str]
) -> tuple[list[EntryT], str]:
    """As many entries of the page as one message may hold, and the token of what comes behind."""
    built: list[EntryT] = []
    size_bytes = 0
    for number, item in enumerate(page.entries):
        entry = build(item)
        size_bytes += entry.ByteSize() + _ENTRY_HEADER_BYTES
        if built and size_bytes > MAX_PAGE_BYTES:
            return built, token_of(page.entries[number - 1])
        built.append(entry)
    return built, page.next_token


def volume_health(of: VolumeHealth) -> csi_pb2.VolumeHealth:
    """The health of one volume; the names of the statuses are the interface's own."""
    return csi_pb2.VolumeHealth(
        volume_id=of.volume_id,
        health_statuses=[
            csi_pb2.VolumeHealth.VolumeHealthEntry(
                status=csi_pb2.VolumeHealthErrorType.Value(finding.status),
                reason=finding.reason,
                message=finding.message,
            )
            for finding in _merged(of.findings)
        ],
    )


def storage_health(findings: Iterable[HealthFinding]) -> csi_pb2.NodeGetStorageHealthResponse:
    """The health of this node's pools."""
    return csi_pb2.NodeGetStorageHealthResponse(
        backend_health=[
            csi_pb2.NodeGetStorageHealthResponse.StorageBackendHealth(
                status=_STORAGE_STATUS[finding.status],
                reason=finding.reason,
                message=finding.message,
            )
            for finding in _merged(findings)
        ]
    )


def _merged(findings: Iterable[HealthFinding]) -> list[HealthFinding]:
    """The findings with the messages of equal ones put together: CSI allows each only once."""
    messages: dict[tuple[HealthStatus, str], list[str]] = {}
    for finding in findings:
        messages.setdefault((finding.status, finding.reason), []).append(finding.message)
    return [
        HealthFinding(status, reason, "; ".join(texts))
        for (status, reason), texts in messages.items()
    ]


def capability_answer(
    request: csi_pb2.ValidateVolumeCapabilitiesRequest, refusal: str
) -> csi_pb2.ValidateVolumeCapabilitiesResponse:
    """The confirmation of everything that was asked, or why not."""
    if refusal:
        return csi_pb2.ValidateVolumeCapabilitiesResponse(message=refusal)
    return csi_pb2.ValidateVolumeCapabilitiesResponse(
        confirmed=csi_pb2.ValidateVolumeCapabilitiesResponse.Confirmed(
            volume_context=request.volume_context,
            volume_capabilities=request.volume_capabilities,
            parameters=request.parameters,
            mutable_parameters=request.mutable_parameters,
        )
    )


def capacity(report: CapacityReport) -> csi_pb2.GetCapacityResponse:
    """The room for new volumes."""
    return csi_pb2.GetCapacityResponse(
        available_capacity=report.available_bytes,
        maximum_volume_size=Int64Value(value=report.maximum_volume_bytes),
        minimum_volume_size=Int64Value(value=report.minimum_volume_bytes),
    )


def volume_stats(usages: Iterable[Usage]) -> csi_pb2.NodeGetVolumeStatsResponse:
    """How full a published volume is."""
    return csi_pb2.NodeGetVolumeStatsResponse(
        usage=[
            csi_pb2.VolumeUsage(
                unit=csi_pb2.VolumeUsage.Unit.Value(usage.unit),
                total=usage.total,
                used=usage.used,
                available=usage.available,
            )
            for usage in usages
        ]
    )
