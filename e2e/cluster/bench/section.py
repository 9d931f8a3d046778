"""All of it in order, and the section of docs/performance.md that tells it."""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from csi_zfs.domain.sizes import MIB
from e2e.cluster.bench import claims, copies, host_path, pods
from e2e.cluster.bench.memory import driver_bytes
from e2e.cluster.bench.stand import Amount, Stand, standing
from e2e.cluster.cluster import Cluster
from e2e.cluster.versions import KUBERNETES, PROVISIONER
from e2e.vm.cache import locked
from e2e.vm.progress import say
from tests.bench.figures import Figure, Section, Target
from tests.bench.rendering import CLUSTER_TITLE, ROUTER_TITLE, to_markdown, to_text, with_section

_MEMORY_LIMITS = {"node": 100 * MIB, "controller": 80 * MIB}
T = TypeVar("T")


def bench(cluster: Cluster, amount: Amount, page: Path | None) -> None:
    """Measure, print, and write the section into a page; no figure is a failure.

    Raises:
        ClusterError: something could not be measured.
    """
    load = os.getloadavg()[0]
    lock = locked(cluster.layout.root / "tests.lock", "tests in this cluster")
    with lock, standing(cluster, amount) as stand:
        section = measured(stand, load)
    print(to_text(section))
    if page is not None:
        text = page.read_text(encoding="utf-8")
        page.write_text(with_section(text, to_markdown(section)), encoding="utf-8")


def measured(stand: Stand, load: float) -> Section:
    """All figures of one run."""
    idle = driver_bytes(stand.release)
    bound = _timed("claims beside the mock", claims.beside_the_mock, stand)
    ready = _timed("pods", pods.measure, stand)
    table, copied = _timed("snapshots and restores", copies.measure, stand)
    busy = driver_bytes(stand.release)
    throttled = _timed("claims by throttle", claims.by_throttle, stand)
    return Section(
        title=CLUSTER_TITLE,
        note=_note(stand.amount, load),
        tables=[table, throttled],
        figures=[*bound, *ready, *copied, *_memory("idle", idle), *_memory("after all this", busy)],
    )


def _note(amount: Amount, load: float) -> str:
    return (
        f"Measured by `make bench-cluster`: Kubernetes {KUBERNETES.version} with all of its control"
        f" plane and two nodes on this one machine (load before the run: {load:.1f}),"
        f" external-provisioner {PROVISIONER.version}, the chart's own values but for a larger"
        " embedded pool. The mock is the in-memory driver of Kubernetes' own storage tests, behind"
        " the provisioner of the chart with the same flags. Times count from `kubectl create`."
        " kube-controller-manager asks the API server 20 times a second and snapshot-controller 5"
        " times, unless told otherwise: both are limits for any driver, so some figures were taken"
        " without them, too. The chart's limits of the provisioner are those of the last row."
        " The scheduler looks once a second whether a pod's new claim is bound."
        f" Medians of {amount.rounds} rounds in turns. Snapshots and restores:"
        f" {amount.copies} of each source in turns, the mean of what the sidecars' metrics say of"
        " their calls, and the median of what a user sees. What csi-driver-host-path"
        f" {host_path.VERSION} took on such a cluster was not measured in this run. The router's"
        f' own part of a call is in "{ROUTER_TITLE}".'
    )


def _memory(when: str, found: Mapping[str, int]) -> list[Figure]:
    return [
        Figure(
            what=f"memory (RSS), {role} driver, {when}",
            measured=f"{found[role] / MIB:.0f} MiB",
            beside=f"limit {limit_bytes // MIB} MiB",
            ratio=found[role] / limit_bytes,
            target=Target(1.0),
        )
        for role, limit_bytes in _MEMORY_LIMITS.items()
    ]


def _timed(what: str, measure: Callable[[Stand], T], stand: Stand) -> T:
    begin = time.monotonic()
    found = measure(stand)
    say(f"{what}: measured in {time.monotonic() - begin:.0f} s")
    return found
