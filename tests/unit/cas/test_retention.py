"""Retention at the edges of the calendar; on random series: tests/property/test_retention.py."""

from datetime import UTC, datetime

import pytest

from csi_zfs.cas.api import DIGEST_BYTES, Manifest, ManifestKind, Root
from csi_zfs.cas.retention import NothingKeptError, Policy, by_label, kept


def made(time: str, number: int = 0, **labels: str) -> Manifest:
    moment = datetime.fromisoformat(time).replace(tzinfo=UTC)
    return Manifest(
        manifest_id=f"{time} {number}",
        domain="default",
        created_ns=int(moment.timestamp()) * 1_000_000_000,
        root=Root(
            kind=ManifestKind.TREE, size_bytes=0, tree_digest=bytes(DIGEST_BYTES), labels=labels
        ),
    )


def times(times_of: list[str], policy: Policy) -> list[str]:
    return sorted(one.removesuffix(" 0") for one in kept(map(made, times_of), policy))


def test_day_ends_at_midnight_utc() -> None:
    days = ["2026-03-01T23:59:59", "2026-03-02T00:00:00", "2026-03-02T00:00:01"]

    assert times(days, Policy(daily=2)) == [days[0], days[2]]


def test_week_begins_on_monday_also_across_the_year() -> None:
    """Thursday to Sunday are of the week of 2025-12-29."""
    days = ["2025-12-28T12:00:00", "2025-12-29T12:00:00", "2026-01-01T12:00:00"]
    days += ["2026-01-04T12:00:00", "2026-01-05T12:00:00"]

    assert times(days, Policy(weekly=9)) == [days[0], days[3], days[4]]


def test_periods_without_a_manifest_do_not_count() -> None:
    days = ["2020-01-01T00:00:00", "2023-01-01T00:00:00", "2026-01-01T00:00:00"]

    assert times(days, Policy(monthly=2)) == days[1:]
    assert times(days, Policy(hourly=3)) == days


def test_of_two_of_the_same_time_the_higher_id_is_newer() -> None:
    both = [made("2026-01-01T00:00:00", number) for number in (1, 0)]

    assert kept(both, Policy(last=1)) == {both[0].manifest_id: ["last"]}


def test_newest_stays_when_no_rule_wants_it() -> None:
    """A rule always wants it today; that it stays does not hang on that."""
    assert kept([], Policy(daily=1)) == {}
    one = made("2026-01-01T00:00:00")
    assert kept([one], Policy(daily=1)) == {one.manifest_id: ["newest", "daily"]}


@pytest.mark.parametrize("counts", [{}, {"daily": 0}, {"daily": 1, "last": -1}])
def test_policy_that_keeps_nothing_is_refused(counts: dict[str, int]) -> None:
    with pytest.raises(NothingKeptError):
        Policy(**counts)


def test_series_are_the_values_of_a_label() -> None:
    one, other = made("2026-01-01T00:00:00", of="disk"), made("2026-01-02T00:00:00")

    assert by_label([one, other], "of") == {"disk": [one], "": [other]}
