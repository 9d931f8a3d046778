"""Contract of `rename` and `retire`: the data, the snapshots and who depends on them move along."""

import pytest

from csi_zfs.datasets.api import (
    DatasetBusyError,
    DatasetExistsError,
    DatasetNotFoundError,
    NewDataset,
)
from csi_zfs.datasets.names import tombstone_of
from tests.contract.datasets.world import (
    RECORD,
    SIZE_BYTES,
    changes_nothing,
    entries,
    make,
    plant_canaries,
    take,
    world,
)
from tests.support.pools import PoolUnderTest


def test_rename_carries_data_snapshots_holds_and_records(pool: PoolUnderTest) -> None:
    uid = make(pool, "v/old", content=b"kept").uid
    pool.manager.set_user_properties("v/old", {RECORD: "{}"})
    snapshots = [take(pool, f"v/old@{leaf}") for leaf in ("one", "two")]
    pool.manager.hold("v/old@one", "tag")
    renamed = pool.manager.rename("v/old", "v/new")
    assert (renamed.name, renamed.uid) == ("v/new", uid)
    assert renamed == pool.manager.get("v/new")
    assert renamed.user_properties == {RECORD: "{}"}
    assert world(pool).keys() == {"v/new", "v/new@one", "v/new@two"}
    assert pool.manager.get_snapshot("v/new@two").uid == snapshots[1].uid
    assert pool.manager.get_snapshot("v/new@one").holds == {"tag"}
    assert pool.read("v/new", 4) == b"kept"


def test_rename_moves_nothing_beside_it(pool: PoolUnderTest) -> None:
    """rules.md A2: names that begin alike stay."""
    plant_canaries(pool, "v/vol")
    before = world(pool)
    make(pool, "v/vol", content=b"moved")
    take(pool, "v/vol@snap")
    pool.manager.rename("v/vol", "v/elsewhere")
    after = world(pool)
    assert after.keys() - before.keys() == {"v/elsewhere", "v/elsewhere@snap"}
    assert {name: after[name] for name in before} == before


def test_rename_carries_the_origin_of_clones(pool: PoolUnderTest) -> None:
    make(pool, "v/old", content=b"kept")
    take(pool, "v/old@snap")
    pool.manager.clone("v/old@snap", NewDataset("v/clone", SIZE_BYTES))
    pool.manager.rename("v/old", "v/new")
    origin = pool.manager.get("v/clone").origin
    assert origin == ("v/new@snap" if pool.manager.features.dependent_clones else "")
    assert pool.read("v/clone", 4) == b"kept"


def test_rename_of_clone_keeps_its_origin(pool: PoolUnderTest) -> None:
    make(pool, "v/a")
    take(pool, "v/a@snap")
    clone = pool.manager.clone("v/a@snap", NewDataset("v/clone", SIZE_BYTES))
    assert pool.manager.rename("v/clone", "v/new").origin == clone.origin


def test_rename_to_taken_name_is_exists_error(pool: PoolUnderTest) -> None:
    make(pool, "v/a", content=b"a")
    make(pool, "v/b", content=b"b")
    with changes_nothing(pool), pytest.raises(DatasetExistsError):
        pool.manager.rename("v/a", "v/b")


def test_retire_to_taken_name_is_exists_error(pool: PoolUnderTest) -> None:
    uid = make(pool, "v/a", content=b"a").uid
    make(pool, tombstone_of(uid), content=b"another")
    with changes_nothing(pool), pytest.raises(DatasetExistsError):
        pool.manager.retire("v/a", tombstone_of(uid))
    assert pool.read(tombstone_of(uid), 7) == b"another"


def test_retire_of_open_dataset_is_busy(pool: PoolUnderTest) -> None:
    """rules.md B4: data that somebody writes is not thrown away below them."""
    uid = make(pool, "v/a", content=b"kept").uid
    take(pool, "v/a@snap")
    with changes_nothing(pool), pool.in_use("v/a"), pytest.raises(DatasetBusyError):
        pool.manager.retire("v/a", tombstone_of(uid))


def test_renamed_dataset_leaves_its_name_free(pool: PoolUnderTest) -> None:
    make(pool, "v/a", content=b"first")
    take(pool, "v/a@snap")
    pool.manager.rename("v/a", "v/b")
    with pytest.raises(DatasetNotFoundError):
        pool.manager.get("v/a")
    make(pool, "v/a", content=b"other")
    take(pool, "v/a@snap")
    assert pool.read("v/b", 5) == b"first"


def test_retire_keeps_snapshots_and_clones_whole(pool: PoolUnderTest) -> None:
    """rules.md A3: a snapshot outlives its volume, byte for byte."""
    uid = make(pool, "v/vol", content=b"snapshotted").uid
    snapshot = take(pool, "v/vol@snap")
    pool.write("v/vol", b"vol changed")
    pool.manager.clone("v/vol", NewDataset("v/clone", SIZE_BYTES))
    retired = pool.manager.retire("v/vol", tombstone_of(uid))
    assert (retired.name, retired.uid) == (tombstone_of(uid), uid)
    assert retired == pool.manager.get(tombstone_of(uid))
    moved = pool.manager.get_snapshot(f"{tombstone_of(uid)}@snap")
    assert (moved.uid, moved.created_ns) == (snapshot.uid, snapshot.created_ns)
    assert moved.size_bytes == SIZE_BYTES
    pool.manager.clone(moved.name, NewDataset("v/restored", SIZE_BYTES))
    assert pool.read("v/restored", 11) == b"snapshotted"
    assert pool.read("v/clone", 11) == b"vol changed"


def test_retire_repeated_finishes_and_changes_nothing_more(pool: PoolUnderTest) -> None:
    """rules.md B1: after a crash the caller just repeats it."""
    uid = make(pool, "v/vol").uid
    take(pool, "v/vol@snap")
    first = pool.manager.retire("v/vol", tombstone_of(uid))
    with changes_nothing(pool):
        assert pool.manager.retire("v/vol", tombstone_of(uid)) == first


def test_retire_leaves_its_name_free(pool: PoolUnderTest) -> None:
    uid = make(pool, "v/vol", content=b"first").uid
    take(pool, "v/vol@snap")
    pool.manager.retire("v/vol", tombstone_of(uid))
    make(pool, "v/vol", content=b"other")
    take(pool, "v/vol@snap")
    assert len(entries(pool.manager)) == 4


def test_retire_gives_back_what_a_thick_volume_was_promised(pool: PoolUnderTest) -> None:
    """rules.md A13: from then on only its snapshots count."""
    uid = pool.manager.create(NewDataset("v/vol", SIZE_BYTES, is_thick=True)).uid
    take(pool, "v/vol@snap")
    before = pool.manager.capacity().admissible_thin_bytes
    pool.manager.retire("v/vol", tombstone_of(uid))
    assert pool.manager.capacity().admissible_thin_bytes - before >= SIZE_BYTES


def test_retired_dataset_can_be_destroyed_once_its_snapshots_are(pool: PoolUnderTest) -> None:
    uid = make(pool, "v/vol").uid
    snapshot = take(pool, "v/vol@snap")
    pool.manager.retire("v/vol", tombstone_of(uid))
    pool.manager.destroy_snapshot(f"{tombstone_of(uid)}@snap", uid=snapshot.uid)
    pool.manager.destroy(tombstone_of(uid), uid=uid)
    assert entries(pool.manager) == {}
