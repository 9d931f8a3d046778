"""Contract of admission and of `resize`: what does not fit is refused whole."""

import pytest

from csi_zfs.datasets.api import NewDataset, NewSnapshot, PoolFullError
from csi_zfs.domain.sizes import MIB
from tests.contract.datasets.world import SIZE_BYTES, changes_nothing, make, take
from tests.support.pools import PoolUnderTest


def admissible_bytes(pool: PoolUnderTest, *, is_thick: bool) -> int:
    """The largest volume, in whole MiB as every volume is."""
    capacity = pool.manager.capacity()
    size_bytes = capacity.admissible_thick_bytes if is_thick else capacity.admissible_thin_bytes
    return size_bytes // MIB * MIB


def most_thick(pool: PoolUnderTest) -> NewDataset:
    """A thick volume after which there is no room for another of its size."""
    size_bytes = admissible_bytes(pool, is_thick=True) // 3 * 2 // MIB * MIB
    return NewDataset("v/thick", size_bytes, is_thick=True)


def test_capacity_is_within_the_pool(pool: PoolUnderTest) -> None:
    capacity = pool.manager.capacity()
    assert 0 < capacity.free_bytes <= capacity.total_bytes
    assert 0 < capacity.admissible_thick_bytes <= capacity.free_bytes
    assert capacity.admissible_thin_bytes > 0


@pytest.mark.parametrize("is_thick", [False, True])
def test_create_takes_what_capacity_admits_and_no_more(
    pool: PoolUnderTest, *, is_thick: bool
) -> None:
    """rules.md A13: what GetCapacity tells is what CreateVolume takes."""
    size_bytes = admissible_bytes(pool, is_thick=is_thick)
    with changes_nothing(pool), pytest.raises(PoolFullError):
        pool.manager.create(NewDataset("v/a", size_bytes + 2 * MIB, is_thick=is_thick))
    dataset = pool.manager.create(NewDataset("v/a", size_bytes, is_thick=is_thick))
    assert dataset.size_bytes == size_bytes


def test_create_refused_name_is_free_for_a_smaller_one(pool: PoolUnderTest) -> None:
    """rules.md B10: refused means that nothing was done."""
    too_large = admissible_bytes(pool, is_thick=True) + 2 * MIB
    before = pool.manager.capacity().admissible_thin_bytes
    with pytest.raises(PoolFullError):
        pool.manager.create(NewDataset("v/a", too_large, is_thick=True))
    assert pool.manager.capacity().admissible_thin_bytes == before
    make(pool, "v/a")


def test_thick_volume_counts_at_full_size(pool: PoolUnderTest) -> None:
    """rules.md A13."""
    new = most_thick(pool)
    pool.manager.create(new)
    second = NewDataset("v/second", new.size_bytes, is_thick=True)
    with changes_nothing(pool), pytest.raises(PoolFullError):
        pool.manager.create(second)


def test_thin_volumes_and_their_clones_count_against_the_thin_room(pool: PoolUnderTest) -> None:
    """rules.md A13: thin ones are admitted up to a ratio, so each is counted."""
    room = [pool.manager.capacity().admissible_thin_bytes]
    make(pool, "v/a")
    room.append(pool.manager.capacity().admissible_thin_bytes)
    pool.manager.clone("v/a", NewDataset("v/clone", SIZE_BYTES))
    room.append(pool.manager.capacity().admissible_thin_bytes)
    assert room[0] - room[1] >= SIZE_BYTES
    assert room[1] - room[2] >= SIZE_BYTES


def test_thick_snapshot_counts_at_full_size(pool: PoolUnderTest) -> None:
    """rules.md A13: the first write to a shared block of a thick volume needs a new one."""
    pool.manager.create(NewDataset("v/a", SIZE_BYTES, is_thick=True))
    before = pool.manager.capacity().admissible_thin_bytes
    take(pool, "v/a@snap")
    assert before - pool.manager.capacity().admissible_thin_bytes >= SIZE_BYTES


def test_thick_snapshot_that_does_not_fit_changes_nothing(pool: PoolUnderTest) -> None:
    """rules.md A13: a snapshot of a thick volume counts at full size."""
    pool.manager.create(most_thick(pool))
    make(pool, "v/thin")
    with changes_nothing(pool), pytest.raises(PoolFullError):
        pool.manager.snapshot([NewSnapshot("v/thick@snap")])
    with changes_nothing(pool), pytest.raises(PoolFullError):
        pool.manager.snapshot([NewSnapshot("v/thin@snap"), NewSnapshot("v/thick@snap")])
    take(pool, "v/thin@snap")


def test_group_of_thick_snapshots_that_fit_only_alone_changes_nothing(
    pool: PoolUnderTest,
) -> None:
    """rules.md A13: they do not all fit, so none is made."""
    size_bytes = admissible_bytes(pool, is_thick=True) // 7 * 2 // MIB * MIB
    for name in ("v/a", "v/b"):
        pool.manager.create(NewDataset(name, size_bytes, is_thick=True))
    with changes_nothing(pool), pytest.raises(PoolFullError):
        pool.manager.snapshot([NewSnapshot("v/a@snap"), NewSnapshot("v/b@snap")])
    take(pool, "v/a@snap")


