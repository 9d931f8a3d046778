"""Section `calls`: making and deleting through gRPC, beside a bare loop of the same effects."""

from functools import cache

from tests.bench.bare import BareLoop
from tests.bench.cycle import STEPS, BareCycle, GrpcCycle, Measured, Worker, in_turns
from tests.bench.figures import Figure, Section, Table, Target
from tests.bench.rendering import milliseconds, per_second
from tests.bench.workbench import CLIENTS, Workbench, file_system_of

ONE, MANY, BARE, FLOOR = "1 client", f"{CLIENTS} clients", "bare loop", "empty server"
_P50_TARGET = Target(2.0)
_HEADERS = (
    "call", "p50", "p99", "bare p50", "bare p99", "empty p50", "calls/s", f"calls/s of {CLIENTS}"
)  # fmt: skip


def measure(bench: Workbench) -> Section:
    """Measure the section."""
    found = measured(bench)
    return Section(
        title="Making and deleting: gRPC beside a bare loop",
        note=(
            "One client, and a bare loop in one process that makes the same directories, files,"
            " syncs and renames on the same XFS with plain system calls, in turns. The empty server"
            " is gRPC in Python with a handler that does nothing: no driver in Python answers"
            f" faster. The last column is with {CLIENTS} clients at once."
            " The aim for the ratio is 1.5."
        ),
        tables=[Table(_HEADERS, [_row(found, step) for step in STEPS])],
        figures=[_figure(found, step) for step in STEPS],
    )


@cache
def measured(bench: Workbench) -> Measured:
    """The driver with one and with many clients, the bare loop and the empty server, in turns."""
    driver = bench.driver_with(bench.amount.volumes[0])
    bare = BareLoop(file_system_of(driver) / "bare")
    socket_path = driver.paths.socket
    workers: dict[str, Worker] = {
        BARE: BareCycle(bench, bare),
        ONE: GrpcCycle(bench, socket_path, clients=1),
        FLOOR: GrpcCycle(bench, bench.floor, clients=1),
        MANY: GrpcCycle(bench, socket_path, clients=CLIENTS),
    }
    return in_turns(workers, bench.amount.rounds)


def _row(found: Measured, step: str) -> list[str]:
    one, bare = found[ONE][step], found[BARE][step]
    return [
        step,
        milliseconds(one.p50_s),
        milliseconds(one.latency_s(99)),
        milliseconds(bare.p50_s),
        milliseconds(bare.latency_s(99)),
        milliseconds(found[FLOOR][step].p50_s),
        per_second(one.rate),
        per_second(found[MANY][step].rate),
    ]


def _figure(found: Measured, step: str) -> Figure:
    p50_s, bare_s = found[ONE][step].p50_s, found[BARE][step].p50_s
    return Figure(
        what=f"{step}, p50",
        measured=milliseconds(p50_s),
        beside=f"bare loop {milliseconds(bare_s)}",
        ratio=p50_s / bare_s,
        target=_P50_TARGET,
    )
