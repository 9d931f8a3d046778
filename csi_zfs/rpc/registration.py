"""The driver announces itself to the kubelet, by the plugin registration API v1.

The kubelet watches a directory: of every socket that appears there it asks who that is, connects to
the endpoint that it is told, and says what became of it.  Names that begin with a dot and what is
no socket it passes over, so a `SocketFile` can be there.
"""

import logging
from pathlib import Path

import grpc

from csi_zfs.rpc.generated import pluginregistration_pb2 as api
from csi_zfs.rpc.generated import pluginregistration_pb2_grpc as api_grpc
from csi_zfs.rpc.hosting import ServiceHost
from csi_zfs.rpc.interceptors import Interceptor
from csi_zfs.rpc.socket_file import SocketFile

_SERVICE = "Registration"
_THREAD_COUNT = 2
_PLUGIN_TYPE = "CSIPlugin"
# Of CSI itself: what the kubelet asks for is any version 1.
_CSI_VERSION = "1.0.0"

_log = logging.getLogger(__name__)


class RegistrationServer(api_grpc.RegistrationServicer):
    """Answers the kubelet who the driver is."""

    def __init__(self, driver_name: str, csi_socket_path: Path) -> None:
        self._info = api.PluginInfo(
            type=_PLUGIN_TYPE,
            name=driver_name,
            endpoint=str(csi_socket_path),
            supported_versions=[_CSI_VERSION],
        )

    def GetInfo(self, request: api.InfoRequest, context: grpc.ServicerContext) -> api.PluginInfo:
        """Name the driver and its socket."""
        return self._info

    def NotifyRegistrationStatus(
        self, request: api.RegistrationStatus, context: grpc.ServicerContext
    ) -> api.RegistrationStatusResponse:
        """Hear what became of it; a kubelet that failed tries again by itself."""
        if request.plugin_registered:
            _log.info("the kubelet has registered the driver")
        else:
            _log.error("the kubelet could not register the driver: %s", request.error)
        return api.RegistrationStatusResponse()


class Registration:
    """The socket by which the kubelet finds the driver; it is there while the driver serves."""

    def __init__(
        self, directory: Path, *, driver_name: str, csi_socket_path: Path, interceptor: Interceptor
    ) -> None:
        self._socket_file = SocketFile(directory / f"{driver_name}-reg.sock")
        self._host = ServiceHost("registration", interceptor, thread_count=_THREAD_COUNT)
        self._host.add(_SERVICE, RegistrationServer)
        self._host.serve({_SERVICE: RegistrationServer(driver_name, csi_socket_path)})

    def start(self) -> None:
        """Let the kubelet find the driver, which must be ready to answer NodeGetInfo.

        A socket that a killed driver left is replaced in one step, which the kubelet sees as a new
        one.  Raises `SocketInUseError`, `SocketPathError`.
        """
        self._host.listen_at(self._socket_file)

    def stop(self) -> None:
        """Take the driver back: the kubelet sends it nothing more."""
        self._host.stop(grace_s=0)
        self._socket_file.release()
