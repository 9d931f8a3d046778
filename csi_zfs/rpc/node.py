"""The Node service: three lines a call."""

from pathlib import Path

import grpc

from csi_zfs.domain.model import EphemeralSpec
from csi_zfs.rpc import requests, responses
from csi_zfs.rpc.generated import csi_pb2, csi_pb2_grpc
from csi_zfs.rpc.services import Services

_Rpc = csi_pb2.NodeServiceCapability.RPC
_CAPABILITIES = csi_pb2.NodeGetCapabilitiesResponse(
    capabilities=[
        csi_pb2.NodeServiceCapability(rpc=_Rpc(type=rpc_type))
        for rpc_type in (
            _Rpc.STAGE_UNSTAGE_VOLUME,
            _Rpc.GET_VOLUME_STATS,
            _Rpc.EXPAND_VOLUME,
            _Rpc.SINGLE_NODE_MULTI_WRITER,
            _Rpc.GET_VOLUME_HEALTH,
            _Rpc.GET_STORAGE_HEALTH,
        )
    ]
)


class NodeServer(csi_pb2_grpc.NodeServicer):
    """Devices and mounts of this node."""

    def __init__(self, services: Services, *, kubelet_dir: Path) -> None:
        self._identity = services.identity
        self._publishing = services.publishing
        self._health = services.health
        self._requests = requests.NodeRequests(kubelet_dir)

    def NodeGetInfo(
        self, request: csi_pb2.NodeGetInfoRequest, context: grpc.ServicerContext
    ) -> csi_pb2.NodeGetInfoResponse:
        """Who this node is, and where."""
        return csi_pb2.NodeGetInfoResponse(
            node_id=self._identity.node_id,
            accessible_topology=csi_pb2.Topology(segments=self._identity.topology),
        )

    def NodeGetCapabilities(
        self, request: csi_pb2.NodeGetCapabilitiesRequest, context: grpc.ServicerContext
    ) -> csi_pb2.NodeGetCapabilitiesResponse:
        """What this service can do."""
        return _CAPABILITIES

    def NodeStageVolume(
        self, request: csi_pb2.NodeStageVolumeRequest, context: grpc.ServicerContext
    ) -> csi_pb2.NodeStageVolumeResponse:
        """Make a volume usable on this node."""
        self._publishing.stage(self._requests.parse_stage(request))
        return csi_pb2.NodeStageVolumeResponse()

    def NodeUnstageVolume(
        self, request: csi_pb2.NodeUnstageVolumeRequest, context: grpc.ServicerContext
    ) -> csi_pb2.NodeUnstageVolumeResponse:
        """Undo NodeStageVolume."""
        self._publishing.unstage(*self._requests.parse_unstage(request))
        return csi_pb2.NodeUnstageVolumeResponse()

    def NodePublishVolume(
        self, request: csi_pb2.NodePublishVolumeRequest, context: grpc.ServicerContext
    ) -> csi_pb2.NodePublishVolumeResponse:
        """Show a volume to a workload; an inline ephemeral one is made first."""
        spec = self._requests.parse_publish(request)
        if isinstance(spec, EphemeralSpec):
            self._publishing.publish_ephemeral(spec)
        else:
            self._publishing.publish(spec)
        return csi_pb2.NodePublishVolumeResponse()

    def NodeUnpublishVolume(
        self, request: csi_pb2.NodeUnpublishVolumeRequest, context: grpc.ServicerContext
    ) -> csi_pb2.NodeUnpublishVolumeResponse:
        """Undo NodePublishVolume."""
        self._publishing.unpublish(*self._requests.parse_unpublish(request))
        return csi_pb2.NodeUnpublishVolumeResponse()

    def NodeGetVolumeStats(
        self, request: csi_pb2.NodeGetVolumeStatsRequest, context: grpc.ServicerContext
    ) -> csi_pb2.NodeGetVolumeStatsResponse:
        """Say how full a volume is."""
        usages = self._publishing.usage(*self._requests.parse_stats(request))
        return responses.volume_stats(usages)

    def NodeExpandVolume(
        self, request: csi_pb2.NodeExpandVolumeRequest, context: grpc.ServicerContext
    ) -> csi_pb2.NodeExpandVolumeResponse:
        """Grow the file system of a volume that has grown."""
        capacity_bytes = self._publishing.expand(*self._requests.parse_expand(request))
        return csi_pb2.NodeExpandVolumeResponse(capacity_bytes=capacity_bytes)

    def NodeGetVolumeHealth(
        self, request: csi_pb2.NodeGetVolumeHealthRequest, context: grpc.ServicerContext
    ) -> csi_pb2.NodeGetVolumeHealthResponse:
        """Say what is wrong with a volume on this node."""
        health = self._health.node_volume(*self._requests.parse_health(request))
        return csi_pb2.NodeGetVolumeHealthResponse(volume_health=responses.volume_health(health))

    def NodeGetStorageHealth(
        self, request: csi_pb2.NodeGetStorageHealthRequest, context: grpc.ServicerContext
    ) -> csi_pb2.NodeGetStorageHealthResponse:
        """Say what is wrong with this node's pools."""
        return responses.storage_health(self._health.storage())
