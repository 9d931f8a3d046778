"""Section `calls`: making and deleting through gRPC, beside a bare loop of the same effects."""

from functools import cache

from tests.bench.bare import BareLoop
from tests.bench.cycle import STEPS, BareCycle, GrpcCycle, Measured, Worker, in_turns
from tests.bench.figures import Figure, Section, Table, Target
from tests.bench.rendering import milliseconds, per_second
from tests.bench.workbench import CLIENTS, Workbench, file_system_of

ONE, MANY = "1 client", f"{CLIENTS} clients"
_BARE, _SERVED, _SERVED_MANY = "bare loop", "bare server, 1 client", "bare server, many clients"
_P50_TARGET = Target(2.0)
_HEADERS = (
    *("call", "p50", "p99", "bare p50", "bare p99", "served p50"),
    *("calls/s", f"calls/s of {CLIENTS}", f"served of {CLIENTS}"),
)


def measure(bench: Workbench) -> Section:
    """Measure the section."""
    found = measured(bench)
    return Section(
        title="Making and deleting: gRPC beside a bare loop",
        note=(
            "One client, in turns with a bare loop in one process that makes the same directories,"
            " files, syncs and renames on the same XFS with plain system calls. `served` is that"
            " bare loop behind gRPC in Python: no driver in Python answers faster. The last two"
            f" columns are with {CLIENTS} clients at once. The aim for the ratio is 1.5."
        ),
        tables=[Table(_HEADERS, [_row(found, step) for step in STEPS])],
        figures=[_figure(found, step) for step in STEPS],
    )


@cache
def measured(bench: Workbench) -> Measured:
    """The driver, the bare loop and the bare loop behind gRPC, in turns."""
    driver = bench.driver_with(bench.amount.volumes[0])
    bare = BareLoop(file_system_of(driver) / "bare")
    socket_path = driver.paths.socket
    workers: dict[str, Worker] = {
        _BARE: BareCycle(bench, bare),
        ONE: GrpcCycle(bench, socket_path, clients=1),
        _SERVED: GrpcCycle(bench, bench.bare_server, clients=1),
        MANY: GrpcCycle(bench, socket_path, clients=CLIENTS),
        _SERVED_MANY: GrpcCycle(bench, bench.bare_server, clients=CLIENTS),
    }
    return in_turns(workers, bench.amount.rounds)


def _row(found: Measured, step: str) -> list[str]:
    one, bare = found[ONE][step], found[_BARE][step]
    return [
        step,
        milliseconds(one.p50_s),
        milliseconds(one.latency_s(99)),
        milliseconds(bare.p50_s),
        milliseconds(bare.latency_s(99)),
        milliseconds(found[_SERVED][step].p50_s),
        per_second(one.rate),
        per_second(found[MANY][step].rate),
        per_second(found[_SERVED_MANY][step].rate),
    ]


def _figure(found: Measured, step: str) -> Figure:
    p50_s, bare_s = found[ONE][step].p50_s, found[_BARE][step].p50_s
    return Figure(
        what=f"{step}, p50",
        measured=milliseconds(p50_s),
        beside=f"bare loop {milliseconds(bare_s)}",
        ratio=p50_s / bare_s,
        target=_P50_TARGET,
    )
