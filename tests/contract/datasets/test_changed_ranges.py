"""Contract of `changed_ranges`: every difference of two snapshots, and little more."""

import pytest

from csi_zfs.datasets.api import (
    DatasetKind,
    NewDataset,
    PoolUnavailableError,
    RecordCorruptError,
    UnsupportedFeatureError,
)
from csi_zfs.datasets.changes import UnrelatedSnapshotsError
from csi_zfs.domain.model import ChangedRange
from csi_zfs.domain.sizes import KIB, MIB
from tests.contract.datasets.world import SIZE_BYTES, changes_nothing, make, take
from tests.support.pools import PoolUnderTest

# The largest block of any engine here: what is named beyond what was written is no more than that.
BLOCK_BYTES = 16 * KIB


def changes(pool: PoolUnderTest, old_name: str, new_name: str) -> list[ChangedRange]:
    """All of them, in order and within the newer size."""
    found = list(pool.manager.changed_ranges(old_name, new_name))
    size_bytes = pool.manager.get_snapshot(new_name).size_bytes
    behind = 0
    for one in found:
        assert behind <= one.offset_bytes < one.offset_bytes + one.length_bytes <= size_bytes
        behind = one.offset_bytes + one.length_bytes
    return found


def content_of(pool: PoolUnderTest, snapshot_name: str) -> bytes:
    """The bytes of a snapshot, read from a clone."""
    size_bytes = pool.manager.get_snapshot(snapshot_name).size_bytes
    clone = pool.manager.clone(snapshot_name, NewDataset("v/read", size_bytes))
    content = pool.read("v/read", size_bytes)
    pool.manager.destroy("v/read", uid=clone.uid)
    return content


def require_complete(pool: PoolUnderTest, old_name: str, new_name: str) -> int:
    """No difference is missed and no zeros are made up; returns how many data bytes are named."""
    old, new = content_of(pool, old_name), bytearray(content_of(pool, new_name))
    patched = bytearray(old[: len(new)].ljust(len(new), b"\0"))
    named_bytes = 0
    for one in changes(pool, old_name, new_name):
        part = slice(one.offset_bytes, one.offset_bytes + one.length_bytes)
        patched[part] = bytes(one.length_bytes) if one.is_zero else new[part]
        named_bytes += 0 if one.is_zero else one.length_bytes
    assert patched == new
    return named_bytes


@pytest.fixture
def zvols(pool: PoolUnderTest) -> PoolUnderTest:
    """A pool under test whose volumes are zvols."""
    probe = make(pool, "v/probe")
    pool.manager.destroy("v/probe", uid=probe.uid)
    if probe.kind is DatasetKind.FILESYSTEM:
        pytest.skip("the volumes of this pool under test are file systems, which are refused")
    return pool


