"""The names and records of all volumes, which a start reads, beside `zfs list`."""

from collections.abc import Callable
from functools import partial

from csi_zfs.app.openzfs import OpenZfs
from csi_zfs.datasets.names import VOLUMES
from csi_zfs.settings import PoolSettings
from csi_zfs.system.clock import SystemClock
from csi_zfs.system.runner import SystemRunner
from csi_zfs.zfs.records import DATASET_PROPERTY
from e2e.bench.stand import POOL_NAME, Stand
from tests.bench.bare import timed
from tests.bench.figures import Figure, Series, Target
from tests.bench.rendering import milliseconds
from tests.support.commands import run

# A reading takes as long as many calls.
_ROUNDS = 3
_LIMIT_S = 600.0
_COMMANDS = {
    "json": ("`zfs list -j -p -t all -r`", Target(3.0, is_floor=True)),
    "records": ("`zfs list -Hp -d 1 -o name,<record>`", Target(1.7, is_floor=True)),
}
_LINEAR = Target(1.2)


def measure(stand: Stand) -> list[Figure]:
    """All readings in turns."""
    some, many = stand.amount.some, stand.amount.many
    openzfs = OpenZfs(SystemRunner(), SystemClock())
    try:
        readings: dict[str, Callable[[], None]] = {
            "some": _reading(stand, some, openzfs),
            "many": _reading(stand, many, openzfs),
            "json": partial(_listed, "-j", "-p", "-t", "all", "-r", stand.parent_with(many)),
            "records": partial(
                _listed,
                *("-Hp", "-d", "1", "-o", f"name,{DATASET_PROPERTY}"),
                f"{stand.parent_with(many)}/{VOLUMES}",
            ),
        }
        found = {what: Series() for what in readings}
        for _ in range(_ROUNDS):
            for what, reading in readings.items():
                found[what].add(timed([reading]))
    finally:
        openzfs.close()
    p50_s = {what: series.p50_s for what, series in found.items()}
    return [
        *(
            Figure(
                what=f"names and records of {many:,} volumes, times as fast",
                measured=milliseconds(p50_s["many"]),
                beside=f"{command} {milliseconds(p50_s[what])}",
                ratio=p50_s[what] / p50_s["many"],
                target=target,
            )
            for what, (command, target) in _COMMANDS.items()
        ),
        Figure(
            what=f"one of {many:,} volumes",
            measured=milliseconds(p50_s["many"] / many),
            beside=f"one of {some}: {milliseconds(p50_s['some'] / some)}",
            ratio=p50_s["many"] / many / (p50_s["some"] / some),
            target=_LINEAR,
        ),
    ]


def _reading(stand: Stand, volumes: int, openzfs: OpenZfs) -> Callable[[], None]:
    stand.driver_with(volumes)
    settings = PoolSettings(POOL_NAME, dataset=stand.parent_with(volumes))
    manager = openzfs.open(settings)

    def read() -> None:
        found = sum(1 for _ in manager.list())
        assert found >= volumes

    return read


def _listed(*words: str) -> None:
    run("zfs", "list", *words, limit_s=_LIMIT_S)
