"""The GroupController service of a cluster: a group is on one pool, and so on one node."""

import grpc

from csi_zfs.rpc import requests
from csi_zfs.rpc.generated import csi_pb2, csi_pb2_grpc
from csi_zfs.rpc.group_controller import CAPABILITIES
from csi_zfs.rpc.router import methods
from csi_zfs.rpc.router.making import Making
from csi_zfs.rpc.router.sending import Sender


class RoutedGroupController(csi_pb2_grpc.GroupControllerServicer):
    """Snapshots of several volumes of one node at one instant."""

    def __init__(self, sender: Sender, making: Making) -> None:
        self._sender = sender
        self._making = making

    def GroupControllerGetCapabilities(
        self, request: csi_pb2.GroupControllerGetCapabilitiesRequest, context: grpc.ServicerContext
    ) -> csi_pb2.GroupControllerGetCapabilitiesResponse:
        """What a node can do."""
        return CAPABILITIES

    def CreateVolumeGroupSnapshot(
        self, request: csi_pb2.CreateVolumeGroupSnapshotRequest, context: grpc.ServicerContext
    ) -> csi_pb2.CreateVolumeGroupSnapshotResponse:
        """Take the snapshots where the sources are, all or none, or return the equal group."""
        return self._making.group(requests.parse_create_group_snapshot(request), request, context)

    def DeleteVolumeGroupSnapshot(
        self, request: csi_pb2.DeleteVolumeGroupSnapshotRequest, context: grpc.ServicerContext
    ) -> csi_pb2.DeleteVolumeGroupSnapshotResponse:
        """Delete a group and its snapshots; one whose id cannot be ours does not exist."""
        group = requests.parse_delete_group_snapshot(request)
        if group is None:
            return csi_pb2.DeleteVolumeGroupSnapshotResponse()
        return self._sender.delete(group[0].pool_id, methods.DELETE_GROUP, request, context)

    def GetVolumeGroupSnapshot(
        self, request: csi_pb2.GetVolumeGroupSnapshotRequest, context: grpc.ServicerContext
    ) -> csi_pb2.GetVolumeGroupSnapshotResponse:
        """Look a group up."""
        pool_id = requests.parse_get_group_snapshot(request)[0].pool_id
        return self._sender.to_owner(pool_id, methods.GET_GROUP, request, context)
