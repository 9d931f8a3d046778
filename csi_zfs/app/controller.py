"""The router of a cluster as a service: finds the agents of the nodes, and serves the sidecars."""

import logging
import os
import threading
from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from csi_zfs.app.process import end_at_once, start_logging, start_monitoring, stop_signal
from csi_zfs.app.wiring import router_identity_of
from csi_zfs.rpc.interceptors import Interceptor
from csi_zfs.rpc.metrics import Metrics
from csi_zfs.rpc.roles import ROUTER_SOCKET, router_servicers
from csi_zfs.rpc.router.connection import AgentConnection
from csi_zfs.rpc.router.fleet import Fleet
from csi_zfs.rpc.router.sending import Sender
from csi_zfs.rpc.server import CsiServer
from csi_zfs.rpc.tls import TlsDirectory, TlsFilesError, TlsMaterial, agent_name, client_credentials
from csi_zfs.settings import ControllerSettings, ObjectName
from csi_zfs.system.clock import Clock, SystemClock

if TYPE_CHECKING:
    from csi_zfs.cluster.agents import AgentDiscovery

_LOOK_AROUND_S = 10.0

log = logging.getLogger(__name__)


class Link:
    """Connections to agents with the certificate of the router, as it is now."""

    def __init__(self, settings: ControllerSettings) -> None:
        """Read the certificate; raises `TlsFilesError`."""
        self._directory = TlsDirectory(settings.tls_dir)
        self._agent_name = agent_name(settings.driver_name)
        self._material = self._directory.read()

    def connect(self, node_id: str, address: str) -> AgentConnection:
        """The way to one agent; nothing is sent yet."""
        credentials = client_credentials(self._material)
        return AgentConnection(node_id, address, credentials, self._agent_name)

    def renew(self) -> bool:
        """Read the certificate again; returns whether it is another one."""
        try:
            found: TlsMaterial = self._directory.read()
        except TlsFilesError as exc:
            log.warning("%s: the certificate that was read before is used", exc)
            return False
        is_new = found != self._material
        self._material = found
        return is_new


@dataclass(frozen=True, slots=True)
class LookingAround:
    """Keeps what the router knows of agents fresh, between calls."""

    fleet: Fleet
    link: Link
    forgotten: Container[str]
    clock: Clock

    def run_forever(self) -> None:
        """Look around again and again."""
        while True:
            self.clock.wait(_LOOK_AROUND_S)
            self.look()

    def look(self) -> None:
        """Take a new certificate if there is one, and ask every agent who it is."""
        if self.link.renew():
            log.info("the router has a new certificate")
            self.fleet.reconnect()
        if self.fleet.is_known:
            self.fleet.let_go(self.forgotten)
            self.fleet.describe(self.fleet.members())


def serve_controller(settings: ControllerSettings) -> int:
    """Serve the cluster until SIGTERM or SIGINT; returns the exit status."""
    start_logging(settings)
    stop, metrics = stop_signal(), Metrics()
    link = Link(settings)
    fleet = Fleet(link.connect)
    forgotten = _forgotten_pools(settings)
    with _serving(settings, Sender(fleet, forgotten), metrics) as server:
        _follow_agents(settings, fleet)
        around = LookingAround(fleet, link, forgotten, SystemClock())
        _in_background("looking-around", around.run_forever)
        log.info("ready")
        os.read(stop, 1)
        log.info("stopping")
        if not server.stop(grace_s=settings.shutdown_grace_s):
            end_at_once()
    return 0


@contextmanager
def _serving(settings: ControllerSettings, sender: Sender, metrics: Metrics) -> Iterator[CsiServer]:
    """A server that answers; it is stopped if the block fails."""
    server = CsiServer(
        router_identity_of(settings),
        ROUTER_SOCKET,
        socket_path=settings.socket_path,
        interceptor=Interceptor(metrics),
        thread_count=settings.rpc_threads,
    )
    with ExitStack() as stack:
        start_monitoring(settings, metrics, server.is_ready, stack)
        server.start()
        try:
            server.serve(
                router_servicers(sender, settings.topology_key),
                is_ready=lambda: sender.fleet.is_known,
            )
            yield server
        except BaseException:
            server.stop(grace_s=0)
            raise


def _forgotten_pools(settings: ControllerSettings) -> Container[str]:
    if settings.forgotten_config_map is None:
        return ()
    from csi_zfs.cluster import client, forgotten  # noqa: PLC0415 - only in a cluster

    return forgotten.ForgottenPools(client.connect(), *settings.forgotten_config_map)


def _follow_agents(settings: ControllerSettings, fleet: Fleet) -> None:
    """Know the agents of the settings, or begin to follow those of the cluster."""
    if settings.agents_service is None:
        fleet.know({one.node_id: str(one.address) for one in settings.agents})
    else:
        _in_background("agents", discovery_of(settings.agents_service, fleet).run_forever)


def discovery_of(service: ObjectName, fleet: Fleet) -> "AgentDiscovery":
    """What tells the agents of the cluster; raises `ClusterUnavailableError`."""
    from csi_zfs.cluster import agents, client  # noqa: PLC0415 - only in a cluster

    return agents.AgentDiscovery(
        client.connect(), service.namespace, service.name, fleet.know, SystemClock()
    )


def _in_background(name: str, run: Callable[[], None]) -> None:
    threading.Thread(target=_to_the_end, args=(run,), name=name, daemon=True).start()


def _to_the_end(run: Callable[[], None]) -> None:
    """Run what never returns; if it fails all the same, the process is started anew."""
    try:
        run()
    except BaseException:
        log.exception("the router cannot go on")
        end_at_once()
