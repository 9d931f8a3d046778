"""What the containers of the driver hold, read from the machine that all native nodes share."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from e2e.cluster.kubectl import Object
from e2e.cluster.tests.release import Release
from tests.bench.footprint import rss_bytes

ROLES = ("node", "controller")
_CONTAINER = "driver"


def driver_bytes(release: Release) -> dict[str, int]:
    """The memory (RSS) of the largest driver container of each role."""
    pids = dict(_container_pids())
    return {role: max(_sizes(_container_ids(release, role), pids)) for role in ROLES}


def _container_ids(release: Release, role: str) -> Iterator[str]:
    selector = f"--selector=app.kubernetes.io/component={role}"
    for pod in release.kubectl.items("pods", selector):
        yield from (
            status["containerID"].rpartition("/")[2]
            for status in _statuses(pod)
            if status["name"] == _CONTAINER
        )


def _statuses(pod: Object) -> list[Object]:
    statuses: list[Object] = pod["status"].get("containerStatuses", [])
    return statuses


def _sizes(containers: Iterable[str], pids: Mapping[str, list[int]]) -> Iterator[int]:
    for container in containers:
        with contextlib.suppress(LookupError, OSError):
            yield sum(rss_bytes(pid) for pid in pids[container])


def _container_pids() -> Iterator[tuple[str, list[int]]]:
    """The processes of each container, by the last part of the name of its control group."""
    found: dict[str, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/cgroup"):
        with contextlib.suppress(OSError):
            for line in path.read_text().splitlines():
                pids = found.setdefault(line.rpartition("/")[2], [])
                pids += [int(path.parent.name)] if int(path.parent.name) not in pids else []
    yield from found.items()
