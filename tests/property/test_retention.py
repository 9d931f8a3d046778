"""Retention against the words of its policy, on random series."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from csi_zfs.cas.api import DIGEST_BYTES, Manifest, ManifestKind, Root
from csi_zfs.cas.retention import Policy, kept

NS = 1_000_000_000
START = datetime(2026, 1, 1, tzinfo=UTC)
ROOT = Root(kind=ManifestKind.TREE, size_bytes=0, tree_digest=bytes(DIGEST_BYTES))
COUNTS = st.integers(0, 5)
FORMATS = {"hourly": "%Y-%m-%d %H", "daily": "%Y-%m-%d", "weekly": "%G-%V", "monthly": "%Y-%m"}


def manifests(offsets_s: list[int]) -> list[Manifest]:
    start_ns = int(START.timestamp()) * NS
    return [
        Manifest(
            manifest_id=f"{number:032x}",
            domain="default",
            created_ns=start_ns + offset_s * NS + number % 7,
            root=ROOT,
        )
        for number, offset_s in enumerate(offsets_s)
    ]


def series() -> st.SearchStrategy[list[Manifest]]:
    """Some of one time, some hours or months apart, in any order."""
    offsets = st.one_of(
        st.integers(0, 3 * 365 * 86400), st.integers(0, 9).map(lambda number: number * 3600)
    )
    return st.lists(offsets, max_size=40).map(manifests)


def policies() -> st.SearchStrategy[Policy]:
    return (
        st.tuples(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
        .filter(any)
        .map(lambda counts: Policy(**dict(zip(("last", *FORMATS), counts, strict=True))))
    )


def ordered(some: list[Manifest]) -> list[Manifest]:
    return sorted(some, key=lambda one: (one.created_ns, one.manifest_id))


def text_of(manifest: Manifest, form: str) -> str:
    return (START + timedelta(seconds=_since_start_s(manifest))).strftime(form)


def _since_start_s(manifest: Manifest) -> int:
    return manifest.created_ns // NS - int(START.timestamp())


@given(series(), policies())
def test_newest_stays_and_so_do_the_last_ones(some: list[Manifest], policy: Policy) -> None:
    stays = kept(some, policy)

    last = ordered(some)[-max(policy.last, 1) :]
    assert {one.manifest_id for one in last} <= stays.keys()


@given(series(), policies())
def test_newest_of_each_of_the_last_periods_stays(some: list[Manifest], policy: Policy) -> None:
    """Never more is removed than asked: each rule by itself finds what it wants."""
    stays = kept(some, policy)

    for name, form in FORMATS.items():
        newest = {text_of(one, form): one.manifest_id for one in ordered(some)}
        count = getattr(policy, name)
        wanted = [newest[period] for period in sorted(newest, reverse=True)[:count]]
        assert set(wanted) == {one for one, reasons in stays.items() if name in reasons}


@given(series(), policies())
def test_no_more_stays_than_the_rules_say(some: list[Manifest], policy: Policy) -> None:
    counts = [policy.last, policy.hourly, policy.daily, policy.weekly, policy.monthly]

    stays = kept(some, policy)

    assert len(stays) <= max(sum(counts), 1) + (0 if policy.last else 1)
    assert all(reasons for reasons in stays.values())
    assert stays.keys() <= {one.manifest_id for one in some}


@given(series(), policies())
def test_order_of_the_list_does_not_matter_and_a_second_run_removes_nothing(
    some: list[Manifest], policy: Policy
) -> None:
    stays = kept(some, policy)

    assert kept(some[::-1], policy) == stays
    left = [one for one in some if one.manifest_id in stays]
    assert kept(left, policy).keys() == stays.keys()
