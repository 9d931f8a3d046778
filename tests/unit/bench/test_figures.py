"""Percentiles, rates and verdicts."""

import pytest

from tests.bench.figures import Batch, Figure, Series, Target, percentile

AT_MOST_2, AT_LEAST_HALF = Target(2.0), Target(0.5, is_floor=True)


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1), (1, 1), (50, 50), (99, 99), (99.5, 100), (100, 100)]
)
def test_percentile_of_a_hundred_values_is_the_value_of_that_rank(
    percent: float, expected: float
) -> None:
    shuffled = [(number * 37) % 101 for number in range(1, 101)]

    assert percentile(shuffled, percent) == expected


def test_percentile_of_one_value_is_that_value() -> None:
    assert [percentile([7], percent) for percent in (1, 50, 99)] == [7, 7, 7]


def test_median_over_batches_counts_every_call() -> None:
    series = Series()
    series.add(Batch([1_000_000_000] * 3, 3.0))
    series.add(Batch([2_000_000_000] * 2, 4.0))

    assert series.p50_s == 1.0


def test_rate_of_a_series_is_that_of_the_median_batch() -> None:
    slow, usual, fast = Batch([1] * 10, 10.0), Batch([1] * 10, 1.0), Batch([1] * 10, 0.5)

    assert Series([slow, fast, usual]).rate == usual.rate == 10.0


def test_batch_in_turn_lasts_as_long_as_its_calls_together() -> None:
    batch = Batch.in_turn([1_000_000_000, 3_000_000_000])

    assert (batch.seconds, batch.rate) == (4.0, 0.5)


@pytest.mark.parametrize(
    ("target", "ratio", "verdict"),
    [
        (AT_MOST_2, 1.9, "ok"),
        (AT_MOST_2, 2.0, "ok"),
        (AT_MOST_2, 2.1, "missed"),
        (AT_LEAST_HALF, 0.6, "ok"),
        (AT_LEAST_HALF, 0.5, "ok"),
        (AT_LEAST_HALF, 0.4, "missed"),
    ],
)
def test_verdict_of_a_ratio_is_by_its_side_of_the_limit(
    target: Target, ratio: float, verdict: str
) -> None:
    assert Figure("what", "measured", "beside", ratio, target).verdict == verdict


def test_target_as_text_says_its_side() -> None:
    assert [str(AT_MOST_2), str(AT_LEAST_HALF)] == ["≤ 2", "≥ 0.5"]
