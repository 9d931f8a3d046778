"""The gRPC server of a node for the router of its cluster: TCP, with TLS on both sides."""

import logging
from collections.abc import Callable, Mapping

import grpc

from csi_zfs.domain.errors import UnavailableError
from csi_zfs.rpc.hosting import ServiceHost
from csi_zfs.rpc.interceptors import Door, Interceptor
from csi_zfs.rpc.tls import TlsDirectory, controller_name, only_for, server_credentials
from csi_zfs.services.identity import Identity

# Goes along with every refusal; without it the client's own end of the connection has spoken.
# Callers say by it which node they mean.
SIGNATURE_KEY = "csi-zfs-node"
_AGENT = "Agent"
_AGENT_THREAD_COUNT = 2

_log = logging.getLogger(__name__)


class AgentPortError(UnavailableError):
    """The address of the agent cannot be listened at."""


class OtherNodeError(UnavailableError):
    """The call is for another node, whose address this was."""


class AgentPort:
    """Serves what the router may ask; refuses whoever is not the router of this driver."""

    def __init__(
        self,
        identity: Identity,
        servicer_types: Mapping[str, type],
        *,
        interceptor: Interceptor,
        thread_count: int,
    ) -> None:
        """Serve `servicer_types`, by the names of their services."""
        door = Door(
            admit=_only_router_for(identity),
            signature=((SIGNATURE_KEY, identity.node_id),),
        )
        self._host = ServiceHost("agent", interceptor, thread_count=thread_count, door=door)
        for service_name, servicer_type in servicer_types.items():
            own_threads = _AGENT_THREAD_COUNT if service_name == _AGENT else 0
            self._host.add(service_name, servicer_type, own_threads=own_threads)

    def start(self, host: str, port: int, directory: TlsDirectory) -> int:
        """Listen; returns the port, a free one for 0.

        Raises `AgentPortError`, `TlsFilesError`.
        """
        return self._listen(f"{host}:{port}", server_credentials(directory))

    def _listen(self, address: str, credentials: grpc.ServerCredentials) -> int:
        try:
            port: int = self._host.server.add_secure_port(address, credentials)
        except RuntimeError as exc:
            raise AgentPortError(f"agent_address {address} cannot be listened at: {exc}") from exc
        self._host.server.start()
        _log.info("serving the router", extra={"address": address})
        return port

    def serve(self, servicers: Mapping[str, object]) -> None:
        """Answer from now on; before, all calls are UNAVAILABLE."""
        self._host.serve(servicers)

    def stop(self, *, grace_s: float) -> None:
        """Take no new calls, and let those that run end within `grace_s`."""
        self._host.stop(grace_s=grace_s)


def _only_router_for(identity: Identity) -> Callable[[grpc.ServicerContext], None]:
    """Admit the router, where it means this node or does not say; raises `OtherNodeError`."""
    admit_router = only_for(controller_name(identity.driver_name))

    def admit(context: grpc.ServicerContext) -> None:
        admit_router(context)
        for key, meant in context.invocation_metadata() or ():
            if key == SIGNATURE_KEY and meant != identity.node_id:
                raise OtherNodeError(
                    f"this is node {identity.node_id}, and the call is for {meant!r}"
                )

    return admit
