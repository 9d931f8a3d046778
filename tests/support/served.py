"""A driver behind its socket, in the process of the tests."""

from collections.abc import Iterator
from contextlib import contextmanager

from csi_zfs.app import Engines, build_driver
from csi_zfs.rpc.metrics import Metrics
from csi_zfs.rpc.server import CsiServer
from csi_zfs.settings import Settings


@contextmanager
def served_driver(settings: Settings, engines: Engines, metrics: Metrics) -> Iterator[None]:
    """Serve these engines for the length of a `with` block."""
    driver = build_driver(settings, engines)
    driver.recovery.run()
    server = CsiServer(
        driver.services.identity,
        socket_path=settings.socket_path,
        kubelet_dir=settings.kubelet_dir,
        metrics=metrics,
    )
    server.serve(driver.services)
    server.start()
    try:
        yield
    finally:
        server.stop(grace_s=5)
