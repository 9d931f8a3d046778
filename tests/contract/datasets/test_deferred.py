"""Contract of holds, and of a snapshot's deferred destroy: it goes when nobody needs it."""

import pytest

from csi_zfs.datasets.api import Dataset, HasDependentsError, NewDataset, SnapshotHeldError
from tests.contract.datasets.world import (
    SIZE_BYTES,
    changes_nothing,
    make,
    only_removes,
    take,
)
from tests.support.pools import PoolUnderTest

SNAP = "v/vol@snap"


@pytest.fixture
def uid(pool: PoolUnderTest) -> str:
    """The uid of a snapshot of v/vol."""
    make(pool, "v/vol", content=b"kept")
    take(pool, "v/vol@other")
    return take(pool, SNAP).uid


def clone_it(pool: PoolUnderTest, name: str = "v/clone") -> Dataset:
    return pool.manager.clone(SNAP, NewDataset(name, SIZE_BYTES))


def test_hold_is_listed_and_repeated_without_error(pool: PoolUnderTest, uid: str) -> None:
    for tag in ("one", "two", "one"):
        pool.manager.hold(SNAP, tag)
    snapshot = pool.manager.get_snapshot(SNAP)
    assert (snapshot.uid, snapshot.holds) == (uid, frozenset({"one", "two"}))
    assert pool.manager.get_snapshot("v/vol@other").holds == frozenset()


def test_release_of_missing_hold_is_no_error(pool: PoolUnderTest, uid: str) -> None:
    with changes_nothing(pool):
        pool.manager.release(SNAP, "never")


def test_destroy_snapshot_is_refused_until_every_hold_is_released(
    pool: PoolUnderTest, uid: str
) -> None:
    pool.manager.hold(SNAP, "one")
    pool.manager.hold(SNAP, "two")
    for tag in ("one", "two"):
        with changes_nothing(pool), pytest.raises(SnapshotHeldError):
            pool.manager.destroy_snapshot(SNAP, uid=uid)
        pool.manager.release(SNAP, tag)
    with only_removes(pool, SNAP):
        pool.manager.destroy_snapshot(SNAP, uid=uid)


def test_deferred_destroy_of_held_snapshot_waits_for_the_last_release(
    pool: PoolUnderTest, uid: str
) -> None:
    for tag in ("one", "two"):
        pool.manager.hold(SNAP, tag)
    pool.manager.destroy_snapshot(SNAP, uid=uid, is_deferred=True)
    pool.manager.release(SNAP, "one")
    assert pool.manager.get_snapshot(SNAP).is_deferred
    with only_removes(pool, SNAP):
        pool.manager.release(SNAP, "two")


def test_deferred_destroy_without_need_is_immediate(pool: PoolUnderTest, uid: str) -> None:
    with only_removes(pool, SNAP):
        pool.manager.destroy_snapshot(SNAP, uid=uid, is_deferred=True)


def test_destroy_of_cloned_snapshot_follows_features(pool: PoolUnderTest, uid: str) -> None:
    clone_it(pool)
    if pool.manager.features.dependent_clones:
        with changes_nothing(pool), pytest.raises(HasDependentsError):
            pool.manager.destroy_snapshot(SNAP, uid=uid)
    else:
        with only_removes(pool, SNAP):
            pool.manager.destroy_snapshot(SNAP, uid=uid)
    assert pool.read("v/clone", 4) == b"kept"


def test_deferred_destroy_of_cloned_snapshot_goes_with_the_last_clone(
    pool: PoolUnderTest, uid: str
) -> None:
    """rules.md A3: its space comes back without anybody asking again."""
    clones = [clone_it(pool, name) for name in ("v/one", "v/two")]
    pool.manager.destroy_snapshot(SNAP, uid=uid, is_deferred=True)
    waits = pool.manager.features.dependent_clones
    if waits:
        assert pool.manager.get_snapshot(SNAP).is_deferred
        pool.manager.destroy_snapshot(SNAP, uid=uid, is_deferred=True)  # repeated
    with only_removes(pool, "v/one"):
        pool.manager.destroy("v/one", uid=clones[0].uid)
    assert pool.read("v/two", 4) == b"kept"
    with only_removes(pool, "v/two", *([SNAP] if waits else [])):
        pool.manager.destroy("v/two", uid=clones[1].uid)


def test_deferred_destroy_waits_for_both_clones_and_holds(pool: PoolUnderTest, uid: str) -> None:
    clone = clone_it(pool)
    pool.manager.hold(SNAP, "tag")
    pool.manager.destroy_snapshot(SNAP, uid=uid, is_deferred=True)
    pool.manager.destroy("v/clone", uid=clone.uid)
    assert pool.manager.get_snapshot(SNAP).is_deferred
    with only_removes(pool, SNAP):
        pool.manager.release(SNAP, "tag")


def test_deferred_snapshot_still_keeps_its_dataset(pool: PoolUnderTest, uid: str) -> None:
    """rules.md A2, A3: a waiting snapshot is a dependent like any other."""
    other = pool.manager.get_snapshot("v/vol@other")
    pool.manager.destroy_snapshot(other.name, uid=other.uid)
    pool.manager.hold(SNAP, "tag")
    pool.manager.destroy_snapshot(SNAP, uid=uid, is_deferred=True)
    volume = pool.manager.get("v/vol")
    with changes_nothing(pool), pytest.raises(HasDependentsError):
        pool.manager.destroy("v/vol", uid=volume.uid)


def test_deferred_snapshot_survives_a_reopen(pool: PoolUnderTest, uid: str) -> None:
    """rules.md A3: a restart neither forgets the wait nor the destroy."""
    pool.manager.hold(SNAP, "tag")
    pool.manager.destroy_snapshot(SNAP, uid=uid, is_deferred=True)
    pool.reopen()
    assert pool.manager.get_snapshot(SNAP).is_deferred
    with only_removes(pool, SNAP):
        pool.manager.release(SNAP, "tag")
