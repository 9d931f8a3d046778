"""What was read a moment ago serves the change that follows, once, and no later one."""

from dataclasses import replace

import pytest

from csi_zfs.datasets.api import Dataset, DatasetKind
from csi_zfs.zfs.recent import Read, RecentReads
from tests.support.clock import FakeClock

DATASET = Dataset(
    "v/a", "0123456789abcdef", DatasetKind.ZVOL, 1 << 20, is_thick=False, created_ns=1
)
READ = Read(DATASET, "record")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def recent(clock: FakeClock) -> RecentReads:
    return RecentReads(clock)


def test_what_was_read_serves_once(recent: RecentReads) -> None:
    recent.remember(READ)
    assert recent.take("v/b") is None
    assert recent.take("v/a") == READ
    assert recent.take("v/a") is None


def test_what_was_read_last_counts(recent: RecentReads) -> None:
    recent.remember(READ)
    later = Read(replace(DATASET, size_bytes=2 << 20), "larger")
    recent.remember(later)
    assert recent.take("v/a") == later


def test_what_was_read_earlier_is_read_again(recent: RecentReads, clock: FakeClock) -> None:
    recent.remember(READ)
    clock.advance(1.5)
    assert recent.take("v/a") is None


def test_only_so_much_is_remembered(recent: RecentReads) -> None:
    for number in range(1000):
        recent.remember(Read(replace(DATASET, name=f"v/{number}")))
    kept = [number for number in range(1000) if recent.take(f"v/{number}") is not None]
    assert kept == list(range(1000 - len(kept), 1000))
    assert len(kept) == 256
