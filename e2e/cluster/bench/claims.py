"""Claims bound per second: beside the mock, and by what the provisioner may ask of the API."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from e2e.cluster.bench import host_path
from e2e.cluster.bench.mock import STORAGE_CLASS as MOCK_CLASS
from e2e.cluster.bench.mock import mocked
from e2e.cluster.bench.stand import AT_ONCE_CLASS, Stand, namespace
from e2e.cluster.bench.unthrottled import unthrottled
from e2e.cluster.bench.watching import BOUND, made
from e2e.cluster.chart import CHART
from e2e.cluster.cluster import Cluster
from e2e.cluster.tests.release import CHECKOUT, NAMESPACE, RELEASE
from e2e.cluster.tests.volumes import claim
from tests.bench.figures import Figure, Table, Target

_TARGET = Target(0.8, is_floor=True)
_UPGRADE_LIMIT_S = 300.0


@dataclass(frozen=True, slots=True)
class Throttle:
    """What the provisioner may ask of the API server."""

    qps: int
    burst: int


# What the sidecars take when nothing is said, and what the chart says is the last one.
THROTTLES = (Throttle(5, 10), Throttle(25, 50), Throttle(100, 200))


def beside_the_mock(stand: Stand) -> list[Figure]:
    """The driver and the mock in turns, behind the same provisioner."""
    with mocked(stand.release):
        driver, mock = _in_turns(stand)
        with unthrottled(stand.cluster):
            fast_driver, fast_mock = _in_turns(stand)
    what = f"{stand.amount.claims} claims at once, bound"
    figures = [
        _figure(what, driver, mock),
        _figure(f"{what}, cluster not throttled", fast_driver, fast_mock),
    ]
    # A rate of fewer claims would not tell: the cluster lets the first ones pass at once.
    if stand.amount.claims == host_path.CLAIMS:
        seconds = host_path.CLAIMS / driver
        figures.append(host_path.beside(f"{what}: seconds", seconds, host_path.CLAIMS_BOUND_S))
    return figures


def by_throttle(stand: Stand, throttles: Sequence[Throttle] = THROTTLES) -> Table:
    """The same claims with several throttles; the last one stays."""
    rows = []
    for throttle in throttles:
        _upgrade(stand.cluster, throttle)
        usual = _settled(stand)
        with unthrottled(stand.cluster):
            fast = _settled(stand)
        rates = (f"{usual:.1f}/s", f"{fast:.1f}/s")
        rows.append((f"{throttle.qps}, {throttle.burst}", *rates))
    bound = f"{stand.amount.claims} claims bound"
    return Table(("provisioner's QPS, burst", bound, "cluster not throttled"), rows)


def bound_per_s(cluster: Cluster, storage_class: str, count: int) -> float:
    """Make claims at once; returns how many were bound in a second."""
    claims = [claim(f"claim-{number}", storage_class=storage_class) for number in range(count)]
    with namespace(cluster) as kubectl:
        return count / made(kubectl, claims, BOUND)


def _settled(stand: Stand) -> float:
    """Claims bound in a second, once whoever was started anew does its work."""
    bound_per_s(stand.cluster, AT_ONCE_CLASS, 1)
    return bound_per_s(stand.cluster, AT_ONCE_CLASS, stand.amount.claims)


def _in_turns(stand: Stand) -> list[float]:
    """Claims bound in a second, of the driver and of the mock."""
    found: dict[str, list[float]] = {AT_ONCE_CLASS: [], MOCK_CLASS: []}
    for storage_class in found:
        bound_per_s(stand.cluster, storage_class, 1)
    for _ in range(stand.amount.rounds):
        for storage_class, rates in found.items():
            rates.append(bound_per_s(stand.cluster, storage_class, stand.amount.claims))
    return [statistics.median(rates) for rates in found.values()]


def _figure(what: str, driver: float, mock: float) -> Figure:
    measured, beside = f"{driver:.1f}/s", f"mock {mock:.1f}/s"
    return Figure(what, measured, beside, driver / mock, _TARGET)


def _upgrade(cluster: Cluster, throttle: Throttle) -> None:
    values = f"sidecars.provisioner.qps={throttle.qps},sidecars.provisioner.burst={throttle.burst}"
    cluster.helm.run(
        *("upgrade", RELEASE, str(CHECKOUT / CHART), "--namespace", NAMESPACE, "--reuse-values"),
        *("--set", values, "--wait", "--timeout", f"{_UPGRADE_LIMIT_S:g}s"),
        limit_s=_UPGRADE_LIMIT_S,
    )
