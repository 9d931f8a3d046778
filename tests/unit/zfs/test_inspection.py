"""A pool on OpenZFS from outside: what keeps a dataset, whoever made it."""

import pytest

from csi_zfs.datasets.api import DatasetKind, DatasetNotFoundError, NewDataset, NewSnapshot
from csi_zfs.domain.keepers import SnapshotTies, Ties
from csi_zfs.domain.model import DeviceNode, NativeFilesystem
from csi_zfs.domain.sizes import MIB
from csi_zfs.zfs.datasets import LibzfsCoreDatasets
from csi_zfs.zfs.inspection import ZfsInspection
from csi_zfs.zfs.pools import home_of, open_pool
from tests.support.zfs_fake_pools import PARENT, FakeZfs

TOMBSTONE = "v/D-0123456789abcdef"
NS = 1_000_000_000


@pytest.fixture
def datasets(zfs: FakeZfs) -> LibzfsCoreDatasets:
    return open_pool(PARENT, name="pool", doors=zfs.doors)


@pytest.fixture
def inspection(zfs: FakeZfs) -> ZfsInspection:
    home = home_of(PARENT, name="pool", core=zfs.core)
    return ZfsInspection(home, zfs.doors.devices)


def test_ties_are_snapshots_by_age_with_clones_and_holds(
    zfs: FakeZfs, datasets: LibzfsCoreDatasets, inspection: ZfsInspection
) -> None:
    """Those made by hand too, whatever their names are."""
    datasets.create(NewDataset("v/a", MIB))
    datasets.snapshot([NewSnapshot("v/a@zz")])
    zfs.core.snapshot([f"{PARENT}/v/a@auto:2026"])
    datasets.snapshot([NewSnapshot("v/a@d")])
    zfs.core.clone("tank/elsewhere", f"{PARENT}/v/a@zz", {})
    datasets.clone("v/a@zz", NewDataset("v/b", MIB))
    datasets.hold("v/a@d", "tag")
    datasets.destroy_snapshot("v/a@d", uid=datasets.get_snapshot("v/a@d").uid, is_deferred=True)
    device = zfs.dev.directory / f"zd{zfs.dataset('v/a').minor}"
    assert inspection.ties("v/a") == Ties(
        data=DeviceNode(device, MIB),
        snapshots=(
            SnapshotTies("v/a@zz", clones=("tank/elsewhere", "v/b")),
            SnapshotTies("v/a@auto:2026", is_ours=False),
            SnapshotTies("v/a@d", holds={"tag": zfs.pool.now_s() * NS}, is_deferred=True),
        ),
    )


def test_ties_of_a_file_system_are_its_mounts_and_what_is_below_it(
    zfs: FakeZfs, datasets: LibzfsCoreDatasets, inspection: ZfsInspection
) -> None:
    datasets.create(NewDataset("v/a", MIB, kind=DatasetKind.FILESYSTEM))
    zfs.core.create(f"{PARENT}/v/a/below", DatasetKind.FILESYSTEM, {})
    assert inspection.ties("v/a") == Ties(
        data=NativeFilesystem(f"{PARENT}/v/a", MIB), children=("v/a/below",)
    )


def test_ties_of_a_tombstone_without_a_device_have_no_data(
    datasets: LibzfsCoreDatasets, inspection: ZfsInspection
) -> None:
    datasets.create(NewDataset("v/a", MIB))
    datasets.snapshot([NewSnapshot("v/a@s")])
    datasets.retire("v/a", TOMBSTONE)
    assert inspection.ties(TOMBSTONE) == Ties(None, (SnapshotTies(f"{TOMBSTONE}@s"),))


def test_ties_of_what_is_not_there_are_not_found(inspection: ZfsInspection) -> None:
    """rules.md A5."""
    with pytest.raises(DatasetNotFoundError):
        inspection.ties("v/none")


def test_pool_and_its_contents_are_those_that_the_driver_has(
    datasets: LibzfsCoreDatasets, inspection: ZfsInspection
) -> None:
    made = datasets.create(NewDataset("v/a", MIB))
    taken = datasets.snapshot([NewSnapshot("v/a@s")])[0]
    assert (inspection.pool_id, inspection.pool_name) == (datasets.pool_id, "pool")
    assert inspection.get("v/a") == made
    assert inspection.get_snapshot("v/a@s") == taken
    assert list(inspection.list_snapshots()) == [taken]
    places = [inspection.place_of(name) for name in ("v/a@s", "v/a/below", "tank/elsewhere")]
    assert places == [f"{PARENT}/v/a@s", f"{PARENT}/v/a/below", "tank/elsewhere"]
