"""Contract of `heir_of` and `promote`: a deleted volume gives a clone its snapshots, and goes."""

import os
from dataclasses import replace

import pytest

from csi_zfs.datasets.api import (
    DatasetExistsError,
    DatasetNotFoundError,
    HasDependentsError,
    NewDataset,
    SnapshotHeldError,
)
from csi_zfs.datasets.names import tombstone_of
from csi_zfs.domain.errors import InvalidRequestError, OperationPendingError
from csi_zfs.domain.sizes import MIB
from tests.contract.datasets.world import SIZE_BYTES, changes_nothing, entries, make, take, world
from tests.support.pools import PoolUnderTest

# More than any mount or unmount writes, and it does not compress.
MUCH = os.urandom(2 * MIB)


@pytest.fixture
def pool(pool: PoolUnderTest) -> PoolUnderTest:
    if not pool.manager.features.dependent_clones:
        pytest.skip("no clone of this pool depends on anything")
    return pool


def make_family(pool: PoolUnderTest) -> None:
    """A volume with two snapshots, and a clone of the second, with a snapshot of its own."""
    make(pool, "v/vol", content=b"first")
    take(pool, "v/vol@one")
    pool.write("v/vol", b"second")
    take(pool, "v/vol@two")
    pool.manager.clone("v/vol@two", NewDataset("v/clone", SIZE_BYTES))
    take(pool, "v/clone@own")


def bury(pool: PoolUnderTest, name: str, *, written: bytes = b"") -> str:
    """Write into a volume, and retire it; returns the tombstone's name."""
    if written:
        pool.write(name, written)
    tombstone_name = tombstone_of(pool.manager.get(name).uid)
    return pool.manager.retire(name, tombstone_name).name


def restored(pool: PoolUnderTest, snapshot_name: str) -> bytes:
    """How the data of a snapshot begins."""
    made = pool.manager.clone(snapshot_name, NewDataset("v/restored", SIZE_BYTES))
    content = pool.read(made.name, 6)
    pool.manager.destroy(made.name, uid=made.uid)
    return content


def test_promote_moves_the_snapshots_and_frees_the_tombstone(pool: PoolUnderTest) -> None:
    """rules.md A2, A3: with their uids, records, holds and data; the canary stays as it is."""
    make(pool, "v/canary", content=b"canary")
    take(pool, "v/canary@one")
    make_family(pool)
    pool.manager.hold("v/vol@one", "tag")
    tombstone_name = bury(pool, "v/vol", written=MUCH)
    before, clone = entries(pool.manager), pool.manager.get("v/clone")
    assert pool.manager.heir_of(tombstone_name) == "v/clone"
    pool.manager.promote("v/clone", over=tombstone_name)
    pool.manager.destroy(tombstone_name, uid=before[tombstone_name].uid)
    left = entries(pool.manager)
    moved = {"v/clone@one": f"{tombstone_name}@one", "v/clone@two": f"{tombstone_name}@two"}
    assert left.keys() == {"v/canary", "v/canary@one", "v/clone", "v/clone@own", *moved}
    for new_name, name in moved.items():
        assert left[new_name] == replace(before[name], name=new_name)
    assert left["v/clone"] == replace(clone, origin="")
    assert (restored(pool, "v/clone@one")[:5], restored(pool, "v/clone@two")) == (
        b"first",
        b"second",
    )
    assert pool.read("v/clone", 6) == b"second"
    assert pool.read("v/canary", 6) == b"canary"


def test_promote_turns_the_dependence_round_until_the_tombstone_is_destroyed(
    pool: PoolUnderTest,
) -> None:
    """rules.md B1: what a crash in between leaves, as told by `get` and by lists."""
    make_family(pool)
    other = pool.manager.clone("v/vol@one", NewDataset("v/other", SIZE_BYTES))
    tombstone_name = bury(pool, "v/vol", written=MUCH)
    pool.manager.promote("v/clone", over=tombstone_name)
    pool.reopen()
    listed = {one.name: one for one in entries(pool.manager).values() if "@" not in one.name}
    for name, origin in (
        (tombstone_name, "v/clone@two"),
        ("v/clone", ""),
        (other.name, "v/clone@one"),
    ):
        assert pool.manager.get(name).origin == origin
        assert listed[name] == pool.manager.get(name)
    assert pool.manager.heir_of(tombstone_name) == ""
    with changes_nothing(pool), pytest.raises(HasDependentsError):
        pool.manager.destroy("v/clone", uid=listed["v/clone"].uid)


def test_heir_of_unchanged_tombstone_is_none(pool: PoolUnderTest) -> None:
    """Its head has nothing that the snapshot has not: to move that one would free nothing."""
    make_family(pool)
    assert pool.manager.heir_of(bury(pool, "v/vol")) == ""


def test_heir_of_tombstone_whose_youngest_snapshot_has_no_clone_is_none(
    pool: PoolUnderTest,
) -> None:
    make_family(pool)
    take(pool, "v/vol@three")
    assert pool.manager.heir_of(bury(pool, "v/vol", written=MUCH)) == ""


def test_heir_of_tombstone_without_snapshots_is_none(pool: PoolUnderTest) -> None:
    make(pool, "v/vol")
    assert pool.manager.heir_of(bury(pool, "v/vol", written=MUCH)) == ""


