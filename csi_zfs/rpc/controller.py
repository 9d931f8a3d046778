"""The Controller service: three lines a call."""

import grpc

from csi_zfs.rpc import requests, responses
from csi_zfs.rpc.generated import csi_pb2, csi_pb2_grpc
from csi_zfs.rpc.services import Services

_Rpc = csi_pb2.ControllerServiceCapability.RPC
_TYPES = (
    _Rpc.CREATE_DELETE_VOLUME,
    _Rpc.LIST_VOLUMES,
    _Rpc.GET_CAPACITY,
    _Rpc.CREATE_DELETE_SNAPSHOT,
    _Rpc.LIST_SNAPSHOTS,
    _Rpc.GET_SNAPSHOT,
    _Rpc.CLONE_VOLUME,
    _Rpc.EXPAND_VOLUME,
    _Rpc.GET_VOLUME,
    _Rpc.SINGLE_NODE_MULTI_WRITER,
    _Rpc.GET_VOLUME_HEALTH,
    _Rpc.LIST_VOLUME_HEALTH,
)


def controller_capabilities(
    *, is_modify_supported: bool
) -> csi_pb2.ControllerGetCapabilitiesResponse:
    """What the service can do; volumes can be modified only where a pool can."""
    types = (*_TYPES, _Rpc.MODIFY_VOLUME) if is_modify_supported else _TYPES
    return csi_pb2.ControllerGetCapabilitiesResponse(
        capabilities=[
            csi_pb2.ControllerServiceCapability(rpc=_Rpc(type=rpc_type)) for rpc_type in types
        ]
    )


