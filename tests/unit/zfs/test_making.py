"""What is refused on the way leaves nothing, and the ledger forgets it (rules.md A13, B10)."""

from dataclasses import replace

import pytest

from csi_zfs.datasets.api import (
    DatasetExistsError,
    NewDataset,
    NewSnapshot,
    PoolFullError,
)
from csi_zfs.datasets.names import InvalidNameError, tombstone_of
from csi_zfs.domain.sizes import GIB, MIB
from csi_zfs.zfs.datasets import LibzfsCoreDatasets
from csi_zfs.zfs.pools import open_pool
from tests.support.zfs_fake_pools import PARENT, FakeZfs, write

HOG = f"{PARENT}/hog"


@pytest.fixture
def datasets(zfs: FakeZfs) -> LibzfsCoreDatasets:
    made = open_pool(PARENT, name="pool", doors=zfs.doors)
    made.create(NewDataset("v/a", 8 * MIB))
    made.snapshot([NewSnapshot("v/a@s")])
    return made


def fill_after_admission(zfs: FakeZfs, datasets: LibzfsCoreDatasets) -> LibzfsCoreDatasets:
    """The same pool, on which somebody else takes the room once a call was admitted."""
    room = datasets._engine.space.room()

    class Admitting:
        def room(self) -> object:
            zfs.commands.run(["zfs", "set", f"quota={64 * MIB}", PARENT])
            return room

    engine = datasets._engine
    return LibzfsCoreDatasets(replace(engine, space=Admitting()))  # type: ignore[arg-type]


def test_thick_volume_that_finds_no_room_after_all_is_full_and_not_there(
    zfs: FakeZfs, datasets: LibzfsCoreDatasets
) -> None:
    filled = fill_after_admission(zfs, datasets)
    before = datasets._engine.ledger.promised
    with pytest.raises(PoolFullError):
        filled.create(NewDataset("v/new", 128 * MIB, is_thick=True))
    assert not zfs.core.exists(f"{PARENT}/v/new")
    assert datasets._engine.ledger.promised == before


@pytest.mark.parametrize("source_name", ["v/a", "v/a@s"])
def test_thick_clone_that_finds_no_room_after_all_is_full_and_not_there(
    zfs: FakeZfs, datasets: LibzfsCoreDatasets, source_name: str
) -> None:
    """Else a volume is there that is called thick, and for which nothing is reserved."""
    filled = fill_after_admission(zfs, datasets)
    before = datasets._engine.ledger.promised
    with pytest.raises(PoolFullError):
        filled.clone(source_name, NewDataset("v/new", 128 * MIB, is_thick=True))
    assert not zfs.core.exists(f"{PARENT}/v/new")
    assert [one.name for one in datasets.list_snapshots()] == ["v/a@s"]
    assert datasets._engine.ledger.promised == before


@pytest.mark.parametrize("source_name", ["v/a", "v/a@s"])
def test_thick_clone_that_the_kernel_takes_back_leaves_nothing(
    zfs: FakeZfs, datasets: LibzfsCoreDatasets, source_name: str
) -> None:
    zfs.core.is_udev_slow = True
    filled = fill_after_admission(zfs, datasets)
    before = datasets._engine.ledger.promised
    with pytest.raises(PoolFullError):
        filled.clone(source_name, NewDataset("v/new", 128 * MIB, is_thick=True))
    assert not zfs.core.exists(f"{PARENT}/v/new")
    assert [one.name for one in datasets.list_snapshots()] == ["v/a@s"]
    assert datasets._engine.ledger.promised == before


def test_pool_full_of_thin_volumes_says_exists_to_a_repeated_call(
    zfs: FakeZfs, datasets: LibzfsCoreDatasets
) -> None:
    """rules.md B1: whoever repeats a call on a full pool hears of what it made."""
    datasets.create(NewDataset("v/full", datasets.capacity().admissible_thin_bytes))
    with pytest.raises(DatasetExistsError):
        datasets.create(NewDataset("v/full", GIB))


def test_group_of_snapshots_of_which_one_is_refused_takes_none(
    zfs: FakeZfs, datasets: LibzfsCoreDatasets
) -> None:
    datasets.create(NewDataset("v/thick", 40 * MIB, is_thick=True))
    write(zfs.dataset("v/thick"), b"x" * 38 * MIB)
    new = [NewSnapshot("v/a@g"), NewSnapshot("v/thick@g")]
    with pytest.raises(PoolFullError):
        fill_after_admission(zfs, datasets).snapshot(new)
    assert [one.name for one in datasets.list_snapshots()] == ["v/a@s"]
    zfs.commands.run(["zfs", "set", f"quota={GIB}", PARENT])
    assert len(datasets.snapshot(new)) == len(new)


def test_no_snapshots_are_none(datasets: LibzfsCoreDatasets) -> None:
    assert list(datasets.snapshot([])) == []


def test_same_snapshot_twice_in_one_call_exists(datasets: LibzfsCoreDatasets) -> None:
    with pytest.raises(DatasetExistsError, match="more than once"):
        datasets.snapshot([NewSnapshot("v/a@n"), NewSnapshot("v/a@n")])


@pytest.mark.parametrize("name", ["v/a/b", "v/../x", "x/a", "v/a@", "v/%x", "v/-x", "v/a b", ""])
def test_name_of_another_grammar_reaches_no_call(datasets: LibzfsCoreDatasets, name: str) -> None:
    """rules.md C1."""
    with pytest.raises(InvalidNameError):
        datasets.create(NewDataset(name, MIB))


def test_retire_to_anything_but_a_tombstone_is_refused(datasets: LibzfsCoreDatasets) -> None:
    with pytest.raises(InvalidNameError):
        datasets.retire("v/a", "v/b")


def test_device_is_back_after_a_retire_that_failed(
    zfs: FakeZfs, datasets: LibzfsCoreDatasets
) -> None:
    zfs.pool.datasets[f"{PARENT}/v/a"].open_count += 1
    with pytest.raises(Exception, match="is in use"):
        datasets.retire("v/a", tombstone_of("0123456789abcdef"))
    assert datasets.data_path("v/a").size_bytes == 8 * MIB
