"""Section `mock`: rates at 10 to 10,000 volumes, beside a mock that does nothing."""

from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from tests.bench import messages
from tests.bench.cycle import STEPS, Cycle, GrpcCycle, Worker, in_turns
from tests.bench.figures import Figure, Section, Series, Table, Target
from tests.bench.rendering import milliseconds, per_second
from tests.bench.workbench import CLIENTS, Workbench

PROBE, PLUGIN_INFO = "Probe", "GetPluginInfo"
CAPACITY, GET_VOLUME = "GetCapacity", "ControllerGetVolume"
_READS = (PROBE, PLUGIN_INFO, CAPACITY, GET_VOLUME)
_SERVED = "bare server"
# They are that much shorter.
_READS_PER_CALL = 5
_PAGE = 100
_QUARTER, _FLAT, _PAGES = Target(0.25, is_floor=True), Target(0.8, is_floor=True), Target(2.0)


@dataclass(frozen=True, slots=True)
class _Measured:
    """Series by server and call; `mocks` is empty where the mock cannot be built."""

    series: dict[str, dict[str, Series]]
    volumes: tuple[int, ...]
    mocks: tuple[str, ...]

    def rate(self, server: str, call: str) -> float:
        return self.series[server][call].rate


def measure(bench: Workbench) -> Section:
    """Measure the section."""
    found = _measured(bench)
    figures = [_flat(found, call) for call in (*STEPS, *_READS)]
    if found.mocks:
        beside = [_beside_mock(found, call, at) for call in _READS for at in found.volumes]
        figures = beside + figures
    return Section(
        title="With many volumes, beside a mock",
        note=_note(bench),
        tables=[_table(found)],
        figures=[*figures, _pages(bench)],
    )


def _note(bench: Workbench) -> str:
    mock = f"The mock is left out: it {why}." if (why := bench.why_no_mock) else (
        "The mock is the in-memory driver of Kubernetes' own storage tests, in Go, which does"
        " nothing and looks its volumes up one by one."
    )  # fmt: skip
    return (
        f"Calls a second with {CLIENTS} clients in one process, the servers in turns, on pools that"
        f" have so many volumes. {mock} The bare server is the bare loop behind gRPC in Python."
    )


def _measured(bench: Workbench) -> _Measured:
    volumes = tuple(bench.amount.volumes)
    workers = {_driver(at): _worker(bench, bench.driver_with(at).paths.socket) for at in volumes}
    mocks = () if bench.why_no_mock else tuple(_mock(at) for at in volumes)
    for name, at in zip(mocks, volumes, strict=False):
        workers[name] = _worker(bench, bench.mock_with(at))
    workers[_SERVED] = _worker(bench, bench.bare_server)
    series = in_turns(workers, bench.amount.rounds, (*STEPS, *_READS))
    return _Measured(series, volumes, mocks)


def _driver(volumes: int) -> str:
    return f"driver at {volumes:,}"


def _mock(volumes: int) -> str:
    return f"mock at {volumes:,}"


def _worker(bench: Workbench, socket_path: Path) -> Worker:
    cycle = GrpcCycle(bench, socket_path, clients=CLIENTS)
    listed = bench.load.run(socket_path, messages.LIST_VOLUMES, [messages.page(1)]).answers[0]
    reads = partial(_reads, bench, socket_path, messages.listed_volume_ids_in(listed))
    return lambda: chain(cycle(), reads())


def _reads(bench: Workbench, socket_path: Path, volume_ids: list[str]) -> Cycle:
    """Calls that change nothing, in the order of `_READS`."""
    get = messages.volumes_to_get(volume_ids) or [b""]
    for method, request in (
        (messages.PROBE, b""),
        (messages.GET_PLUGIN_INFO, b""),
        (messages.GET_CAPACITY, b""),
        (messages.GET_VOLUME, get[0]),
    ):
        requests = [request] * (_READS_PER_CALL * bench.amount.batch)
        yield bench.load.run(socket_path, method, requests, clients=CLIENTS).batch


def _table(found: _Measured) -> Table:
    return Table(
        ("calls/s", *found.series),
        [
            [call, *(per_second(found.rate(server, call)) for server in found.series)]
            for call in (*STEPS, *_READS)
        ],
    )


def _beside_mock(found: _Measured, call: str, volumes: int) -> Figure:
    rate, beside = found.rate(_driver(volumes), call), found.rate(_mock(volumes), call)
    return Figure(
        what=f"{call} at {volumes:,} volumes",
        measured=per_second(rate),
        beside=f"mock {per_second(beside)}",
        ratio=rate / beside,
        target=_QUARTER,
    )


def _flat(found: _Measured, call: str) -> Figure:
    few, many = found.volumes[0], found.volumes[-1]
    rate, beside = found.rate(_driver(many), call), found.rate(_driver(few), call)
    return Figure(
        what=f"{call} at {many:,} volumes",
        measured=per_second(rate),
        beside=f"at {few:,}: {per_second(beside)}",
        ratio=rate / beside,
        target=_FLAT,
    )


def _pages(bench: Workbench) -> Figure:
    many = bench.amount.volumes[-1]
    short, long = Series(), Series()
    for _ in range(bench.amount.rounds):
        for volumes, series in ((_PAGE, short), (many, long)):
            socket_path = bench.driver_with(volumes).paths.socket
            requests = [messages.page(_PAGE)] * bench.amount.batch
            series.add(bench.load.run(socket_path, messages.LIST_VOLUMES, requests).batch)
    return Figure(
        what=f"ListVolumes, a page of {_PAGE} at {many:,} volumes, p50",
        measured=milliseconds(long.p50_s),
        beside=f"at {_PAGE}: {milliseconds(short.p50_s)}",
        ratio=long.p50_s / short.p50_s,
        target=_PAGES,
    )
