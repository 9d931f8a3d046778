"""The gRPC server on a unix socket, as kubelet and sidecars reach it."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from csi_zfs.rpc.hosting import ServiceHost
from csi_zfs.rpc.identity import IdentityServer
from csi_zfs.rpc.interceptors import Interceptor
from csi_zfs.rpc.socket_file import SocketFile
from csi_zfs.services.identity import Identity

DEFAULT_THREAD_COUNT = 16
_IDENTITY = "Identity"
_IDENTITY_THREAD_COUNT = 2

_log = logging.getLogger(__name__)


class CsiServer:
    """Serves CSI services at one unix socket.

    The Identity service answers from the start, since the kubelet and the sidecars do not wait long
    for it; all others from `serve` on, and are UNAVAILABLE before.  Identity has threads of its
    own, so that probes are answered while all others are busy.
    """

    def __init__(
        self,
        identity: Identity,
        servicer_types: Mapping[str, type],
        *,
        socket_path: Path,
        interceptor: Interceptor,
        thread_count: int = DEFAULT_THREAD_COUNT,
    ) -> None:
        """Serve `servicer_types`, by the names of their services."""
        self._socket_path = socket_path
        self._socket_file = SocketFile(socket_path)
        self._interceptor = interceptor
        self._is_ready: Callable[[], bool] = lambda: False
        self._host = ServiceHost("csi", interceptor, thread_count=thread_count)
        self._host.add(_IDENTITY, IdentityServer, own_threads=_IDENTITY_THREAD_COUNT)
        self._host.serve({_IDENTITY: IdentityServer(identity, self.is_ready)})
        for service_name, servicer_type in servicer_types.items():
            self._host.add(service_name, servicer_type)

    def start(self) -> None:
        """Answer Identity; when this returns, the socket is there, with mode 0600.

        Raises `SocketInUseError`, `SocketPathError`.
        """
        self._host.listen_at(self._socket_file)
        _log.info("serving", extra={"socket_path": str(self._socket_path)})

    def serve(self, servicers: Mapping[str, object], *, is_ready: Callable[[], bool]) -> None:
        """Answer all services from now on."""
        self._host.serve(servicers)
        self._is_ready = is_ready

    def is_ready(self) -> bool:
        """Whether all services are served, and can do something."""
        return self._is_ready()

    def close(self, *, grace_s: float) -> None:
        """Begin to stop: take no new calls, and give those that run `grace_s` from now."""
        self._host.close(grace_s=grace_s)

    def stop(self, *, grace_s: float) -> bool:
        """Take no new calls, let those that run end within `grace_s`, and remove the socket.

        Mounts stay as they are.  Returns whether all calls have ended; one that has not goes on in
        its thread, unheard: the process may be ended all the same, as by a crash.
        """
        self._host.stop(grace_s=grace_s)
        self._socket_file.release()
        left = self._interceptor.in_flight.count
        _log.info("stopped", extra={"socket_path": str(self._socket_path), "calls_left": left})
        return left == 0
