"""Contract of `destroy` and `destroy_snapshot`: exactly one thing, of this name and this uid."""

import pytest

from csi_zfs.datasets.api import (
    DatasetBusyError,
    DatasetNotFoundError,
    HasDependentsError,
    NewDataset,
    UnsupportedFeatureError,
)
from csi_zfs.datasets.names import tombstone_of
from tests.contract.datasets.world import (
    SIZE_BYTES,
    changes_nothing,
    make,
    only_removes,
    plant_canaries,
    take,
)
from tests.support.pools import PoolUnderTest

OTHER_UID = "0123456789abcdef"


def test_destroy_removes_exactly_the_dataset(pool: PoolUnderTest) -> None:
    """rules.md A2: siblings, names that begin alike and their snapshots stay."""
    plant_canaries(pool, "v/vol")
    uid = make(pool, "v/vol", content=b"gone").uid
    with only_removes(pool, "v/vol"):
        pool.manager.destroy("v/vol", uid=uid)
    with pytest.raises(DatasetNotFoundError):
        pool.manager.get("v/vol")


def test_destroy_with_another_uid_touches_nothing(pool: PoolUnderTest) -> None:
    """rules.md A2: a late call for an older volume of this name."""
    make(pool, "v/vol", content=b"kept")
    with changes_nothing(pool), pytest.raises(DatasetNotFoundError):
        pool.manager.destroy("v/vol", uid=OTHER_UID)


def test_destroy_twice_is_not_found(pool: PoolUnderTest) -> None:
    """rules.md B3: the caller makes success of it."""
    uid = make(pool, "v/vol").uid
    pool.manager.destroy("v/vol", uid=uid)
    with pytest.raises(DatasetNotFoundError):
        pool.manager.destroy("v/vol", uid=uid)


def test_destroy_with_snapshots_is_refused(pool: PoolUnderTest) -> None:
    """rules.md A2: there is no recursion."""
    uid = make(pool, "v/vol", content=b"kept").uid
    take(pool, "v/vol@snap")
    with changes_nothing(pool), pytest.raises(HasDependentsError):
        pool.manager.destroy("v/vol", uid=uid)


def test_destroy_of_open_dataset_is_busy(pool: PoolUnderTest) -> None:
    """rules.md B4: a volume that is in use somewhere is not pulled away."""
    uid = make(pool, "v/vol", content=b"kept").uid
    with changes_nothing(pool), pool.in_use("v/vol"), pytest.raises(DatasetBusyError):
        pool.manager.destroy("v/vol", uid=uid)
    pool.manager.destroy("v/vol", uid=uid)


def test_destroy_of_cloned_dataset_follows_features(pool: PoolUnderTest) -> None:
    """A clone of a live dataset needs it on OpenZFS, and only there."""
    uid = make(pool, "v/vol", content=b"kept").uid
    pool.manager.clone("v/vol", NewDataset("v/clone", SIZE_BYTES))
    if pool.manager.features.dependent_clones:
        with changes_nothing(pool), pytest.raises(HasDependentsError):
            pool.manager.destroy("v/vol", uid=uid)
    else:
        with only_removes(pool, "v/vol"):
            pool.manager.destroy("v/vol", uid=uid)
    assert pool.read("v/clone", 4) == b"kept"


def test_promote_where_no_clone_depends_is_unsupported(pool: PoolUnderTest) -> None:
    """test_promote.py has the rest."""
    if pool.manager.features.dependent_clones:
        return
    uid = make(pool, "v/vol").uid
    take(pool, "v/vol@snap")
    pool.manager.clone("v/vol@snap", NewDataset("v/clone", SIZE_BYTES))
    tombstone_name = pool.manager.retire("v/vol", tombstone_of(uid)).name
    assert pool.manager.heir_of(tombstone_name) == ""
    with changes_nothing(pool), pytest.raises(UnsupportedFeatureError):
        pool.manager.promote("v/clone", over=tombstone_name)


def test_destroy_of_clone_leaves_its_source_whole(pool: PoolUnderTest) -> None:
    """rules.md A2."""
    plant_canaries(pool, "v/clone")
    make(pool, "v/vol", content=b"kept")
    take(pool, "v/vol@snap")
    clone = pool.manager.clone("v/vol@snap", NewDataset("v/clone", SIZE_BYTES))
    with only_removes(pool, "v/clone"):
        pool.manager.destroy("v/clone", uid=clone.uid)


def test_destroy_snapshot_removes_exactly_the_snapshot(pool: PoolUnderTest) -> None:
    """rules.md A2: other snapshots of the dataset, and equal leaves elsewhere, stay."""
    plant_canaries(pool, "v/vol")
    make(pool, "v/vol", content=b"kept")
    for leaf in ("sna", "snap-1", "snap0", "snap.old"):
        take(pool, f"v/vol@{leaf}")
    uid = take(pool, "v/vol@snap").uid
    with only_removes(pool, "v/vol@snap"):
        pool.manager.destroy_snapshot("v/vol@snap", uid=uid)
    with pytest.raises(DatasetNotFoundError):
        pool.manager.destroy_snapshot("v/vol@snap", uid=uid)


@pytest.mark.parametrize("is_deferred", [False, True])
def test_destroy_snapshot_with_another_uid_touches_nothing(
    pool: PoolUnderTest, *, is_deferred: bool
) -> None:
    """rules.md A2."""
    make(pool, "v/vol")
    take(pool, "v/vol@snap")
    with changes_nothing(pool), pytest.raises(DatasetNotFoundError):
        pool.manager.destroy_snapshot("v/vol@snap", uid=OTHER_UID, is_deferred=is_deferred)


def test_destroy_snapshot_keeps_the_other_snapshots_whole(pool: PoolUnderTest) -> None:
    """rules.md A3: shared blocks stay for those that still need them."""
    make(pool, "v/vol", content=b"1")
    uids = {}
    for leaf in ("one", "two", "three"):
        pool.write("v/vol", leaf.encode())
        uids[leaf] = take(pool, f"v/vol@{leaf}").uid
    pool.manager.destroy_snapshot("v/vol@two", uid=uids["two"])
    for leaf in ("one", "three"):
        pool.manager.clone(f"v/vol@{leaf}", NewDataset(f"v/{leaf}", SIZE_BYTES))
        assert pool.read(f"v/{leaf}", len(leaf)) == leaf.encode()
