"""Making and deleting: gRPC beside the bare library, beside the command, beside many volumes."""

from dataclasses import dataclass

from e2e.bench.stand import Stand
from e2e.bench.ways import STEPS, BareCycle, Commands, GrpcCycle, Library
from tests.bench import messages
from tests.bench.cycle import Measured, Worker, in_turns
from tests.bench.figures import Figure, Series, Table, Target
from tests.bench.rendering import milliseconds

_LIBRARY, _COMMAND, _FEW, _MANY = "library", "zfs", "few", "many"
_LIBRARY_TARGET, _COMMAND_TARGET = Target(1.3), Target(2.5, is_floor=True)
_MANY_TARGET = Target(1.1)


@dataclass(frozen=True, slots=True)
class Making:
    """What was measured: series by way and step, and the empty call."""

    stand: Stand
    series: Measured
    probe: Series

    def tables(self) -> list[Table]:
        """What each way took."""
        amount = self.stand.amount
        headers = (
            *("p50", "library", "command", f"gRPC, {amount.few} volumes"),
            *(f"gRPC, {amount.many:,} volumes", "calls"),
        )
        rows = [self._row(step) for step in STEPS]
        probe = milliseconds(self.probe.p50_s)
        return [Table(headers, [*rows, ["Probe", "", "", probe, "", _count(self.probe)]])]

    def figures(self) -> list[Figure]:
        """The ratios."""
        many = self.stand.amount.many
        return [
            *(self._figure(step, _LIBRARY, _LIBRARY_TARGET) for step in STEPS),
            *(self._faster(step) for step in STEPS),
            *(
                Figure(
                    what=f"{step} at {many:,} volumes",
                    measured=milliseconds(self._p50_s(_MANY, step)),
                    beside=f"at {self.stand.amount.few}: {milliseconds(self._p50_s(_FEW, step))}",
                    ratio=self._p50_s(_MANY, step) / self._p50_s(_FEW, step),
                    target=_MANY_TARGET,
                )
                for step in STEPS
            ),
        ]

    def _row(self, step: str) -> list[str]:
        ways = (_LIBRARY, _COMMAND, _FEW, _MANY)
        values = [milliseconds(self._p50_s(way, step)) for way in ways]
        return [step, *values, _count(self.series[_FEW][step])]

    def _figure(self, step: str, beside: str, target: Target) -> Figure:
        p50_s, beside_s = self._p50_s(_FEW, step), self._p50_s(beside, step)
        return Figure(
            what=step,
            measured=milliseconds(p50_s),
            beside=f"{beside} {milliseconds(beside_s)}",
            ratio=p50_s / beside_s,
            target=target,
        )

    def _faster(self, step: str) -> Figure:
        p50_s, command_s = self._p50_s(_FEW, step), self._p50_s(_COMMAND, step)
        return Figure(
            what=f"{step}, times as fast",
            measured=milliseconds(p50_s),
            beside=f"`zfs` {milliseconds(command_s)}",
            ratio=command_s / p50_s,
            target=_COMMAND_TARGET,
        )

    def _p50_s(self, way: str, step: str) -> float:
        return self.series[way][step].p50_s


def measure(stand: Stand) -> Making:
    """All ways in turns."""
    few, many = (stand.driver_with(at) for at in (stand.amount.few, stand.amount.many))
    workers: dict[str, Worker] = {
        _LIBRARY: BareCycle(stand, stand.new_home("library"), Library()),
        _FEW: GrpcCycle(stand, few),
        _COMMAND: BareCycle(stand, stand.new_home("commands"), Commands()),
        _MANY: GrpcCycle(stand, many),
    }
    series = in_turns(workers, stand.amount.rounds, STEPS)
    probe = Series()
    for _ in range(stand.amount.rounds):
        probe.add(stand.load.run(few, messages.PROBE, [b""] * stand.amount.batch).batch)
    return Making(stand, series, probe)


def _count(series: Series) -> str:
    return str(sum(len(batch.latencies_ns) for batch in series.batches))
