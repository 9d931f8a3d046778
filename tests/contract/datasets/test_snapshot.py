"""Contract of `snapshot` and `rename_snapshot`: one or many, all at one instant or none."""

import pytest

from csi_zfs.datasets.api import (
    DatasetExistsError,
    DatasetNotFoundError,
    NewDataset,
    NewSnapshot,
)
from tests.contract.datasets.world import (
    RECORD,
    SIZE_BYTES,
    changes_nothing,
    entries,
    make,
    take,
    world,
)
from tests.support.pools import PoolUnderTest

NAMES = ("v/a@snap", "v/b@snap", "v/c@snap")


def make_three(pool: PoolUnderTest) -> None:
    for name in ("v/a", "v/b", "v/c"):
        make(pool, name, content=name.encode())


def test_snapshot_returns_what_get_snapshot_reads(pool: PoolUnderTest) -> None:
    dataset = pool.manager.create(NewDataset("v/a", SIZE_BYTES, is_thick=True))
    new = NewSnapshot("v/a@snap", user_properties={RECORD: "{}"})
    [snapshot] = pool.manager.snapshot([new])
    assert pool.manager.get_snapshot("v/a@snap") == snapshot
    assert snapshot.user_properties == {RECORD: "{}"}
    assert (snapshot.size_bytes, snapshot.is_thick) == (SIZE_BYTES, True)
    assert snapshot.kind is dataset.kind
    assert snapshot.holds == frozenset()
    assert not snapshot.is_deferred
    assert len(snapshot.uid) == 16
    assert snapshot.uid != dataset.uid
    assert snapshot.created_ns >= dataset.created_ns


def test_snapshot_size_stays_when_its_dataset_grows(pool: PoolUnderTest) -> None:
    """rules.md B2: what is restored needs the size of that instant."""
    make(pool, "v/a")
    snapshot = take(pool, "v/a@snap")
    pool.manager.resize("v/a", 2 * SIZE_BYTES)
    assert pool.manager.get_snapshot("v/a@snap") == snapshot
    assert take(pool, "v/a@later").size_bytes == 2 * SIZE_BYTES


def test_group_snapshot_is_in_the_order_asked_and_of_one_instant(pool: PoolUnderTest) -> None:
    make_three(pool)
    names = ("v/c@snap", "v/a@snap", "v/b@snap")
    new = [NewSnapshot(name, user_properties={RECORD: name}) for name in names]
    snapshots = pool.manager.snapshot(new)
    assert [snapshot.name for snapshot in snapshots] == list(names)
    assert [snapshot.user_properties for snapshot in snapshots] == [{RECORD: n} for n in names]
    assert len({snapshot.created_ns for snapshot in snapshots}) == 1
    assert len({snapshot.uid for snapshot in snapshots}) == 3
    assert [pool.manager.get_snapshot(name) for name in names] == list(snapshots)


@pytest.mark.parametrize("missing", ["v/a", "v/b", "v/c"])
def test_group_snapshot_with_one_missing_source_makes_none(
    pool: PoolUnderTest, missing: str
) -> None:
    make_three(pool)
    pool.manager.destroy(missing, uid=pool.manager.get(missing).uid)
    with changes_nothing(pool), pytest.raises(DatasetNotFoundError):
        pool.manager.snapshot([NewSnapshot(name) for name in NAMES])


@pytest.mark.parametrize("taken", NAMES)
def test_group_snapshot_with_one_taken_name_makes_none(pool: PoolUnderTest, taken: str) -> None:
    make_three(pool)
    take(pool, taken)
    with changes_nothing(pool), pytest.raises(DatasetExistsError):
        pool.manager.snapshot([NewSnapshot(name) for name in NAMES])


def test_snapshot_to_taken_name_keeps_the_first(pool: PoolUnderTest) -> None:
    """rules.md B1: a repeated call cannot replace the data of the first."""
    make(pool, "v/a", content=b"first")
    take(pool, "v/a@snap")
    pool.write("v/a", b"other")
    with pytest.raises(DatasetExistsError):
        pool.manager.snapshot([NewSnapshot("v/a@snap")])
    pool.manager.clone("v/a@snap", NewDataset("v/clone", SIZE_BYTES))
    assert pool.read("v/clone", 5) == b"first"


def test_snapshots_of_equal_leaf_in_two_datasets_are_told_apart(pool: PoolUnderTest) -> None:
    make_three(pool)
    assert take(pool, "v/a@snap").uid != take(pool, "v/b@snap").uid


def test_snapshot_with_48_byte_leaves_works(pool: PoolUnderTest) -> None:
    leaf = "a" * 48
    make(pool, f"v/{leaf}")
    snapshot = take(pool, f"v/{leaf}@{leaf}")
    assert pool.manager.get_snapshot(snapshot.name) == snapshot


def test_rename_snapshot_changes_nothing_but_the_name(pool: PoolUnderTest) -> None:
    make(pool, "v/a", content=b"first")
    before = take(pool, "v/a@snap")
    take(pool, "v/a@snap-1")
    pool.manager.hold("v/a@snap", "tag")
    renamed = pool.manager.rename_snapshot("v/a@snap", "v/a@D-0123456789abcdef")
    assert renamed == pool.manager.get_snapshot("v/a@D-0123456789abcdef")
    assert (renamed.uid, renamed.created_ns) == (before.uid, before.created_ns)
    assert renamed.holds == {"tag"}
    assert world(pool).keys() == {"v/a", "v/a@D-0123456789abcdef", "v/a@snap-1"}
    pool.manager.clone("v/a@D-0123456789abcdef", NewDataset("v/clone", SIZE_BYTES))
    assert pool.read("v/clone", 5) == b"first"


def test_rename_snapshot_carries_the_origin_of_clones(pool: PoolUnderTest) -> None:
    make(pool, "v/a")
    take(pool, "v/a@snap")
    pool.manager.clone("v/a@snap", NewDataset("v/clone", SIZE_BYTES))
    pool.manager.rename_snapshot("v/a@snap", "v/a@new")
    origin = pool.manager.get("v/clone").origin
    assert origin == ("v/a@new" if pool.manager.features.dependent_clones else "")


def test_rename_snapshot_to_taken_name_is_exists_error(pool: PoolUnderTest) -> None:
    make(pool, "v/a")
    take(pool, "v/a@snap")
    take(pool, "v/a@taken")
    with changes_nothing(pool), pytest.raises(DatasetExistsError):
        pool.manager.rename_snapshot("v/a@snap", "v/a@taken")


def test_list_snapshots_equals_get_snapshot(pool: PoolUnderTest) -> None:
    make_three(pool)
    pool.manager.snapshot([NewSnapshot(name) for name in NAMES])
    found = {name: entry for name, entry in entries(pool.manager).items() if "@" in name}
    assert found == {name: pool.manager.get_snapshot(name) for name in NAMES}
