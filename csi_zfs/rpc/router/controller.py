"""The Controller service of a cluster: each call goes to the node that it concerns."""

import grpc

from csi_zfs.domain.model import Topology
from csi_zfs.rpc import requests
from csi_zfs.rpc.controller import controller_capabilities
from csi_zfs.rpc.generated import csi_pb2, csi_pb2_grpc
from csi_zfs.rpc.router import methods
from csi_zfs.rpc.router.capacity import total
from csi_zfs.rpc.router.fleet import Member
from csi_zfs.rpc.router.making import Making
from csi_zfs.rpc.router.methods import Method
from csi_zfs.rpc.router.placement import NowhereError, nodes_allowed
from csi_zfs.rpc.router.sending import Sender, seconds_left
from csi_zfs.rpc.router.walking import PageT, Walk

_CAPABILITIES = controller_capabilities(is_modify_supported=True)


class RoutedController(csi_pb2_grpc.ControllerServicer):
    """Volumes and snapshots on all nodes.

    What it advertises is what some node may be able to do: sidecars ask once, and nodes come later.
    """

    def __init__(self, sender: Sender, making: Making) -> None:
        self._sender = sender
        self._making = making

    def ControllerGetCapabilities(
        self, request: csi_pb2.ControllerGetCapabilitiesRequest, context: grpc.ServicerContext
    ) -> csi_pb2.ControllerGetCapabilitiesResponse:
        """What a node can do."""
        return _CAPABILITIES

    def CreateVolume(
        self, request: csi_pb2.CreateVolumeRequest, context: grpc.ServicerContext
    ) -> csi_pb2.CreateVolumeResponse:
        """Make a volume on a node that the request allows, or return the equal one."""
        return self._making.volume(requests.parse_create_volume(request), request, context)

    def DeleteVolume(
        self, request: csi_pb2.DeleteVolumeRequest, context: grpc.ServicerContext
    ) -> csi_pb2.DeleteVolumeResponse:
        """Delete a volume; one whose id cannot be ours does not exist."""
        volume_id = requests.parse_delete_volume(request)
        if volume_id is None:
            return csi_pb2.DeleteVolumeResponse()
        return self._sender.delete(volume_id.pool_id, methods.DELETE_VOLUME, request, context)

    def ControllerGetVolume(
        self, request: csi_pb2.ControllerGetVolumeRequest, context: grpc.ServicerContext
    ) -> csi_pb2.ControllerGetVolumeResponse:
        """Look a volume up."""
        pool_id = requests.parse_volume_id(request).pool_id
        return self._sender.to_owner(pool_id, methods.GET_VOLUME, request, context)

    def ListVolumes(
        self, request: csi_pb2.ListVolumesRequest, context: grpc.ServicerContext
    ) -> csi_pb2.ListVolumesResponse:
        """One page of all volumes, node by node."""
        requests.parse_listing(request)
        return self._walk(methods.LIST_VOLUMES, context).page(request)

    def ControllerExpandVolume(
        self, request: csi_pb2.ControllerExpandVolumeRequest, context: grpc.ServicerContext
    ) -> csi_pb2.ControllerExpandVolumeResponse:
        """Grow a volume."""
        pool_id = requests.parse_expand_volume(request)[0].pool_id
        return self._sender.to_owner(pool_id, methods.EXPAND_VOLUME, request, context)

    def ControllerModifyVolume(
        self, request: csi_pb2.ControllerModifyVolumeRequest, context: grpc.ServicerContext
    ) -> csi_pb2.ControllerModifyVolumeResponse:
        """Change properties of a volume."""
        pool_id = requests.parse_modify_volume(request)[0].pool_id
        return self._sender.to_owner(pool_id, methods.MODIFY_VOLUME, request, context)

    def ValidateVolumeCapabilities(
        self, request: csi_pb2.ValidateVolumeCapabilitiesRequest, context: grpc.ServicerContext
    ) -> csi_pb2.ValidateVolumeCapabilitiesResponse:
        """Say whether a volume can be used in some ways."""
        pool_id = requests.parse_validate_capabilities(request).volume_id.pool_id
        return self._sender.to_owner(pool_id, methods.VALIDATE, request, context)

    def GetCapacity(
        self, request: csi_pb2.GetCapacityRequest, context: grpc.ServicerContext
    ) -> csi_pb2.GetCapacityResponse:
        """Say how much room there is on a node, or on all."""
        topology = requests.parse_get_capacity(request).topology
        members = self._members_at(topology)
        asked = self._sender.to_all(members, methods.GET_CAPACITY, request, context)
        return total([pending.answer() for _, pending in asked])

    def CreateSnapshot(
        self, request: csi_pb2.CreateSnapshotRequest, context: grpc.ServicerContext
    ) -> csi_pb2.CreateSnapshotResponse:
        """Take a snapshot where its source is, or return the equal one."""
        return self._making.snapshot(requests.parse_create_snapshot(request), request, context)

    def DeleteSnapshot(
        self, request: csi_pb2.DeleteSnapshotRequest, context: grpc.ServicerContext
    ) -> csi_pb2.DeleteSnapshotResponse:
        """Delete a snapshot; one whose id cannot be ours does not exist."""
        snapshot_id = requests.parse_delete_snapshot(request)
        if snapshot_id is None:
            return csi_pb2.DeleteSnapshotResponse()
        return self._sender.delete(snapshot_id.pool_id, methods.DELETE_SNAPSHOT, request, context)

    def GetSnapshot(
        self, request: csi_pb2.GetSnapshotRequest, context: grpc.ServicerContext
    ) -> csi_pb2.GetSnapshotResponse:
        """Look a snapshot up."""
        pool_id = requests.parse_get_snapshot(request).pool_id
        return self._sender.to_owner(pool_id, methods.GET_SNAPSHOT, request, context)

    def ListSnapshots(
        self, request: csi_pb2.ListSnapshotsRequest, context: grpc.ServicerContext
    ) -> csi_pb2.ListSnapshotsResponse:
        """One page of all snapshots, of a volume's, or the one of an id."""
        asked = requests.parse_list_snapshots(request)
        if asked is None:
            return csi_pb2.ListSnapshotsResponse()
        one = asked.snapshot_id or asked.source_volume_id
        if one is None:
            return self._walk(methods.LIST_SNAPSHOTS, context).page(request)
        return self._sender.to_owner(one.pool_id, methods.LIST_SNAPSHOTS, request, context)

    def ControllerGetVolumeHealth(
        self, request: csi_pb2.ControllerGetVolumeHealthRequest, context: grpc.ServicerContext
    ) -> csi_pb2.ControllerGetVolumeHealthResponse:
        """Say what is wrong with a volume."""
        pool_id = requests.parse_volume_id(request).pool_id
        return self._sender.to_owner(pool_id, methods.GET_HEALTH, request, context)

    def ControllerListVolumeHealth(
        self, request: csi_pb2.ControllerListVolumeHealthRequest, context: grpc.ServicerContext
    ) -> csi_pb2.ControllerListVolumeHealthResponse:
        """One page of the volumes with which something is wrong, node by node."""
        requests.parse_listing(request)
        return self._walk(methods.LIST_HEALTH, context).page(request)

    def _walk(self, method: Method[PageT], context: grpc.ServicerContext) -> Walk[PageT]:
        return Walk(self._sender.fleet, method, lambda: seconds_left(context))

    def _members_at(self, topology: Topology | None) -> list[Member]:
        fleet = self._sender.fleet
        if topology is None:
            return fleet.members()
        try:
            node_ids = nodes_allowed([topology], (), self._making.topology_key)
        except NowhereError:
            return []
        return [fleet.member(node_id) for node_id in node_ids or ()]
