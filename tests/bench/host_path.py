"""Section `host-path`: beside what csi-driver-host-path 1.18 did on such a machine."""

from dataclasses import dataclass

from tests.bench.calls import MANY, ONE, measured
from tests.bench.cycle import CLONE_SNAPSHOT, CLONE_VOLUME, CREATE, DELETE, SNAPSHOT
from tests.bench.figures import Figure, Section, Target
from tests.bench.rendering import per_second
from tests.bench.workbench import Workbench


@dataclass(frozen=True, slots=True)
class _Reference:
    """Calls a second of csi-driver-host-path, and what part or multiple of them is the target."""

    step: str
    one: float
    many: float
    target: Target


_HALF, _TWICE = Target(0.5, is_floor=True), Target(2.0, is_floor=True)
_REFERENCES = (
    _Reference(CREATE, 1_463, 2_281, _HALF),
    _Reference(SNAPSHOT, 264, 282, _TWICE),
    _Reference(CLONE_SNAPSHOT, 310, 328, _TWICE),
    _Reference(CLONE_VOLUME, 310, 328, _TWICE),
    _Reference(DELETE, 1_581, 2_370, _HALF),
)


def measure(bench: Workbench) -> Section:
    """Measure the section; the rates are those of section `calls`."""
    return Section(
        title="Beside csi-driver-host-path",
        note=(
            "Not measured in this run: what csi-driver-host-path 1.18 did on such a machine with a"
            " client in Python. It is written in Go, syncs nothing, and its snapshots are tar"
            " files; here every answer comes after the change is durable."
        ),
        figures=[
            _figure(bench, reference, clients)
            for clients in (ONE, MANY)
            for reference in _REFERENCES
        ],
    )


def _figure(bench: Workbench, reference: _Reference, clients: str) -> Figure:
    rate = measured(bench)[clients][reference.step].rate
    beside = reference.one if clients == ONE else reference.many
    return Figure(
        what=f"{reference.step}, {clients}",
        measured=per_second(rate),
        beside=f"host-path {per_second(beside)}",
        ratio=rate / beside,
        target=reference.target,
    )
