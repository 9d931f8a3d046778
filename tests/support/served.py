"""A driver behind its socket, in the process of the tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from csi_zfs.app import Engines, build_driver
from csi_zfs.rpc.interceptors import Interceptor
from csi_zfs.rpc.metrics import Metrics
from csi_zfs.rpc.roles import NODE_SOCKET, node_servicers
from csi_zfs.rpc.server import DEFAULT_THREAD_COUNT, CsiServer
from csi_zfs.rpc.services import Services
from csi_zfs.services.identity import Identity
from csi_zfs.settings import Settings


def new_server(
    identity: Identity,
    socket_path: Path,
    *,
    metrics: Metrics | None = None,
    thread_count: int = DEFAULT_THREAD_COUNT,
) -> CsiServer:
    """A server of a node that is not started yet."""
    return CsiServer(
        identity,
        NODE_SOCKET,
        socket_path=socket_path,
        interceptor=Interceptor(metrics or Metrics()),
        thread_count=thread_count,
    )


def serve(server: CsiServer, services: Services, kubelet_dir: Path) -> None:
    """Let these services answer."""
    server.serve(
        node_servicers(services, kubelet_dir=kubelet_dir), is_ready=services.health.is_ready
    )


@contextmanager
def served_driver(settings: Settings, engines: Engines, metrics: Metrics) -> Iterator[None]:
    """Serve these engines for the length of a `with` block."""
    driver = build_driver(settings, engines)
    driver.recovery.run()
    server = new_server(driver.services.identity, settings.socket_path, metrics=metrics)
    serve(server, driver.services, settings.kubelet_dir)
    server.start()
    try:
        yield
    finally:
        server.stop(grace_s=5)