def test_heir_is_a_living_clone_and_always_the_same(pool: PoolUnderTest) -> None:
    make_family(pool)
    for name in ("v/a", "v/b", "v/c"):
        pool.manager.clone("v/vol@two", NewDataset(name, SIZE_BYTES))
    take(pool, "v/a@keeps")
    bury(pool, "v/a")
    assert pool.manager.heir_of(bury(pool, "v/vol", written=MUCH)) == "v/b"


def test_heir_is_another_tombstone_where_nothing_else_lives(pool: PoolUnderTest) -> None:
    make_family(pool)
    heir_name = bury(pool, "v/clone")
    assert pool.manager.heir_of(bury(pool, "v/vol", written=MUCH)) == heir_name


def test_snapshot_that_waits_for_its_only_clone_goes_with_the_tombstone(
    pool: PoolUnderTest,
) -> None:
    """rules.md A3: what the clone changed of it is free, though nobody wrote to the head."""
    before = world(pool)
    make(pool, "v/vol", content=b"kept")
    clone = pool.manager.clone("v/vol", NewDataset("v/clone", SIZE_BYTES))
    tombstone_name = bury(pool, "v/vol")
    assert pool.manager.heir_of(tombstone_name) == clone.name
    pool.manager.promote(clone.name, over=tombstone_name)
    tombstone = pool.manager.get(tombstone_name)
    pool.manager.destroy(tombstone_name, uid=tombstone.uid)
    assert entries(pool.manager).keys() == {clone.name}
    assert pool.read(clone.name, 4) == b"kept"
    pool.manager.destroy(clone.name, uid=clone.uid)
    assert world(pool) == before


def test_snapshot_that_waits_for_more_than_a_clone_is_not_worth_a_promote(
    pool: PoolUnderTest,
) -> None:
    make(pool, "v/vol", content=b"kept")
    snapshot = take(pool, "v/vol@snap")
    for name in ("v/a", "v/b"):
        pool.manager.clone("v/vol@snap", NewDataset(name, SIZE_BYTES))
    pool.manager.destroy_snapshot("v/vol@snap", uid=snapshot.uid, is_deferred=True)
    tombstone_name = bury(pool, "v/vol")
    assert pool.manager.heir_of(tombstone_name) == ""
    pool.manager.destroy("v/a", uid=pool.manager.get("v/a").uid)
    pool.manager.hold(f"{tombstone_name}@snap", "tag")
    assert pool.manager.heir_of(tombstone_name) == ""
    pool.manager.release(f"{tombstone_name}@snap", "tag")
    assert pool.manager.heir_of(tombstone_name) == "v/b"


def test_moved_snapshot_is_held_renamed_and_destroyed_as_before(pool: PoolUnderTest) -> None:
    """rules.md A3."""
    make_family(pool)
    uid = pool.manager.get_snapshot("v/vol@one").uid
    pool.manager.hold("v/vol@one", "tag")
    pool.manager.promote("v/clone", over=bury(pool, "v/vol", written=MUCH))
    with changes_nothing(pool), pytest.raises(SnapshotHeldError):
        pool.manager.destroy_snapshot("v/clone@one", uid=uid)
    pool.manager.release("v/clone@one", "tag")
    pool.manager.rename_snapshot("v/clone@one", "v/clone@renamed")
    pool.manager.destroy_snapshot("v/clone@renamed", uid=uid)
    with pytest.raises(DatasetNotFoundError):
        pool.manager.get_snapshot("v/clone@renamed")


def test_promote_over_snapshots_of_the_same_name_changes_nothing(pool: PoolUnderTest) -> None:
    make_family(pool)
    take(pool, "v/clone@one")
    tombstone_name = bury(pool, "v/vol", written=MUCH)
    with changes_nothing(pool), pytest.raises(DatasetExistsError):
        pool.manager.promote("v/clone", over=tombstone_name)


def test_promote_of_what_depends_on_another_changes_nothing(pool: PoolUnderTest) -> None:
    """rules.md B1: a repeated one moves nothing further."""
    make_family(pool)
    pool.manager.clone("v/clone@own", NewDataset("v/second", SIZE_BYTES))
    tombstone_name = bury(pool, "v/vol", written=MUCH)
    with changes_nothing(pool), pytest.raises(OperationPendingError):
        pool.manager.promote("v/second", over=tombstone_name)
    pool.manager.promote("v/clone", over=tombstone_name)
    with changes_nothing(pool), pytest.raises(OperationPendingError):
        pool.manager.promote("v/clone", over=tombstone_name)


def test_promote_and_heir_of_missing_ones_are_not_found(pool: PoolUnderTest) -> None:
    make_family(pool)
    tombstone_name = bury(pool, "v/vol")
    with changes_nothing(pool), pytest.raises(DatasetNotFoundError):
        pool.manager.promote("v/none", over=tombstone_name)
    with pytest.raises(DatasetNotFoundError):
        pool.manager.heir_of(tombstone_of("0123456789abcdef"))


def test_promote_over_a_living_volume_is_refused(pool: PoolUnderTest) -> None:
    make_family(pool)
    with changes_nothing(pool), pytest.raises(InvalidRequestError):
        pool.manager.promote("v/clone", over="v/vol")
    with pytest.raises(InvalidRequestError):
        pool.manager.heir_of("v/vol")
