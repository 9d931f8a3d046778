"""Snapshots of several datasets: what is checked before and after the instant of the copy."""

from collections.abc import Callable
from types import TracebackType

import pytest

from csi_zfs.datasets.api import DatasetExistsError, NewDataset, NewSnapshot
from csi_zfs.domain.errors import NotFoundError
from csi_zfs.domain.sizes import MIB
from csi_zfs.reflink.datasets import ReflinkDatasets
from tests.support.reflink import contents_of, image_of, top_of

pytestmark = pytest.mark.root


class At:
    """A context manager that does something at its beginning."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def __enter__(self) -> None:
        self.act()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


@pytest.fixture
def filled(datasets: ReflinkDatasets) -> ReflinkDatasets:
    for name in ("v/a", "v/b"):
        datasets.create(NewDataset(name, MIB))
    return datasets


def test_group_of_none_is_none(filled: ReflinkDatasets) -> None:
    assert filled.snapshot([], quiesced=At(pytest.fail)) == []


def test_group_that_names_one_twice_takes_nothing(filled: ReflinkDatasets) -> None:
    before = contents_of(top_of(filled))
    with pytest.raises(DatasetExistsError, match="more than once"):
        filled.snapshot([NewSnapshot("v/a@s"), NewSnapshot("v/a@s")], quiesced=At(pytest.fail))
    assert contents_of(top_of(filled)) == before


def test_group_is_of_one_instant(filled: ReflinkDatasets) -> None:
    """What is written before the writers are held back is in every snapshot."""

    def write() -> None:
        for name in ("v/a", "v/b"):
            image_of(filled, name).write_bytes(b"x" * MIB)

    snapshots = filled.snapshot([NewSnapshot("v/b@s"), NewSnapshot("v/a@s")], quiesced=At(write))
    assert [snapshot.name for snapshot in snapshots] == ["v/b@s", "v/a@s"]
    assert len({snapshot.created_ns for snapshot in snapshots}) == 1
    for snapshot in snapshots:
        assert image_of(filled, snapshot.name).read_bytes() == b"x" * MIB


def test_group_whose_name_is_taken_in_the_meantime_takes_nothing(filled: ReflinkDatasets) -> None:
    """The names are looked at again when the copies are there, before any of them is given."""
    before: dict[str, object] = {}

    def intrude() -> None:
        filled.snapshot([NewSnapshot("v/b@s")])
        before.update(contents_of(top_of(filled) / "v"))

    with pytest.raises(DatasetExistsError, match="v/b@s exists"):
        filled.snapshot([NewSnapshot("v/a@s"), NewSnapshot("v/b@s")], quiesced=At(intrude))
    assert contents_of(top_of(filled) / "v") == before
    assert list((top_of(filled) / "t").iterdir()) == []


@pytest.mark.parametrize("names", [["v/b@s"], ["v/a@s", "v/b@s"]])
def test_snapshot_of_a_dataset_that_goes_in_the_meantime_is_not_found(
    filled: ReflinkDatasets, names: list[str]
) -> None:
    """Different names may be worked on at once: nothing of the one may land in the other."""
    new = [NewSnapshot(name) for name in names]
    uid = filled.get("v/b").uid
    with pytest.raises(NotFoundError, match="v/b"):
        filled.snapshot(new, quiesced=At(lambda: filled.destroy("v/b", uid=uid)))
    assert list((top_of(filled) / "t").iterdir()) == []
    assert list(filled.list_snapshots()) == []
