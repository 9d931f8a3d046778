"""Comparing two snapshots of a real pool while something happens to them."""

from collections.abc import Iterator

import pytest

from csi_zfs.datasets.api import (
    DatasetBusyError,
    DatasetNotFoundError,
    NewDataset,
    NewSnapshot,
    RecordCorruptError,
)
from csi_zfs.domain.model import ChangedRange
from csi_zfs.domain.sizes import MIB
from csi_zfs.reflink.datasets import ReflinkDatasets
from tests.support.reflink import image_of, write_content

pytestmark = pytest.mark.root
SIZE_BYTES = 4 * MIB


@pytest.fixture
def filled(datasets: ReflinkDatasets) -> ReflinkDatasets:
    datasets.create(NewDataset("v/a", SIZE_BYTES))
    write_content(datasets, "v/a", b"old" * MIB)
    datasets.snapshot([NewSnapshot("v/a@old")])
    write_content(datasets, "v/a", b"new")
    datasets.snapshot([NewSnapshot("v/a@new")])
    return datasets


def compared(datasets: ReflinkDatasets) -> Iterator[ChangedRange]:
    return datasets.changed_ranges("v/a@old", "v/a@new")


def test_snapshot_that_goes_before_the_first_look_is_not_found(filled: ReflinkDatasets) -> None:
    found = compared(filled)
    filled.destroy_snapshot("v/a@old", uid=filled.get_snapshot("v/a@old").uid)
    with pytest.raises(DatasetNotFoundError):
        list(found)


@pytest.mark.parametrize("name", ["v/a@old", "v/a@new"])
def test_snapshot_cannot_be_destroyed_while_it_is_compared(
    filled: ReflinkDatasets, name: str
) -> None:
    """So its blocks stay until the last range has come."""
    found, uid = compared(filled), filled.get_snapshot(name).uid
    assert next(found) == ChangedRange(0, 4096, is_zero=False)
    with pytest.raises(DatasetBusyError):
        filled.destroy_snapshot(name, uid=uid)
    assert list(found) == []
    filled.destroy_snapshot(name, uid=uid)


def test_snapshot_that_lost_its_name_meanwhile_is_not_found_at_the_end(
    filled: ReflinkDatasets,
) -> None:
    found = compared(filled)
    next(found)
    filled.rename_snapshot("v/a@new", "v/a@other")
    with pytest.raises(DatasetNotFoundError):
        list(found)


def test_other_snapshot_under_the_name_at_the_end_is_not_found(filled: ReflinkDatasets) -> None:
    found = compared(filled)
    next(found)
    filled.rename_snapshot("v/a@old", "v/a@older")
    filled.snapshot([NewSnapshot("v/a@old")])
    with pytest.raises(DatasetNotFoundError, match="replaced"):
        list(found)


def test_image_that_is_too_short_is_corrupt(filled: ReflinkDatasets) -> None:
    """What is not there would be taken for zeros."""
    with image_of(filled, "v/a@new").open("r+b") as image:
        image.truncate(MIB)
    with pytest.raises(RecordCorruptError, match="shorter"):
        list(compared(filled))


def test_image_that_is_missing_is_corrupt(filled: ReflinkDatasets) -> None:
    image_of(filled, "v/a@old").unlink()
    with pytest.raises(RecordCorruptError, match="missing"):
        list(compared(filled))


def test_volume_goes_on_being_written_to_while_its_snapshots_are_compared(
    filled: ReflinkDatasets,
) -> None:
    found = compared(filled)
    first = next(found)
    write_content(filled, "v/a", b"later" * MIB)
    assert [first, *found] == list(compared(filled)) == [ChangedRange(0, 4096, is_zero=False)]
