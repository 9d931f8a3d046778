"""What the driver counts, for Prometheus."""

import enum
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from csi_zfs.services.statistics import PoolStatistics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_CALL_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_EXTENT_BUCKETS = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)


class MetricKind(enum.StrEnum):
    """The kinds of metrics, by Prometheus's names."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric, as docs/reference/metrics.md has it."""

    name: str
    kind: MetricKind
    labels: tuple[str, ...]
    meaning: str


@dataclass(frozen=True, slots=True)
class PoolMetric:
    """A figure of each pool, and how to read it."""

    spec: MetricSpec
    read: Callable[[PoolStatistics], float]


CALLS = MetricSpec(
    "csi_zfs_calls_total",
    MetricKind.COUNTER,
    ("method", "code"),
    "CSI calls that have ended, by method and gRPC code.",
)
CALL_SECONDS = MetricSpec(
    "csi_zfs_call_seconds",
    MetricKind.HISTOGRAM,
    ("method",),
    "How long CSI calls took, from the start of the work to the answer.",
)
CALLS_IN_FLIGHT = MetricSpec(
    "csi_zfs_calls_in_flight", MetricKind.GAUGE, (), "CSI calls that are being worked on now."
)
SOURCE_EXTENTS = MetricSpec(
    "csi_zfs_source_extents",
    MetricKind.HISTOGRAM,
    (),
    "In how many pieces the data of a volume lay when it was snapshotted or cloned: the time that"
    " takes grows with them.",
)


def _pool_metric(name: str, meaning: str, read: Callable[[PoolStatistics], float]) -> PoolMetric:
    return PoolMetric(MetricSpec(name, MetricKind.GAUGE, ("pool",), meaning), read)


POOL_METRICS = (
    _pool_metric(
        "csi_zfs_pool_total_bytes",
        "The size of the pool; 0 while it is away.",
        lambda pool: pool.total_bytes,
    ),
    _pool_metric(
        "csi_zfs_pool_free_bytes",
        "What of the pool is free; 0 while it is away.",
        lambda pool: pool.free_bytes,
    ),
    _pool_metric("csi_zfs_pool_volumes", "Volumes in the pool.", lambda pool: pool.volumes),
    _pool_metric("csi_zfs_pool_snapshots", "Snapshots in the pool.", lambda pool: pool.snapshots),
    _pool_metric(
        "csi_zfs_pool_healthy",
        "1 if nothing is known to be wrong with the pool, else 0.",
        lambda pool: pool.is_healthy,
    ),
)
METRICS = (
    CALLS,
    CALL_SECONDS,
    CALLS_IN_FLIGHT,
    SOURCE_EXTENTS,
    *(metric.spec for metric in POOL_METRICS),
)


class _PoolCollector(Collector):
    """Reads the pools anew whenever somebody asks for the metrics."""

    def __init__(self, statistics: Callable[[], Sequence[PoolStatistics]]) -> None:
        self._statistics = statistics

    def describe(self) -> Iterator[Metric]:
        """The names alone: registering must not touch the pools."""
        for metric in POOL_METRICS:
            yield GaugeMetricFamily(metric.spec.name, metric.spec.meaning, labels=["pool"])

    def collect(self) -> Iterator[Metric]:
        """The figures now."""
        pools = self._statistics()
        for metric in POOL_METRICS:
            family = GaugeMetricFamily(metric.spec.name, metric.spec.meaning, labels=["pool"])
            for pool in pools:
                family.add_metric([pool.pool_name], metric.read(pool))
            yield family


class MethodMetrics:
    """The metrics of one method.  Thread-safe."""

    def __init__(self, calls: Counter, seconds: Histogram, method: str) -> None:
        self._calls = calls
        self._method = method
        self._seconds = seconds.labels(method)
        self._by_code: dict[str, Counter] = {}

    def observe(self, code: str, seconds: float) -> None:
        """Count a call that ended with `code` after `seconds`."""
        # To look a child up by its labels takes a lock and costs more than all the rest.
        counter = self._by_code.get(code)
        if counter is None:
            counter = self._by_code[code] = self._calls.labels(self._method, code)
        counter.inc()
        self._seconds.observe(seconds)


class Metrics:
    """All metrics of one driver, in a registry of their own.  Thread-safe."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._calls = Counter(CALLS.name, CALLS.meaning, CALLS.labels, registry=self._registry)
        self._seconds = Histogram(
            CALL_SECONDS.name,
            CALL_SECONDS.meaning,
            CALL_SECONDS.labels,
            buckets=_CALL_BUCKETS_S,
            registry=self._registry,
        )
        self._in_flight = Gauge(
            CALLS_IN_FLIGHT.name, CALLS_IN_FLIGHT.meaning, registry=self._registry
        )
        self._extents = Histogram(
            SOURCE_EXTENTS.name,
            SOURCE_EXTENTS.meaning,
            buckets=_EXTENT_BUCKETS,
            registry=self._registry,
        )

    def of_method(self, method: str) -> MethodMetrics:
        """The metrics of one method; make it once and keep it."""
        return MethodMetrics(self._calls, self._seconds, method)

    def watch_pools(self, statistics: Callable[[], Sequence[PoolStatistics]]) -> None:
        """Report what `statistics` says of the pools at each request; it should not raise."""
        self._registry.register(_PoolCollector(statistics))

    def watch_in_flight(self, count: Callable[[], int]) -> None:
        """Report what `count` says as the number of calls in flight."""
        self._in_flight.set_function(count)

    def observe_extents(self, extents: int) -> None:
        """Count a copy of data that lay in so many pieces."""
        self._extents.observe(extents)

    def render(self) -> bytes:
        """The page of metrics, in Prometheus's text format."""
        return generate_latest(self._registry)
