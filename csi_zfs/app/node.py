"""The driver as a service: opens pools, repairs what a crash left, serves until told to stop."""

import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from csi_zfs.app.opening import Opener, open_pools
from csi_zfs.app.wiring import Driver, Engines, build_driver, identity_of
from csi_zfs.mount.api import Mounter
from csi_zfs.mount.linux import LinuxMounter
from csi_zfs.reflink.place import Tools
from csi_zfs.rpc.interceptors import fields_of_call
from csi_zfs.rpc.metrics import Metrics
from csi_zfs.rpc.monitoring import MonitoringServer
from csi_zfs.rpc.server import CsiServer
from csi_zfs.settings import Settings
from csi_zfs.settings.environment import host_name
from csi_zfs.system.logs import LogFormat, configure_logging
from csi_zfs.system.runner import Runner, SystemRunner
from csi_zfs.system.state_files import StateDirectory

log = logging.getLogger(__name__)
CALLS_LEFT_BEHIND = 3


def linux_mounter(runner: Runner, root: Path) -> Mounter:
    """The mounter of this machine, for targets below `root`."""
    return LinuxMounter(runner, root=root)


@dataclass(frozen=True, slots=True)
class Machine:
    """The doors to this machine; the crash tests put doors here that end the process."""

    tools: Tools = field(default_factory=Tools)
    make_mounter: Callable[[Runner, Path], Mounter] = linux_mounter


def serve_node(settings: Settings, machine: Machine | None = None) -> int:
    """Serve the pools of `settings` until SIGTERM or SIGINT; returns the exit status.

    Mounts and loop devices stay as they are at the end: workloads do not notice.
    """
    configure_logging(
        LogFormat(settings.log_format),
        logging.getLevelNamesMapping()[settings.log_level.upper()],
        fields_of_call=fields_of_call,
    )
    stop, metrics = _stop_signal(), Metrics()
    with (
        _identified_server(settings, metrics) as server,
        _recovered_driver(settings, machine or Machine(), metrics) as driver,
    ):
        server.serve(driver.services)
        log.info("ready")
        os.read(stop, 1)
        log.info("stopping")
        if not server.stop(grace_s=settings.shutdown_grace_s):
            _end_at_once()
    return 0


def _end_at_once() -> None:
    """End the process with calls left behind, as a crash would: an exit waits for their threads."""
    log.warning("calls did not end within the grace time: the next start finishes their work")
    logging.shutdown()
    os._exit(CALLS_LEFT_BEHIND)


@contextmanager
def _identified_server(settings: Settings, metrics: Metrics) -> Iterator[CsiServer]:
    """A server that says who it is, and that it is not ready; stopped if the block fails."""
    server = CsiServer(
        identity_of(settings),
        socket_path=settings.socket_path,
        kubelet_dir=settings.kubelet_dir,
        metrics=metrics,
        thread_count=settings.rpc_threads,
    )
    with ExitStack() as stack:
        if settings.metrics_address is not None:
            monitoring = MonitoringServer(metrics, is_ready=server.is_ready)
            monitoring.start(*settings.metrics_address)
            stack.callback(monitoring.stop)
        server.start()
        try:
            yield server
        except BaseException:
            server.stop(grace_s=0)
            raise


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
    mounter = machine.make_mounter(runner, settings.kubelet_dir)
    owner = f"{settings.node_id} on {host_name()}"
    opened = open_pools(settings.pools, Opener(machine.tools, stack, owner).open)
    return Engines(
        pools=opened.pools,
        away_pool_names=opened.away_names,
        mounter=mounter,
        state_store=StateDirectory(settings.state_dir, machine.tools.files),
        observe_extents=metrics.observe_extents,
    )


def _stop_signal() -> int:
    """A descriptor from which a byte can be read once SIGTERM or SIGINT has come.

    An event set by a handler would not do: handlers run in the main thread only, and a signal that
    comes just before that thread falls asleep does not wake it.  The byte is written at once.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave_it_to_the_byte)
    return reader


def _leave_it_to_the_byte(_number: int, _frame: FrameType | None) -> None:
    """Without a handler there would be no byte."""
