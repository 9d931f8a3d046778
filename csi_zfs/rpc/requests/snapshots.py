"""Requests about snapshots and group snapshots."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from csi_zfs.domain.ids import GroupSnapshotId, SnapshotId, VolumeId
from csi_zfs.rpc.generated import csi_pb2
from csi_zfs.rpc.requests.controller import Listing, parse_listing
from csi_zfs.rpc.requests.fields import (
    InvalidFieldError,
    parse_id_if_ours,
    parse_known_id,
    parse_map,
    parse_name,
    require_fields,
)


@dataclass(frozen=True, slots=True)
class NewSnapshot:
    """What CreateSnapshot asks for."""

    snapshot_name: str
    source_volume_id: VolumeId
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NewGroupSnapshot:
    """What CreateVolumeGroupSnapshot asks for."""

    group_snapshot_name: str
    source_volume_ids: tuple[VolumeId, ...]
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SnapshotListing:
    """Which page of which snapshots; a filter that is None lets all pass."""

    listing: Listing
    source_volume_id: VolumeId | None
    snapshot_id: SnapshotId | None


def parse_create_snapshot(request: csi_pb2.CreateSnapshotRequest) -> NewSnapshot:
    """The snapshot to take; a source that cannot be ours is `UnknownIdError`."""
    require_fields(request, "name", "source_volume_id")
    source_volume_id = parse_known_id(VolumeId, request.source_volume_id)
    if request.HasField("accessibility_requirements"):
        # To ignore it would be to promise what nobody keeps.
        raise InvalidFieldError("accessibility_requirements are not supported: leave them out")
    return NewSnapshot(
        snapshot_name=parse_name(request.name),
        source_volume_id=source_volume_id,
        parameters=parse_map("parameters", request.parameters),
    )


def parse_delete_snapshot(request: csi_pb2.DeleteSnapshotRequest) -> SnapshotId | None:
    """The snapshot to delete; None if the id cannot be ours, so that there is nothing to do."""
    require_fields(request, "snapshot_id")
    return parse_id_if_ours(SnapshotId, request.snapshot_id)


def parse_get_snapshot(request: csi_pb2.GetSnapshotRequest) -> SnapshotId:
    """The snapshot to look up."""
    require_fields(request, "snapshot_id")
    return parse_known_id(SnapshotId, request.snapshot_id)


def parse_list_snapshots(request: csi_pb2.ListSnapshotsRequest) -> SnapshotListing | None:
    """The page asked for; None if a filter cannot be ours, so that no snapshot passes it."""
    listing = parse_listing(request)
    source_volume_id = parse_id_if_ours(VolumeId, request.source_volume_id)
    snapshot_id = parse_id_if_ours(SnapshotId, request.snapshot_id)
    if (request.source_volume_id and source_volume_id is None) or (
        request.snapshot_id and snapshot_id is None
    ):
        return None
    return SnapshotListing(listing, source_volume_id, snapshot_id)


def parse_create_group_snapshot(
    request: csi_pb2.CreateVolumeGroupSnapshotRequest,
) -> NewGroupSnapshot:
    """The group to snapshot; a source that cannot be ours is `UnknownIdError`."""
    require_fields(request, "name", "source_volume_ids")
    sources = tuple(parse_known_id(VolumeId, text) for text in request.source_volume_ids)
    if len(set(sources)) < len(sources):
        raise InvalidFieldError("source_volume_ids name a volume twice")
    return NewGroupSnapshot(
        group_snapshot_name=parse_name(request.name),
        source_volume_ids=sources,
        parameters=parse_map("parameters", request.parameters),
    )


def parse_delete_group_snapshot(
    request: csi_pb2.DeleteVolumeGroupSnapshotRequest,
) -> tuple[GroupSnapshotId, tuple[SnapshotId, ...]] | None:
    """The group to delete and its members; None if the group's id cannot be ours."""
    require_fields(request, "group_snapshot_id")
    group_snapshot_id = parse_id_if_ours(GroupSnapshotId, request.group_snapshot_id)
    if group_snapshot_id is None:
        return None
    require_fields(request, "snapshot_ids")
    return group_snapshot_id, _parse_members(request.snapshot_ids)


def parse_get_group_snapshot(
    request: csi_pb2.GetVolumeGroupSnapshotRequest,
) -> tuple[GroupSnapshotId, tuple[SnapshotId, ...]]:
    """The group to look up and its members."""
    require_fields(request, "group_snapshot_id")
    group_snapshot_id = parse_known_id(GroupSnapshotId, request.group_snapshot_id)
    require_fields(request, "snapshot_ids")
    return group_snapshot_id, _parse_members(request.snapshot_ids)


def _parse_members(snapshot_ids: Sequence[str]) -> tuple[SnapshotId, ...]:
    # The specification wants INVALID_ARGUMENT for a list that does not match, not NOT_FOUND.
    return tuple(map(SnapshotId.parse, snapshot_ids))
