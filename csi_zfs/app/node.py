"""The driver as a service: opens pools, repairs what a crash left, serves until told to stop."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from csi_zfs.app.opening import Opener, open_pools
from csi_zfs.app.process import end_at_once, start_logging, start_monitoring, stop_signal
from csi_zfs.app.wiring import Driver, Engines, build_driver, identity_of
from csi_zfs.mount.api import Mounter
from csi_zfs.mount.linux import LinuxMounter
from csi_zfs.reflink.place import Tools
from csi_zfs.rpc.agent_port import AgentPort
from csi_zfs.rpc.interceptors import Interceptor
from csi_zfs.rpc.metrics import Metrics
from csi_zfs.rpc.registration import Registration
from csi_zfs.rpc.roles import AGENT_PORT, NODE_SOCKET, agent_servicers, node_servicers
from csi_zfs.rpc.server import CsiServer
from csi_zfs.rpc.services import Services
from csi_zfs.rpc.tls import TlsDirectory
from csi_zfs.settings import Settings
from csi_zfs.settings.environment import host_name
from csi_zfs.system.runner import Runner, SystemRunner
from csi_zfs.system.state_files import StateDirectory

log = logging.getLogger(__name__)


def linux_mounter(runner: Runner, settings: Settings) -> Mounter:
    """The mounter of this machine, for targets below the kubelet's directory."""
    return LinuxMounter(runner, root=settings.kubelet_dir, proc=settings.proc_dir)


@dataclass(frozen=True, slots=True)
class Machine:
    """The doors to this machine; the crash tests put doors here that end the process."""

    tools: Tools = field(default_factory=Tools)
    make_mounter: Callable[[Runner, Settings], Mounter] = linux_mounter


def serve_node(settings: Settings, machine: Machine | None = None) -> int:
    """Serve the pools of `settings` until SIGTERM or SIGINT; returns the exit status.

    Mounts and loop devices stay as they are at the end: workloads do not notice.
    """
    start_logging(settings)
    stop, metrics = stop_signal(), Metrics()
    faces = _Faces(settings, metrics)
    with faces.identified(), _recovered_driver(settings, machine or Machine(), metrics) as driver:
        faces.serve(driver.services)
        log.info("ready")
        os.read(stop, 1)
        log.info("stopping")
        if not faces.stop(grace_s=settings.shutdown_grace_s):
            end_at_once()
    return 0


class _Faces:
    """Where a node is spoken to: by kubelet and sidecars, by the router, by a scrape."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        identity, interceptor = identity_of(settings), Interceptor(metrics)
        self._settings = settings
        self._metrics = metrics
        self._server = CsiServer(
            identity,
            NODE_SOCKET,
            socket_path=settings.socket_path,
            interceptor=interceptor,
            thread_count=settings.rpc_threads,
        )
        self._agent_port = (
            AgentPort(
                identity, AGENT_PORT, interceptor=interceptor, thread_count=settings.rpc_threads
            )
            if settings.agent_address
            else None
        )
        self._registration = (
            Registration(
                settings.registration_dir,
                driver_name=settings.driver_name,
                csi_socket_path=settings.socket_path,
                interceptor=interceptor,
            )
            if settings.registration_dir
            else None
        )

    @contextmanager
    def identified(self) -> Iterator[None]:
        """Say who this is, and that it is not ready; stop everything if the block fails."""
        with ExitStack() as stack:
            start_monitoring(self._settings, self._metrics, self._server.is_ready, stack)
            self._server.start()
            try:
                yield
            except BaseException:
                self.stop(grace_s=0)
                raise

    def serve(self, services: Services) -> None:
        """Answer everybody from now on, and let the kubelet come."""
        self._server.serve(
            node_servicers(services, kubelet_dir=self._settings.kubelet_dir),
            is_ready=services.health.is_ready,
        )
        if self._agent_port is not None and self._settings.agent_address is not None:
            self._agent_port.serve(agent_servicers(services))
            self._agent_port.start(
                *self._settings.agent_address, TlsDirectory(self._settings.tls_dir)
            )
        if self._registration is not None:
            self._registration.start()

    def stop(self, *, grace_s: float) -> bool:
        """Stop serving; returns whether all calls have ended."""
        if self._registration is not None:
            self._registration.stop()
        # Their calls get one grace time: two in a row are longer than the kubelet waits.
        self._server.close(grace_s=grace_s)
        if self._agent_port is not None:
            self._agent_port.stop(grace_s=grace_s)
        return self._server.stop(grace_s=grace_s)


@contextmanager
def _recovered_driver(settings: Settings, machine: Machine, metrics: Metrics) -> Iterator[Driver]:
    """The driver, with nothing left of the end before; its pools are open until the block ends."""
    with ExitStack() as stack:
        driver = build_driver(settings, _engines(settings, machine, metrics, stack))
        metrics.watch_pools(driver.statistics.read)
        driver.recovery.run()
        yield driver


def _engines(settings: Settings, machine: Machine, metrics: Metrics, stack: ExitStack) -> Engines:
    # The mounter first: a wrong directory ends the start before any pool is mounted.
    runner = SystemRunner(default_timeout_s=settings.command_timeout_s)
    mounter = machine.make_mounter(runner, settings)
    owner = f"{settings.node_id} on {host_name()}"
    opened = open_pools(settings.pools, Opener(machine.tools, stack, owner).open)
    return Engines(
        pools=opened.pools,
        away_pool_names=opened.away_names,
        mounter=mounter,
        state_store=StateDirectory(settings.state_dir, machine.tools.files),
        observe_extents=metrics.observe_extents,
    )