class ControllerServer(csi_pb2_grpc.ControllerServicer):
    """Volumes and snapshots."""

    def __init__(self, services: Services) -> None:
        self._volumes = services.volumes
        self._snapshots = services.snapshots
        self._health = services.health
        self._topology = services.identity.topology

    def ControllerGetCapabilities(
        self, request: csi_pb2.ControllerGetCapabilitiesRequest, context: grpc.ServicerContext
    ) -> csi_pb2.ControllerGetCapabilitiesResponse:
        """What this service can do."""
        return controller_capabilities(is_modify_supported=self._volumes.is_modify_supported)

    def CreateVolume(
        self, request: csi_pb2.CreateVolumeRequest, context: grpc.ServicerContext
    ) -> csi_pb2.CreateVolumeResponse:
        """Make a volume, or return the equal one of that name."""
        volume = self._volumes.create(requests.parse_create_volume(request))
        return csi_pb2.CreateVolumeResponse(volume=responses.volume(volume, self._topology))

    def DeleteVolume(
        self, request: csi_pb2.DeleteVolumeRequest, context: grpc.ServicerContext
    ) -> csi_pb2.DeleteVolumeResponse:
        """Delete a volume; one that does not exist is deleted."""
        volume_id = requests.parse_delete_volume(request)
        if volume_id is not None:
            self._volumes.delete(volume_id)
        return csi_pb2.DeleteVolumeResponse()

    def ControllerGetVolume(
        self, request: csi_pb2.ControllerGetVolumeRequest, context: grpc.ServicerContext
    ) -> csi_pb2.ControllerGetVolumeResponse:
        """Look a volume up."""
        volume = self._volumes.get(requests.parse_volume_id(request))
        return csi_pb2.ControllerGetVolumeResponse(
            volume=responses.volume(volume, self._topology),
            status=csi_pb2.ControllerGetVolumeResponse.VolumeStatus(),
        )

    def ListVolumes(
        self, request: csi_pb2.ListVolumesRequest, context: grpc.ServicerContext
    ) -> csi_pb2.ListVolumesResponse:
        """One page of all volumes."""
        listing = requests.parse_listing(request)
        page = self._volumes.list(
            max_entries=listing.max_entries, starting_token=listing.starting_token
        )
        return responses.list_volumes(page, self._topology)

    def ControllerExpandVolume(
        self, request: csi_pb2.ControllerExpandVolumeRequest, context: grpc.ServicerContext
    ) -> csi_pb2.ControllerExpandVolumeResponse:
        """Grow a volume."""
        expanded = self._volumes.expand(*requests.parse_expand_volume(request))
        return csi_pb2.ControllerExpandVolumeResponse(
            capacity_bytes=expanded.capacity_bytes,
            node_expansion_required=expanded.is_node_expansion_required,
        )

    def ControllerModifyVolume(
        self, request: csi_pb2.ControllerModifyVolumeRequest, context: grpc.ServicerContext
    ) -> csi_pb2.ControllerModifyVolumeResponse:
        """Change properties of a volume."""
        self._volumes.modify(*requests.parse_modify_volume(request))
        return csi_pb2.ControllerModifyVolumeResponse()

    def ValidateVolumeCapabilities(
        self, request: csi_pb2.ValidateVolumeCapabilitiesRequest, context: grpc.ServicerContext
    ) -> csi_pb2.ValidateVolumeCapabilitiesResponse:
        """Say whether a volume can be used in some ways."""
        question = requests.parse_validate_capabilities(request)
        refusal = self._volumes.validate(
            question.volume_id, question.capabilities, question.parameters
        )
        return responses.capability_answer(request, question.refusal or refusal)

    def GetCapacity(
        self, request: csi_pb2.GetCapacityRequest, context: grpc.ServicerContext
    ) -> csi_pb2.GetCapacityResponse:
        """Say how much room there is."""
        question = requests.parse_get_capacity(request)
        report = self._volumes.capacity(
            parameters=question.parameters,
            capabilities=question.capabilities,
            topology=question.topology,
        )
        return responses.capacity(report)

    def CreateSnapshot(
        self, request: csi_pb2.CreateSnapshotRequest, context: grpc.ServicerContext
    ) -> csi_pb2.CreateSnapshotResponse:
        """Take a snapshot, or return the equal one of that name."""
        new = requests.parse_create_snapshot(request)
        snapshot = self._snapshots.create(
            snapshot_name=new.snapshot_name,
            source_volume_id=new.source_volume_id,
            parameters=new.parameters,
        )
        return csi_pb2.CreateSnapshotResponse(snapshot=responses.snapshot(snapshot))

    def DeleteSnapshot(
        self, request: csi_pb2.DeleteSnapshotRequest, context: grpc.ServicerContext
    ) -> csi_pb2.DeleteSnapshotResponse:
        """Delete a snapshot; one that does not exist is deleted."""
        snapshot_id = requests.parse_delete_snapshot(request)
        if snapshot_id is not None:
            self._snapshots.delete(snapshot_id)
        return csi_pb2.DeleteSnapshotResponse()

    def GetSnapshot(
        self, request: csi_pb2.GetSnapshotRequest, context: grpc.ServicerContext
    ) -> csi_pb2.GetSnapshotResponse:
        """Look a snapshot up."""
        snapshot = self._snapshots.get(requests.parse_get_snapshot(request))
        return csi_pb2.GetSnapshotResponse(snapshot=responses.snapshot(snapshot))

    def ListSnapshots(
        self, request: csi_pb2.ListSnapshotsRequest, context: grpc.ServicerContext
    ) -> csi_pb2.ListSnapshotsResponse:
        """One page of all snapshots, of a volume's, or the one of an id."""
        asked = requests.parse_list_snapshots(request)
        if asked is None:
            return csi_pb2.ListSnapshotsResponse()
        page = self._snapshots.list(
            max_entries=asked.listing.max_entries,
            starting_token=asked.listing.starting_token,
            source_volume_id=asked.source_volume_id,
            snapshot_id=asked.snapshot_id,
        )
        return responses.list_snapshots(page)

    def ControllerGetVolumeHealth(
        self, request: csi_pb2.ControllerGetVolumeHealthRequest, context: grpc.ServicerContext
    ) -> csi_pb2.ControllerGetVolumeHealthResponse:
        """Say what is wrong with a volume."""
        health = self._health.volume(requests.parse_volume_id(request))
        return csi_pb2.ControllerGetVolumeHealthResponse(
            volume_health=responses.volume_health(health)
        )

    def ControllerListVolumeHealth(
        self, request: csi_pb2.ControllerListVolumeHealthRequest, context: grpc.ServicerContext
    ) -> csi_pb2.ControllerListVolumeHealthResponse:
        """One page of the volumes with which something is wrong."""
        listing = requests.parse_listing(request)
        page = self._health.list(
            max_entries=listing.max_entries, starting_token=listing.starting_token
        )
        return responses.list_volume_health(page)
