"""What is measured, as data: latencies, rates, and figures held against a target.  Pure."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

_NS_PER_S = 1_000_000_000


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Batch:
    """Calls of one kind that ran together: how long each took, and all of them."""

    latencies_ns: Sequence[int]
    seconds: float

    @property
    def rate(self) -> float:
        """Calls a second."""
        return len(self.latencies_ns) / self.seconds

    @classmethod
    def in_turn(cls, latencies_ns: Sequence[int]) -> Self:
        """A batch of calls that ran one after the other."""
        return cls(latencies_ns, sum(latencies_ns) / _NS_PER_S)


@dataclass(slots=True)
class Series:
    """The batches of one kind of call, over the rounds of a run."""

    batches: list[Batch] = field(default_factory=list)

    def add(self, batch: Batch) -> None:
        """Count one more batch."""
        self.batches.append(batch)

    def latency_s(self, percent: float) -> float:
        """A percentile of the seconds that one call took, over all batches."""
        every = [latency for batch in self.batches for latency in batch.latencies_ns]
        return percentile(every, percent) / _NS_PER_S

    @property
    def p50_s(self) -> float:
        """The median of the seconds that one call took."""
        return self.latency_s(50)

    @property
    def rate(self) -> float:
        """Calls a second in the median batch: one that a neighbour slowed down does not count."""
        return statistics.median(batch.rate for batch in self.batches)


@dataclass(frozen=True, slots=True)
class Target:
    """The ratio to reach."""

    limit: float
    is_floor: bool = False

    def is_met(self, ratio: float) -> bool:
        """Whether a ratio is on the right side of the limit."""
        return ratio >= self.limit if self.is_floor else ratio <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.is_floor else '≤'} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result: what was measured, beside what, and their ratio."""

    what: str
    measured: str
    beside: str
    ratio: float
    target: Target

    @property
    def verdict(self) -> str:
        """For people: nothing fails because of it."""
        return "ok" if self.target.is_met(self.ratio) else "missed"


@dataclass(frozen=True, slots=True)
class Table:
    """Measured values with nothing to hold them against."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Section:
    """The result of one section: words about how it was measured, tables, figures."""

    title: str
    note: str
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
