"""Contract of `clone`: from a snapshot or a live dataset, of any size, independent in its data."""

import pytest

from csi_zfs.datasets.api import DatasetExistsError, NewDataset, UnsupportedFeatureError
from csi_zfs.datasets.names import is_deferred_snapshot
from csi_zfs.domain.errors import OutOfRangeError
from tests.contract.datasets.world import (
    RECORD,
    SIZE_BYTES,
    changes_nothing,
    entries,
    make,
    only_removes,
    take,
)
from tests.support.pools import PoolUnderTest

NEW = NewDataset("v/clone", SIZE_BYTES)


def test_clone_of_snapshot_has_its_bytes_and_not_later_ones(pool: PoolUnderTest) -> None:
    """rules.md A3: what is restored is what was snapshotted."""
    make(pool, "v/a", content=b"old bytes")
    take(pool, "v/a@snap")
    pool.write("v/a", b"new")
    pool.manager.clone("v/a@snap", NEW)
    pool.write("v/a", b"newer")
    assert pool.read("v/clone", 9) == b"old bytes"
    pool.write("v/clone", b"its")
    assert pool.read("v/a", 9) == b"newerytes"
    pool.manager.clone("v/a@snap", NewDataset("v/second", SIZE_BYTES))
    assert pool.read("v/second", 9) == b"old bytes"


def test_clone_of_live_dataset_has_the_bytes_of_that_instant(pool: PoolUnderTest) -> None:
    make(pool, "v/a", content=b"old bytes")
    pool.manager.clone("v/a", NEW)
    pool.write("v/a", b"new")
    assert pool.read("v/clone", 9) == b"old bytes"


def test_clone_of_live_dataset_shows_callers_no_snapshot(pool: PoolUnderTest) -> None:
    """A hidden snapshot has a name of our own making and goes with the clone."""
    make(pool, "v/a")
    clone = pool.manager.clone("v/a", NEW)
    hidden = [name for name in entries(pool.manager) if "@" in name]
    assert all(is_deferred_snapshot(name) for name in hidden)
    with only_removes(pool, "v/clone", *hidden):
        pool.manager.destroy("v/clone", uid=clone.uid)


@pytest.mark.parametrize("source_name", ["v/a", "v/a@snap"])
def test_clone_names_its_origin_only_where_it_depends_on_it(
    pool: PoolUnderTest, source_name: str
) -> None:
    make(pool, "v/a")
    take(pool, "v/a@snap")
    clone = pool.manager.clone(source_name, NEW)
    assert (clone.origin in entries(pool.manager)) is pool.manager.features.dependent_clones
    assert (clone.origin == "") is not pool.manager.features.dependent_clones
    assert pool.manager.get("v/clone") == clone


def test_clone_has_its_own_uid_size_thickness_and_record(pool: PoolUnderTest) -> None:
    """rules.md A8: a clone gets its own size."""
    source = pool.manager.create(NewDataset("v/a", SIZE_BYTES, user_properties={RECORD: "a"}))
    take(pool, "v/a@snap")
    new = NewDataset("v/clone", 3 * SIZE_BYTES, is_thick=True, user_properties={"x:y": "clone"})
    clone = pool.manager.clone("v/a@snap", new)
    assert clone.uid != source.uid
    assert (clone.size_bytes, clone.is_thick) == (3 * SIZE_BYTES, True)
    assert clone.user_properties == {"x:y": "clone"}
    assert pool.manager.data_path("v/clone").size_bytes == 3 * SIZE_BYTES


def test_larger_clone_reads_as_zeros_beyond_its_source(pool: PoolUnderTest) -> None:
    make(pool, "v/a")
    pool.write("v/a", b"end", offset_bytes=SIZE_BYTES - 3)
    pool.manager.clone("v/a", NewDataset("v/clone", 2 * SIZE_BYTES))
    assert pool.read("v/clone", SIZE_BYTES + 3, offset_bytes=SIZE_BYTES - 3) == b"end" + bytes(
        SIZE_BYTES
    )


@pytest.mark.parametrize("source_name", ["v/a", "v/a@snap"])
def test_clone_smaller_than_its_source_is_out_of_range(
    pool: PoolUnderTest, source_name: str
) -> None:
    make(pool, "v/a")
    take(pool, "v/a@snap")
    with changes_nothing(pool), pytest.raises(OutOfRangeError):
        pool.manager.clone(source_name, NewDataset("v/clone", SIZE_BYTES // 2))


def test_clone_of_older_snapshot_of_a_grown_dataset_may_have_the_older_size(
    pool: PoolUnderTest,
) -> None:
    make(pool, "v/a", content=b"kept")
    take(pool, "v/a@snap")
    pool.manager.resize("v/a", 2 * SIZE_BYTES)
    assert pool.manager.clone("v/a@snap", NEW).size_bytes == SIZE_BYTES
    assert pool.read("v/clone", 4) == b"kept"


def test_clone_to_taken_name_is_exists_error(pool: PoolUnderTest) -> None:
    make(pool, "v/a", content=b"a")
    make(pool, "v/clone", content=b"not a clone")
    take(pool, "v/a@snap")
    for source_name in ("v/a", "v/a@snap"):
        with changes_nothing(pool), pytest.raises(DatasetExistsError):
            pool.manager.clone(source_name, NEW)


def test_clone_with_unknown_property_is_unsupported(pool: PoolUnderTest) -> None:
    make(pool, "v/a")
    new = NewDataset("v/clone", SIZE_BYTES, properties={"nonesuch": "on"})
    with changes_nothing(pool), pytest.raises(UnsupportedFeatureError):
        pool.manager.clone("v/a", new)


def test_clone_of_a_clone_has_the_bytes_of_both(pool: PoolUnderTest) -> None:
    make(pool, "v/a", content=b"first")
    take(pool, "v/a@snap")
    pool.manager.clone("v/a@snap", NEW)
    pool.write("v/clone", b"second", offset_bytes=5)
    take(pool, "v/clone@snap")
    pool.manager.clone("v/clone@snap", NewDataset("v/third", SIZE_BYTES))
    assert pool.read("v/third", 11) == b"firstsecond"
