"""rules.md A2: exactly one thing goes, by name and uid, and only while nobody uses it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from csi_zfs.datasets.api import (
    DatasetBusyError,
    DatasetNotFoundError,
    HasDependentsError,
    NewDataset,
    NewSnapshot,
)
from csi_zfs.datasets.names import InvalidNameError, tombstone_of
from csi_zfs.domain.sizes import MIB
from csi_zfs.reflink.datasets import ReflinkDatasets
from csi_zfs.reflink.place import Tools
from csi_zfs.reflink.pools import open_pool
from tests.support.clock import FakeClock
from tests.support.reflink import attached, contents_of, image_of, real_pool, top_of

pytestmark = pytest.mark.root
UID = "0123456789abcdef"
TOMBSTONE = tombstone_of(UID)


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[ReflinkDatasets]:
    """`v/a` with a snapshot, and neighbours whose names begin alike."""
    with real_pool(tmp_path, tools=Tools(clock=FakeClock())) as datasets:
        for name in ("v/a", "v/a.b", "v/a-b", "v/ab", "v/b"):
            datasets.create(NewDataset(name, MIB))
            datasets.snapshot([NewSnapshot(f"{name}@s"), NewSnapshot(f"{name}@ss")])
        yield datasets


@pytest.mark.parametrize("options", [(), ("--read-only",)])
def test_attached_dataset_is_busy_and_its_holder_is_named(
    filled: ReflinkDatasets, options: tuple[str, ...]
) -> None:
    """rules.md B4."""
    dataset = filled.create(NewDataset("v/new", MIB))
    before = contents_of(top_of(filled))
    with attached(image_of(filled, "v/new"), *options) as device:
        with pytest.raises(DatasetBusyError, match=device):
            filled.destroy("v/new", uid=dataset.uid)
        with pytest.raises(DatasetBusyError, match=device):
            filled.retire("v/new", TOMBSTONE)
        assert contents_of(top_of(filled)) == before
    filled.destroy("v/new", uid=dataset.uid)


def test_attached_dataset_stays_attached_through_a_rename(filled: ReflinkDatasets) -> None:
    with attached(image_of(filled, "v/a")) as device:
        filled.rename("v/a", "v/renamed")
        with pytest.raises(DatasetBusyError, match=device):
            filled.retire("v/renamed", TOMBSTONE)


def test_destroy_of_a_snapshot_takes_nothing_beside_it(filled: ReflinkDatasets) -> None:
    before = contents_of(top_of(filled))
    filled.destroy_snapshot("v/a@s", uid=filled.get_snapshot("v/a@s").uid)
    gone = {name for name in before if name.startswith("v/a/@s/") or name == "v/a/@s"}
    assert contents_of(top_of(filled)) == {
        name: content for name, content in before.items() if name not in gone
    }


def test_destroy_of_a_dataset_takes_nothing_beside_it(filled: ReflinkDatasets) -> None:
    for leaf in ("s", "ss"):
        filled.destroy_snapshot(f"v/a@{leaf}", uid=filled.get_snapshot(f"v/a@{leaf}").uid)
    before = contents_of(top_of(filled))
    filled.destroy("v/a", uid=filled.get("v/a").uid)
    gone = {"v/a", "v/a/image", "v/a/record.json"}
    assert contents_of(top_of(filled)) == {
        name: content for name, content in before.items() if name not in gone
    }


def test_destroy_with_the_uid_of_another_changes_nothing(filled: ReflinkDatasets) -> None:
    before = contents_of(top_of(filled))
    with pytest.raises(DatasetNotFoundError):
        filled.destroy("v/a", uid=filled.get("v/b").uid)
    with pytest.raises(DatasetNotFoundError):
        filled.destroy_snapshot("v/a@s", uid=filled.get_snapshot("v/a@ss").uid)
    with pytest.raises(HasDependentsError, match="2 snapshots"):
        filled.destroy("v/a", uid=filled.get("v/a").uid)
    assert contents_of(top_of(filled)) == before


def test_retire_takes_only_the_name_of_a_tombstone(filled: ReflinkDatasets) -> None:
    """A typing error must not throw a volume's data away."""
    before = contents_of(top_of(filled))
    with pytest.raises(InvalidNameError):
        filled.retire("v/a", "v/c")
    assert contents_of(top_of(filled)) == before


