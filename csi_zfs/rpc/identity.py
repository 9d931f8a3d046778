"""The Identity service."""

from collections.abc import Callable

import grpc
from google.protobuf.wrappers_pb2 import BoolValue

from csi_zfs.rpc.generated import csi_pb2, csi_pb2_grpc
from csi_zfs.services.identity import Identity

_Service = csi_pb2.PluginCapability.Service
_Expansion = csi_pb2.PluginCapability.VolumeExpansion
_CAPABILITIES = csi_pb2.GetPluginCapabilitiesResponse(
    capabilities=[
        csi_pb2.PluginCapability(service=_Service(type=_Service.CONTROLLER_SERVICE)),
        csi_pb2.PluginCapability(service=_Service(type=_Service.GROUP_CONTROLLER_SERVICE)),
        csi_pb2.PluginCapability(service=_Service(type=_Service.VOLUME_ACCESSIBILITY_CONSTRAINTS)),
        csi_pb2.PluginCapability(volume_expansion=_Expansion(type=_Expansion.ONLINE)),
    ]
)


class IdentityServer(csi_pb2_grpc.IdentityServicer):
    """Answers who the driver is; takes no lock and starts no work."""

    def __init__(self, identity: Identity, is_ready: Callable[[], bool]) -> None:
        self._identity = identity
        self._is_ready = is_ready

    def GetPluginInfo(
        self, request: csi_pb2.GetPluginInfoRequest, context: grpc.ServicerContext
    ) -> csi_pb2.GetPluginInfoResponse:
        """Name and version."""
        return csi_pb2.GetPluginInfoResponse(
            name=self._identity.driver_name, vendor_version=self._identity.version
        )

    def GetPluginCapabilities(
        self, request: csi_pb2.GetPluginCapabilitiesRequest, context: grpc.ServicerContext
    ) -> csi_pb2.GetPluginCapabilitiesResponse:
        """What the driver as a whole can do."""
        return _CAPABILITIES

    def Probe(
        self, request: csi_pb2.ProbeRequest, context: grpc.ServicerContext
    ) -> csi_pb2.ProbeResponse:
        """Whether it can serve now."""
        return csi_pb2.ProbeResponse(ready=BoolValue(value=self._is_ready()))
