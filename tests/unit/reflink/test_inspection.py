"""An embedded pool from outside, while a driver serves it: what keeps a dataset."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from csi_zfs.datasets.api import (
    DatasetNotFoundError,
    NewDataset,
    NewSnapshot,
    PoolUnavailableError,
)
from csi_zfs.datasets.names import tombstone_of
from csi_zfs.domain.keepers import SnapshotTies, Ties
from csi_zfs.domain.model import ImageFile
from csi_zfs.domain.sizes import MIB
from csi_zfs.reflink.datasets import ReflinkDatasets
from csi_zfs.reflink.inspection import ReflinkInspection
from csi_zfs.reflink.pools import inspect_pool
from tests.support.reflink import contents_of, image_of, top_of

pytestmark = pytest.mark.root


@pytest.fixture
def inspection(datasets: ReflinkDatasets, tmp_path: Path) -> Iterator[ReflinkInspection]:
    """Beside the driver that has the pool open."""
    with closing(inspect_pool(tmp_path / "pool", name="fast")) as opened:
        yield opened


def test_ties_are_the_image_and_the_snapshots_by_age_with_their_holds(
    datasets: ReflinkDatasets, inspection: ReflinkInspection
) -> None:
    datasets.create(NewDataset("v/a", MIB))
    for leaf in ("z", "b"):
        datasets.snapshot([NewSnapshot(f"v/a@{leaf}")])
    datasets.clone("v/a@z", NewDataset("v/copy", MIB))
    datasets.hold("v/a@b", "tag")
    before = contents_of(top_of(datasets))
    assert inspection.ties("v/a") == Ties(
        data=ImageFile(image_of(datasets, "v/a"), MIB),
        snapshots=(SnapshotTies("v/a@z"), SnapshotTies("v/a@b", holds={"tag": 0})),
    )
    assert contents_of(top_of(datasets)) == before


def test_ties_of_a_tombstone_have_no_data(
    datasets: ReflinkDatasets, inspection: ReflinkInspection
) -> None:
    uid = datasets.create(NewDataset("v/a", MIB)).uid
    datasets.snapshot([NewSnapshot("v/a@s")])
    name = tombstone_of(uid)
    datasets.retire("v/a", name)
    assert inspection.ties(name) == Ties(None, (SnapshotTies(f"{name}@s"),))


def test_pool_and_its_contents_are_those_that_the_driver_has(
    datasets: ReflinkDatasets, inspection: ReflinkInspection
) -> None:
    made = datasets.create(NewDataset("v/a", MIB))
    taken = datasets.snapshot([NewSnapshot("v/a@s")])[0]
    assert (inspection.pool_id, inspection.pool_name) == (datasets.pool_id, "fast")
    assert inspection.get("v/a") == made
    assert inspection.get_snapshot("v/a@s") == taken
    assert list(inspection.list_snapshots()) == [taken]
    assert inspection.place_of("v/a@s") == str(top_of(datasets) / "v/a/@s")
    with pytest.raises(DatasetNotFoundError):
        inspection.ties("v/none")


def test_place_without_a_pool_is_unavailable(tmp_path: Path) -> None:
    """rules.md A5: as one that is not mounted is."""
    with pytest.raises(PoolUnavailableError):
        inspect_pool(tmp_path, name="fast")
