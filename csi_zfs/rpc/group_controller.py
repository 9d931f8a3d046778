"""The GroupController service: three lines a call."""

import grpc

from csi_zfs.rpc import requests, responses
from csi_zfs.rpc.generated import csi_pb2, csi_pb2_grpc
from csi_zfs.rpc.services import Services

_Rpc = csi_pb2.GroupControllerServiceCapability.RPC
CAPABILITIES = csi_pb2.GroupControllerGetCapabilitiesResponse(
    capabilities=[
        csi_pb2.GroupControllerServiceCapability(
            rpc=_Rpc(type=_Rpc.CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT)
        )
    ]
)


class GroupControllerServer(csi_pb2_grpc.GroupControllerServicer):
    """Snapshots of several volumes at one instant."""

    def __init__(self, services: Services) -> None:
        self._groups = services.groups

    def GroupControllerGetCapabilities(
        self, request: csi_pb2.GroupControllerGetCapabilitiesRequest, context: grpc.ServicerContext
    ) -> csi_pb2.GroupControllerGetCapabilitiesResponse:
        """What this service can do."""
        return CAPABILITIES

    def CreateVolumeGroupSnapshot(
        self, request: csi_pb2.CreateVolumeGroupSnapshotRequest, context: grpc.ServicerContext
    ) -> csi_pb2.CreateVolumeGroupSnapshotResponse:
        """Take the snapshots, all or none, or return the equal group of that name."""
        new = requests.parse_create_group_snapshot(request)
        group = self._groups.create(
            group_snapshot_name=new.group_snapshot_name,
            source_volume_ids=new.source_volume_ids,
            parameters=new.parameters,
        )
        return csi_pb2.CreateVolumeGroupSnapshotResponse(
            group_snapshot=responses.group_snapshot(group)
        )

    def DeleteVolumeGroupSnapshot(
        self, request: csi_pb2.DeleteVolumeGroupSnapshotRequest, context: grpc.ServicerContext
    ) -> csi_pb2.DeleteVolumeGroupSnapshotResponse:
        """Delete a group and its snapshots; one that does not exist is deleted."""
        group = requests.parse_delete_group_snapshot(request)
        if group is not None:
            self._groups.delete(*group)
        return csi_pb2.DeleteVolumeGroupSnapshotResponse()

    def GetVolumeGroupSnapshot(
        self, request: csi_pb2.GetVolumeGroupSnapshotRequest, context: grpc.ServicerContext
    ) -> csi_pb2.GetVolumeGroupSnapshotResponse:
        """Look a group up."""
        group = self._groups.get(*requests.parse_get_group_snapshot(request))
        return csi_pb2.GetVolumeGroupSnapshotResponse(
            group_snapshot=responses.group_snapshot(group)
        )