@pytest.mark.parametrize("source_name", ["v/a", "v/a@snap"])
@pytest.mark.parametrize("is_thick", [False, True])
def test_clone_that_does_not_fit_changes_nothing(
    pool: PoolUnderTest, source_name: str, *, is_thick: bool
) -> None:
    """rules.md A13: a clone counts at full size, like any volume."""
    make(pool, "v/a", content=b"kept")
    take(pool, "v/a@snap")
    size_bytes = admissible_bytes(pool, is_thick=is_thick) + 2 * MIB
    before = pool.manager.capacity()
    with changes_nothing(pool), pytest.raises(PoolFullError):
        pool.manager.clone(source_name, NewDataset("v/clone", size_bytes, is_thick=is_thick))
    assert pool.manager.capacity().admissible_thin_bytes == before.admissible_thin_bytes


@pytest.mark.parametrize("is_thick", [False, True])
def test_resize_beyond_the_pool_changes_nothing(pool: PoolUnderTest, *, is_thick: bool) -> None:
    """rules.md A10, A13."""
    pool.manager.create(NewDataset("v/a", SIZE_BYTES, is_thick=is_thick))
    pool.write("v/a", b"kept")
    # 2 MiB more than elsewhere: what an engine keeps for each volume beside its size is kept.
    size_bytes = SIZE_BYTES + admissible_bytes(pool, is_thick=is_thick) + 4 * MIB
    with changes_nothing(pool), pytest.raises(PoolFullError):
        pool.manager.resize("v/a", size_bytes)
    assert pool.manager.data_path("v/a").size_bytes == SIZE_BYTES


@pytest.mark.parametrize("is_thick", [False, True])
def test_resize_grows_the_data_and_the_record(pool: PoolUnderTest, *, is_thick: bool) -> None:
    """rules.md A10: also repeated."""
    pool.manager.create(NewDataset("v/a", SIZE_BYTES, is_thick=is_thick))
    pool.write("v/a", b"kept")
    for _ in range(2):
        resized = pool.manager.resize("v/a", 2 * SIZE_BYTES)
        assert (resized.size_bytes, resized.is_thick) == (2 * SIZE_BYTES, is_thick)
        assert resized == pool.manager.get("v/a")
    assert pool.manager.data_path("v/a").size_bytes == 2 * SIZE_BYTES
    assert pool.read("v/a", 2 * SIZE_BYTES) == b"kept".ljust(2 * SIZE_BYTES, b"\0")


def test_resize_to_less_is_a_no_op(pool: PoolUnderTest) -> None:
    """rules.md A10: nothing shrinks."""
    dataset = make(pool, "v/a", content=b"kept")
    with changes_nothing(pool):
        assert pool.manager.resize("v/a", MIB) == dataset


def test_resize_counts_against_the_pool(pool: PoolUnderTest) -> None:
    """rules.md A13."""
    pool.manager.create(NewDataset("v/a", SIZE_BYTES, is_thick=True))
    before = pool.manager.capacity().admissible_thin_bytes
    pool.manager.resize("v/a", 2 * SIZE_BYTES)
    assert before - pool.manager.capacity().admissible_thin_bytes >= SIZE_BYTES


def test_destroy_gives_the_room_of_a_thick_volume_back_at_once(pool: PoolUnderTest) -> None:
    """rules.md A13, B10: "no room" is never said of room that is only being freed."""
    new = most_thick(pool)
    for _ in range(6):
        dataset = pool.manager.create(new)
        pool.manager.destroy(dataset.name, uid=dataset.uid)


def test_pool_full_of_promises_still_deletes_and_reads(pool: PoolUnderTest) -> None:
    """rules.md A13: what is full can be emptied."""
    make(pool, "v/a", content=b"kept")
    snapshot = take(pool, "v/a@snap")
    size_bytes = admissible_bytes(pool, is_thick=True)
    full = pool.manager.create(NewDataset("v/full", size_bytes, is_thick=True))
    assert pool.read("v/a", 4) == b"kept"
    pool.manager.set_user_properties("v/a", {"io.csi-zfs:record": "changed"})
    pool.manager.destroy_snapshot(snapshot.name, uid=snapshot.uid)
    pool.manager.destroy("v/full", uid=full.uid)
    make(pool, "v/b")


def test_extent_count_grows_with_fragments_or_is_always_zero(pool: PoolUnderTest) -> None:
    """What a copy costs: on files of a reflink pool the extents, on OpenZFS nothing."""
    make(pool, "v/a", content=b"x")
    before = pool.manager.extent_count("v/a")
    for index in range(1, 21):
        pool.write("v/a", b"x" * 4096, offset_bytes=index * 64 * 1024)
    after = pool.manager.extent_count("v/a")
    assert before + 20 <= after or before == after == 0