def test_what_was_written_between_two_snapshots_is_named_and_little_more(
    zvols: PoolUnderTest,
) -> None:
    make(zvols, "v/a", content=b"kept" * (MIB // 8))
    take(zvols, "v/a@old")
    zvols.write("v/a", b"new", offset_bytes=MIB - 1)
    zvols.write("v/a", b"new", offset_bytes=5 * MIB)
    take(zvols, "v/a@new")
    zvols.write("v/a", b"later", offset_bytes=2 * MIB)
    assert require_complete(zvols, "v/a@old", "v/a@new") <= 4 * BLOCK_BYTES


def test_snapshots_without_a_write_between_them_differ_nowhere(zvols: PoolUnderTest) -> None:
    make(zvols, "v/a", content=b"kept")
    take(zvols, "v/a@old")
    take(zvols, "v/a@new")
    assert not [one for one in changes(zvols, "v/a@old", "v/a@new") if not one.is_zero]
    assert changes(zvols, "v/a@new", "v/a@new") == []


def test_changes_over_several_snapshots_are_those_of_all_of_them(zvols: PoolUnderTest) -> None:
    make(zvols, "v/a", content=b"kept")
    take(zvols, "v/a@old")
    for number in (1, 2, 3):
        zvols.write("v/a", b"new", offset_bytes=number * MIB)
        take(zvols, f"v/a@s{number}")
    assert 0 < require_complete(zvols, "v/a@old", "v/a@s3") <= 3 * BLOCK_BYTES
    assert 0 < require_complete(zvols, "v/a@s1", "v/a@s2") <= BLOCK_BYTES


def test_grown_volume_has_its_new_part_named_where_it_was_written(zvols: PoolUnderTest) -> None:
    make(zvols, "v/a", content=b"kept")
    take(zvols, "v/a@old")
    zvols.manager.resize("v/a", 2 * SIZE_BYTES)
    take(zvols, "v/a@grown")
    zvols.write("v/a", b"end", offset_bytes=2 * SIZE_BYTES - 3)
    take(zvols, "v/a@new")
    assert require_complete(zvols, "v/a@old", "v/a@grown") == 0
    assert 0 < require_complete(zvols, "v/a@old", "v/a@new") <= BLOCK_BYTES


def test_clone_and_its_clone_are_compared_with_what_they_were_made_of(zvols: PoolUnderTest) -> None:
    make(zvols, "v/a", content=b"kept" * (MIB // 8))
    take(zvols, "v/a@s")
    zvols.manager.clone("v/a@s", NewDataset("v/b", SIZE_BYTES))
    zvols.write("v/b", b"first", offset_bytes=MIB)
    take(zvols, "v/b@s")
    zvols.manager.clone("v/b@s", NewDataset("v/c", SIZE_BYTES))
    zvols.write("v/c", b"second", offset_bytes=2 * MIB)
    take(zvols, "v/c@s")
    assert 0 < require_complete(zvols, "v/a@s", "v/b@s") <= BLOCK_BYTES
    assert 0 < require_complete(zvols, "v/a@s", "v/c@s") <= 2 * BLOCK_BYTES
    assert 0 < require_complete(zvols, "v/b@s", "v/c@s") <= BLOCK_BYTES


def test_comparison_with_no_ancestor_is_right_or_refused(zvols: PoolUnderTest) -> None:
    make(zvols, "v/a", content=b"one")
    take(zvols, "v/a@old")
    zvols.write("v/a", b"another")
    take(zvols, "v/a@new")
    make(zvols, "v/b", content=b"stranger")
    take(zvols, "v/b@s")
    for old_name, new_name in [("v/a@new", "v/a@old"), ("v/a@new", "v/b@s")]:
        if zvols.manager.features.dependent_clones:
            with changes_nothing(zvols), pytest.raises(UnrelatedSnapshotsError):
                changes(zvols, old_name, new_name)
        else:
            assert require_complete(zvols, old_name, new_name) > 0


def test_snapshots_of_file_systems_are_refused(pool: PoolUnderTest) -> None:
    if not pool.manager.features.native_filesystem:
        pytest.skip("the pool has no file systems of its own")
    pool.manager.create(NewDataset("v/f", SIZE_BYTES, kind=DatasetKind.FILESYSTEM))
    take(pool, "v/f@old")
    take(pool, "v/f@new")
    with pytest.raises(UnsupportedFeatureError, match="file system"):
        changes(pool, "v/f@old", "v/f@new")


def test_iterator_that_is_closed_early_lets_the_snapshots_go(zvols: PoolUnderTest) -> None:
    make(zvols, "v/a", content=b"kept")
    old = take(zvols, "v/a@old")
    for number in range(8):
        zvols.write("v/a", b"new", offset_bytes=number * MIB)
    take(zvols, "v/a@new")
    found = zvols.manager.changed_ranges("v/a@old", "v/a@new")
    next(found)
    del found
    zvols.manager.destroy_snapshot("v/a@old", uid=old.uid)


def test_pool_that_is_away_is_unavailable(zvols: PoolUnderTest) -> None:
    make(zvols, "v/a")
    take(zvols, "v/a@old")
    take(zvols, "v/a@new")
    with zvols.away(), pytest.raises(PoolUnavailableError):
        changes(zvols, "v/a@old", "v/a@new")


def test_damaged_record_of_one_of_them_is_corruption(zvols: PoolUnderTest) -> None:
    make(zvols, "v/a")
    take(zvols, "v/a@old")
    take(zvols, "v/a@new")
    zvols.damage("v/a@old")
    with pytest.raises(RecordCorruptError):
        changes(zvols, "v/a@old", "v/a@new")
