"""Requests about volumes to the Controller service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from csi_zfs.domain.capabilities import UnsupportedCapabilityError, VolumeCapability
from csi_zfs.domain.ids import SnapshotId, VolumeId
from csi_zfs.domain.model import ContentSource, CreateVolumeSpec, Topology
from csi_zfs.domain.parameters import without_metadata
from csi_zfs.domain.secrets import Secrets, SecretUse
from csi_zfs.domain.sizes import CapacityRange
from csi_zfs.rpc.generated import csi_pb2
from csi_zfs.rpc.requests.capabilities import parse_capabilities, parse_capability
from csi_zfs.rpc.requests.fields import (
    InvalidFieldError,
    MissingFieldError,
    parse_capacity_range,
    parse_id_if_ours,
    parse_known_id,
    parse_map,
    parse_name,
    parse_secrets,
    parse_topology,
    require_fields,
)


@dataclass(frozen=True, slots=True)
class Listing:
    """Which page of a listing: at most `max_entries` (0: all) behind `starting_token`."""

    max_entries: int
    starting_token: str


@dataclass(frozen=True, slots=True)
class CapabilityQuestion:
    """Whether a volume can be used in some ways; `refusal` says why never, whatever the volume."""

    volume_id: VolumeId
    capabilities: tuple[VolumeCapability, ...]
    parameters: Mapping[str, str]
    volume_context: Mapping[str, str]
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class CapacityQuestion:
    """How much room there is for volumes of a kind."""

    parameters: Mapping[str, str]
    capabilities: tuple[VolumeCapability, ...]
    topology: Topology | None


def parse_create_volume(request: csi_pb2.CreateVolumeRequest) -> CreateVolumeSpec:
    """What CreateVolume asks for; a source that cannot be ours is `UnknownIdError`."""
    require_fields(request, "name", "volume_capabilities")
    accessibility = request.accessibility_requirements
    return CreateVolumeSpec(
        volume_name=parse_name(request.name),
        capacity_range=parse_capacity_range(request.capacity_range),
        capabilities=parse_capabilities(request.volume_capabilities),
        parameters=parse_map("parameters", request.parameters),
        mutable_parameters=parse_map("mutable_parameters", request.mutable_parameters),
        content_source=_parse_source(request),
        secrets=parse_secrets(SecretUse.PROVISIONER, request.secrets),
        requisite_topologies=_parse_topologies(accessibility.requisite),
        preferred_topologies=_parse_topologies(accessibility.preferred),
    )


def _parse_source(request: csi_pb2.CreateVolumeRequest) -> ContentSource | None:
    if not request.HasField("volume_content_source"):
        return None
    source = request.volume_content_source
    match source.WhichOneof("type"):
        case "snapshot":
            require_fields(source.snapshot, "snapshot_id")
            return parse_known_id(SnapshotId, source.snapshot.snapshot_id)
        case "volume":
            require_fields(source.volume, "volume_id")
            return parse_known_id(VolumeId, source.volume.volume_id)
        case _:
            raise MissingFieldError("volume_content_source: neither snapshot nor volume is set")


def _parse_topologies(topologies: Sequence[csi_pb2.Topology]) -> tuple[Topology, ...]:
    return tuple(parse_topology("accessibility_requirements", topology) for topology in topologies)


def parse_delete_volume(request: csi_pb2.DeleteVolumeRequest) -> VolumeId | None:
    """The volume to delete; None if the id cannot be ours, so that there is nothing to do."""
    require_fields(request, "volume_id")
    return parse_id_if_ours(VolumeId, request.volume_id)


def parse_volume_id(
    request: csi_pb2.ControllerGetVolumeRequest | csi_pb2.ControllerGetVolumeHealthRequest,
) -> VolumeId:
    """The volume of a request that names nothing else."""
    require_fields(request, "volume_id")
    return parse_known_id(VolumeId, request.volume_id)


def parse_listing(
    request: csi_pb2.ListVolumesRequest
    | csi_pb2.ListSnapshotsRequest
    | csi_pb2.ControllerListVolumeHealthRequest,
) -> Listing:
    """The page asked for; whether the token is one of ours, the services know."""
    if request.max_entries < 0:
        raise InvalidFieldError("max_entries may not be negative")
    return Listing(request.max_entries, request.starting_token)


def parse_expand_volume(
    request: csi_pb2.ControllerExpandVolumeRequest,
) -> tuple[VolumeId, CapacityRange, Secrets]:
    """The volume, the sizes that will do, and what opens an encrypted one."""
    require_fields(request, "volume_id", "capacity_range")
    volume_id = parse_known_id(VolumeId, request.volume_id)
    capacity_range = parse_capacity_range(request.capacity_range)
    if capacity_range == CapacityRange():
        raise MissingFieldError("capacity_range: neither required_bytes nor limit_bytes is set")
    if request.HasField("volume_capability"):
        parse_capability(request.volume_capability)
    secrets = parse_secrets(SecretUse.CONTROLLER_EXPAND, request.secrets)
    return volume_id, capacity_range, secrets


def parse_modify_volume(
    request: csi_pb2.ControllerModifyVolumeRequest,
) -> tuple[VolumeId, Mapping[str, str]]:
    """The volume, and what to change about it."""
    require_fields(request, "volume_id")
    volume_id = parse_known_id(VolumeId, request.volume_id)
    require_fields(request, "mutable_parameters")
    return volume_id, parse_map("mutable_parameters", request.mutable_parameters)


def parse_validate_capabilities(
    request: csi_pb2.ValidateVolumeCapabilitiesRequest,
) -> CapabilityQuestion:
    """The question; a capability that no volume here has is an answer, not an error."""
    require_fields(request, "volume_id", "volume_capabilities")
    volume_id = parse_known_id(VolumeId, request.volume_id)
    parameters = parse_map("parameters", request.parameters)
    parameters |= parse_map("mutable_parameters", request.mutable_parameters)
    volume_context = without_metadata(parse_map("volume_context", request.volume_context))
    try:
        capabilities = parse_capabilities(request.volume_capabilities)
    except UnsupportedCapabilityError as exc:
        return CapabilityQuestion(volume_id, (), parameters, volume_context, refusal=str(exc))
    return CapabilityQuestion(volume_id, capabilities, parameters, volume_context)


def parse_get_capacity(request: csi_pb2.GetCapacityRequest) -> CapacityQuestion:
    """The kind of volumes that room is sought for; everything is optional."""
    has_topology = request.HasField("accessible_topology")
    topology = parse_topology("accessible_topology", request.accessible_topology)
    return CapacityQuestion(
        parameters=parse_map("parameters", request.parameters),
        capabilities=parse_capabilities(request.volume_capabilities),
        topology=topology if has_topology else None,
    )
