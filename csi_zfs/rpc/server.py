"""The gRPC server on a unix socket."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

from csi_zfs.domain.sizes import MIB
from csi_zfs.rpc.controller import ControllerServer
from csi_zfs.rpc.group_controller import GroupControllerServer
from csi_zfs.rpc.identity import IdentityServer
from csi_zfs.rpc.interceptors import Interceptor
from csi_zfs.rpc.metrics import Metrics
from csi_zfs.rpc.node import NodeServer
from csi_zfs.rpc.routing import ServedService
from csi_zfs.rpc.services import Services
from csi_zfs.rpc.socket_file import SocketFile, SocketPathError
from csi_zfs.services.identity import Identity

MAX_MESSAGE_BYTES = 4 * MIB
DEFAULT_THREAD_COUNT = 16
_IDENTITY_THREAD_COUNT = 2
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_concurrent_streams", 256),
    ("grpc.so_reuseport", 0),
)
# How much longer than the grace time gRPC may take to drop the calls that are left.
_DROP_S = 5.0

_log = logging.getLogger(__name__)


class CsiServer:
    """Serves all CSI services of this node at one unix socket.

    The Identity service answers from the start, since the kubelet and the sidecars do not wait long
    for it; all others from `serve` on, and are UNAVAILABLE before.  Identity has threads of its
    own, so that probes are answered while all others are busy.

    Calls beyond `thread_count` wait for a thread, for as long as their deadlines let them; they are
    never refused, because the provisioner takes a refusal as final (rules.md B10).
    """

    def __init__(
        self,
        identity: Identity,
        *,
        socket_path: Path,
        kubelet_dir: Path,
        metrics: Metrics,
        thread_count: int = DEFAULT_THREAD_COUNT,
    ) -> None:
        self._socket_path = socket_path
        self._socket_file = SocketFile(socket_path)
        self._kubelet_dir = kubelet_dir
        self._interceptor = Interceptor(metrics)
        self._identity_pool = ThreadPoolExecutor(_IDENTITY_THREAD_COUNT, "csi-identity")
        self._pool = ThreadPoolExecutor(thread_count, "csi")
        self._server = grpc.server(self._pool, options=_OPTIONS)
        self._services: Services | None = None
        self._add_identity(identity)
        self._controller = self._added("Controller", ControllerServer)
        self._group_controller = self._added("GroupController", GroupControllerServer)
        self._node = self._added("Node", NodeServer)

    def _add_identity(self, identity: Identity) -> None:
        service = ServedService("Identity", IdentityServer, self._interceptor)
        service.serve_by(IdentityServer(identity, self.is_ready))
        service.add_to(self._server, self._identity_pool)

    def _added(self, service_name: str, servicer_type: type) -> ServedService:
        service = ServedService(service_name, servicer_type, self._interceptor)
        service.add_to(self._server)
        return service

    def start(self) -> None:
        """Answer Identity; when this returns, the socket is there, with mode 0600.

        Raises `SocketInUseError`, `SocketPathError`.
        """
        self._socket_file.claim()
        try:
            self._server.add_insecure_port(f"unix:{self._socket_file.bind_path}")
            self._server.start()
            self._socket_file.publish()
        except (OSError, RuntimeError) as exc:
            self.stop(grace_s=0)
            raise SocketPathError(f"no socket can be made at {self._socket_path}: {exc}") from exc
        _log.info("serving", extra={"socket_path": str(self._socket_path)})

    def serve(self, services: Services) -> None:
        """Answer all services from now on."""
        self._controller.serve_by(ControllerServer(services))
        self._group_controller.serve_by(GroupControllerServer(services))
        self._node.serve_by(NodeServer(services, kubelet_dir=self._kubelet_dir))
        self._services = services

    def is_ready(self) -> bool:
        """Whether all services are served, and a pool can be reached."""
        return self._services is not None and self._services.health.is_ready()

    def stop(self, *, grace_s: float) -> bool:
        """Take no new calls, let those that run end within `grace_s`, and remove the socket.

        Mounts stay as they are.  Returns whether all calls have ended; one that has not goes on in
        its thread, unheard: the process may be ended all the same, as by a crash.
        """
        self._server.stop(grace_s).wait(grace_s + _DROP_S)
        for pool in (self._pool, self._identity_pool):
            pool.shutdown(wait=False, cancel_futures=True)
        self._socket_file.release()
        left = self._interceptor.in_flight.count
        _log.info("stopped", extra={"socket_path": str(self._socket_path), "calls_left": left})
        return left == 0
