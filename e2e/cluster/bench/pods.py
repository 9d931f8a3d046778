"""How soon a pod with a new claim is ready, beside the same pod with an emptyDir."""

import statistics
from collections.abc import Callable

from e2e.cluster.bench.stand import Stand, namespace
from e2e.cluster.bench.unthrottled import unthrottled
from e2e.cluster.bench.watching import READY, made
from e2e.cluster.kubectl import Object
from e2e.cluster.tests.volumes import claim, mounted, using
from e2e.cluster.tests.workloads import pod
from tests.bench.figures import Figure, Target

_LIMIT_S = 1.5
_WITHIN = Target(1.0)
Make = Callable[[int], list[Object]]


def measure(stand: Stand) -> list[Figure]:
    """One pod, and several at once; both kinds in turns."""
    many = f"{stand.amount.pods} pods with new claims at once"
    figures = [
        _figure(stand, 1, "pod with a new claim"),
        _figure(stand, stand.amount.pods, many),
    ]
    with unthrottled(stand.cluster):
        # Until the controllers do their work.
        _ready_s(stand, _claiming, 1)
        return [*figures, _figure(stand, stand.amount.pods, f"{many}, cluster not throttled")]


def _figure(stand: Stand, count: int, what: str) -> Figure:
    seconds: dict[Make, list[float]] = {_empty: [], _claiming: []}
    for _ in range(stand.amount.rounds):
        for make, found in seconds.items():
            found.append(_ready_s(stand, make, count))
    empty_s, claiming_s = (statistics.median(found) for found in seconds.values())
    more_s = claiming_s - empty_s
    return Figure(
        what=f"{what}: seconds more to Ready",
        measured=f"{claiming_s:.2f} s",
        beside=f"emptyDir {empty_s:.2f} s, and {_LIMIT_S} s",
        ratio=more_s / _LIMIT_S,
        target=_WITHIN,
    )


def _ready_s(stand: Stand, make: Make, count: int) -> float:
    objects = [one for number in range(count) for one in make(number)]
    with namespace(stand.cluster) as kubectl:
        return made(kubectl, objects, READY)


def _empty(number: int) -> list[Object]:
    spec = {"volumes": [{"name": "volume", "emptyDir": {}}]}
    return [pod(f"pod-{number}", container=mounted(), spec=spec)]


def _claiming(number: int) -> list[Object]:
    name = f"claim-{number}"
    return [claim(name), pod(f"pod-{number}", container=mounted(), spec=using(name))]
