"""The cluster's own controllers without their limits, which else hide what a driver takes."""

from collections.abc import Iterator
from contextlib import contextmanager

from e2e.cluster.cluster import Cluster
from e2e.cluster.control_plane import CONTROLLER_MANAGER, SNAPSHOT_CONTROLLER, ControlPlane
from e2e.cluster.processes import Processes

_NAMES = (CONTROLLER_MANAGER, SNAPSHOT_CONTROLLER)
_FLAGS = ("--kube-api-qps=1000", "--kube-api-burst=1000")
_END_LIMIT_S = 30.0


@contextmanager
def unthrottled(cluster: Cluster) -> Iterator[None]:
    """Let them ask the API server as often as they like, for the length of a `with` block."""
    control = ControlPlane(cluster.layout, cluster.plan)
    try:
        _end(cluster)
        for name in _NAMES:
            command = [cluster.layout.program(name), *control.commands()[name], *_FLAGS]
            _processes(cluster).start(name, command, cluster.layout.log(name))
        yield
    finally:
        _end(cluster)
        control.start(*_NAMES)


def _end(cluster: Cluster) -> None:
    for name in _NAMES:
        if (process := _processes(cluster).find(name)) is not None:
            process.kill()
            process.wait(_END_LIMIT_S)


def _processes(cluster: Cluster) -> Processes:
    return Processes(cluster.layout.processes)
