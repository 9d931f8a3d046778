"""A gRPC server, wherever it listens: its options, its threads, and what answers its calls."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import grpc

from csi_zfs.domain.sizes import MIB
from csi_zfs.rpc.interceptors import OPEN, Door, Interceptor
from csi_zfs.rpc.routing import ServedService
from csi_zfs.rpc.socket_file import SocketFile, SocketPathError

MAX_MESSAGE_BYTES = 4 * MIB
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_concurrent_streams", 256),
    ("grpc.so_reuseport", 0),
)
# How much longer than the grace time gRPC may take to drop the calls that are left.
_DROP_S = 5.0


class ServiceHost:
    """Serves some services; their calls are UNAVAILABLE until `serve` says what answers them.

    Calls beyond the threads wait for one, for as long as their deadlines let them; they are never
    refused, because the provisioner takes a refusal as final (rules.md B10).
    """

    def __init__(
        self, name: str, interceptor: Interceptor, *, thread_count: int, door: Door = OPEN
    ) -> None:
        """Begin without services; `name` is that of the threads."""
        self._name = name
        self._interceptor = interceptor
        self._door = door
        self._pools = [ThreadPoolExecutor(thread_count, name)]
        self._services: dict[str, ServedService] = {}
        self.server = grpc.server(self._pools[0], options=_OPTIONS)

    def add(self, service_name: str, servicer_type: type, *, own_threads: int = 0) -> None:
        """Serve this service too; with threads of its own it is served while all others are busy.

        A server must know its services before it starts.
        """
        service = ServedService(service_name, servicer_type, self._interceptor, self._door)
        pool = None
        if own_threads:
            pool = ThreadPoolExecutor(own_threads, f"{self._name}-{service_name.lower()}")
            self._pools.append(pool)
        service.add_to(self.server, pool)
        self._services[service_name] = service

    def serve(self, servicers: Mapping[str, object]) -> None:
        """Answer the calls of these services from now on."""
        for service_name, servicer in servicers.items():
            self._services[service_name].serve_by(servicer)

    def listen_at(self, socket_file: SocketFile) -> None:
        """Serve at a unix socket; when this returns it is there, with mode 0600.

        Raises `SocketInUseError`, `SocketPathError`.
        """
        socket_file.claim()
        try:
            self.server.add_insecure_port(f"unix:{socket_file.bind_path}")
            self.server.start()
            socket_file.publish()
        except (OSError, RuntimeError) as exc:
            self.stop(grace_s=0)
            socket_file.release()
            raise SocketPathError(f"no socket can be made at {socket_file.path}: {exc}") from exc

    def close(self, *, grace_s: float) -> None:
        """Take no new calls, and give those that run `grace_s` from now; wait for nothing."""
        self.server.stop(grace_s)

    def stop(self, *, grace_s: float) -> None:
        """Take no new calls, and let those that run end within `grace_s`; those left go unheard."""
        self.server.stop(grace_s).wait(grace_s + _DROP_S)
        for pool in self._pools:
            pool.shutdown(wait=False, cancel_futures=True)
