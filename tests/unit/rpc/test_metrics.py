from collections.abc import Iterable, Sequence

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from csi_zfs.rpc.metrics import METRICS, MetricKind, Metrics
from csi_zfs.services.statistics import PoolStatistics

FAST = PoolStatistics("fast", 100, 25, volumes=3, snapshots=1, is_healthy=True)
AWAY = PoolStatistics("slow", 0, 0, volumes=2, snapshots=0, is_healthy=False)


def samples(metrics: Metrics) -> list[Sample]:
    families = text_string_to_metric_families(metrics.render().decode())
    return [sample for family in families for sample in family.samples]


def value(found: Iterable[Sample], name: str, **labels: str) -> float:
    (sample,) = (one for one in found if one.name == name and one.labels == labels)
    return sample.value


def test_table_names_exactly_what_is_served() -> None:
    """docs/reference/metrics.md is made from it."""
    metrics = Metrics()
    metrics.watch_pools(lambda: [FAST])
    metrics.of_method("/m").observe("OK", 1)
    metrics.observe_extents(1)
    families = list(text_string_to_metric_families(metrics.render().decode()))
    served = {family.name: family for family in families}
    # The parser drops the ending that every counter has.
    assert set(served) == {spec.name.removesuffix("_total") for spec in METRICS}
    for spec in METRICS:
        family = served[spec.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (spec.kind, spec.meaning)
        labels = {label for sample in family.samples for label in sample.labels}
        assert labels - {"le"} == set(spec.labels)


def test_every_counter_ends_in_total_and_nothing_else_does() -> None:
    for spec in METRICS:
        assert spec.name.endswith("_total") is (spec.kind is MetricKind.COUNTER)


def test_pools_are_read_anew_for_each_page() -> None:
    pools: list[PoolStatistics] = []
    metrics = Metrics()
    metrics.watch_pools(lambda: pools)
    assert not any(sample.labels.get("pool") for sample in samples(metrics))
    pools += [FAST, AWAY]
    found = samples(metrics)
    assert value(found, "csi_zfs_pool_total_bytes", pool="fast") == 100
    assert value(found, "csi_zfs_pool_free_bytes", pool="fast") == 25
    assert value(found, "csi_zfs_pool_volumes", pool="slow") == 2
    assert value(found, "csi_zfs_pool_snapshots", pool="fast") == 1
    assert value(found, "csi_zfs_pool_healthy", pool="fast") == 1
    assert value(found, "csi_zfs_pool_healthy", pool="slow") == 0


def test_pools_are_not_read_before_anybody_asks() -> None:
    def unreadable() -> Sequence[PoolStatistics]:
        raise AssertionError

    Metrics().watch_pools(unreadable)


def test_two_drivers_of_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.of_method("/m").observe("OK", 0.5)
    assert value(samples(one), "csi_zfs_calls_total", method="/m", code="OK") == 1
    assert not any(sample.labels.get("method") for sample in samples(other))


def test_calls_are_counted_by_code() -> None:
    metrics = Metrics()
    method = metrics.of_method("/m")
    for code in ("OK", "OK", "ABORTED"):
        method.observe(code, 0.02)
    found = samples(metrics)
    assert value(found, "csi_zfs_calls_total", method="/m", code="OK") == 2
    assert value(found, "csi_zfs_calls_total", method="/m", code="ABORTED") == 1
    assert value(found, "csi_zfs_call_seconds_count", method="/m") == 3
    assert value(found, "csi_zfs_call_seconds_bucket", method="/m", le="0.025") == 3


def test_extents_are_counted_in_decades() -> None:
    metrics = Metrics()
    metrics.observe_extents(35_700)
    found = samples(metrics)
    assert value(found, "csi_zfs_source_extents_bucket", le="10000.0") == 0
    assert value(found, "csi_zfs_source_extents_bucket", le="100000.0") == 1


def test_in_flight_is_what_the_watched_count_says() -> None:
    metrics = Metrics()
    metrics.watch_in_flight(lambda: 3)
    assert value(samples(metrics), "csi_zfs_calls_in_flight") == 3