def test_retired_dataset_has_no_data_and_keeps_its_snapshots(filled: ReflinkDatasets) -> None:
    """rules.md A3, A5: its data is gone for good, which is not the same as damage."""
    image_of(filled, "v/a").write_bytes(b"later" + bytes(MIB - 5))
    retired = filled.retire("v/a", TOMBSTONE)
    assert filled.retire("v/a", TOMBSTONE) == retired == filled.get(TOMBSTONE)
    assert not image_of(filled, TOMBSTONE).exists()
    assert image_of(filled, f"{TOMBSTONE}@s").read_bytes() == bytes(MIB)
    for call in (
        lambda: filled.data_path(TOMBSTONE),
        lambda: filled.clone(TOMBSTONE, NewDataset("v/new", MIB)),
        lambda: filled.snapshot([NewSnapshot(f"{TOMBSTONE}@new")]),
        lambda: filled.extent_count(TOMBSTONE),
    ):
        with pytest.raises(DatasetNotFoundError):
            call()
    assert filled.health() == ()


def test_room_of_what_is_removed_is_given_back_once(tmp_path: Path) -> None:
    """rules.md A13: also when retiring is repeated, and when a restart lies between."""
    with real_pool(tmp_path) as datasets:
        datasets.create(NewDataset("v/a", MIB))
        datasets.create(NewDataset("v/other", MIB))
        datasets.snapshot([NewSnapshot("v/a@s")])
        for _ in range(3):
            dataset = datasets.retire("v/a", TOMBSTONE)
            assert datasets._engine.ledger.promised.thin_bytes == MIB
        datasets.destroy_snapshot(f"{TOMBSTONE}@s", uid=datasets.get_snapshot(f"{TOMBSTONE}@s").uid)
        datasets.close()
        again = open_pool(tmp_path / "pool", name="pool")
        assert again._engine.ledger.promised.thin_bytes == MIB
        again.destroy(TOMBSTONE, uid=dataset.uid)
        assert again._engine.ledger.promised.thin_bytes == MIB
        again.close()


def test_blocks_of_what_is_destroyed_are_free_again(tmp_path: Path) -> None:
    with real_pool(tmp_path) as datasets:
        dataset = datasets.create(NewDataset("v/a", 64 * MIB, is_thick=True))
        free_bytes = datasets.capacity().free_bytes
        datasets.destroy("v/a", uid=dataset.uid)
        os.sync()
        assert datasets.capacity().free_bytes >= free_bytes + 64 * MIB


def retire_cut_short(datasets: ReflinkDatasets) -> int:
    """Leave `v/a` renamed with its data, as a crash does; returns what is promised by then."""
    datasets.rename("v/a", TOMBSTONE)
    return datasets._engine.ledger.promised.thin_bytes


def test_destroy_of_a_tombstone_that_must_stay_frees_the_data_it_still_has(
    filled: ReflinkDatasets,
) -> None:
    """Its name may have been taken by another volume, so that nobody repeats the retire."""
    before_bytes = retire_cut_short(filled)
    uid = filled.get(TOMBSTONE).uid
    for _ in range(2):
        with pytest.raises(HasDependentsError):
            filled.destroy(TOMBSTONE, uid=uid)
        assert not image_of(filled, TOMBSTONE).exists()
        assert image_of(filled, f"{TOMBSTONE}@s").read_bytes() == bytes(MIB)
        assert filled._engine.ledger.promised.thin_bytes == before_bytes - MIB


def test_destroy_of_a_tombstone_whose_data_is_open_leaves_it(filled: ReflinkDatasets) -> None:
    before_bytes = retire_cut_short(filled)
    with attached(image_of(filled, TOMBSTONE)) as device:
        with pytest.raises(DatasetBusyError, match=device):
            filled.destroy(TOMBSTONE, uid=filled.get(TOMBSTONE).uid)
        assert image_of(filled, TOMBSTONE).exists()
    assert filled._engine.ledger.promised.thin_bytes == before_bytes
