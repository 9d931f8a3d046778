"""Who inherits the snapshots of a tombstone, where the kernel cannot read all of it."""

import pytest

from csi_zfs.datasets.api import NewDataset, NewSnapshot
from csi_zfs.datasets.names import tombstone_of
from csi_zfs.domain.sizes import MIB
from csi_zfs.zfs.datasets import LibzfsCoreDatasets
from csi_zfs.zfs.inspection import ZfsInspection
from csi_zfs.zfs.pools import home_of, open_pool
from tests.support.zfs_fake_pools import PARENT, FakeZfs, write

NAME = tombstone_of("0123456789abcdef")


@pytest.fixture
def datasets(zfs: FakeZfs) -> LibzfsCoreDatasets:
    """A tombstone with two snapshots, whose head has what none of them has, and a clone."""
    opened = open_pool(PARENT, name="pool", doors=zfs.doors)
    opened.create(NewDataset("v/a", 8 * MIB))
    opened.snapshot([NewSnapshot("v/a@older")])
    opened.snapshot([NewSnapshot("v/a@s")])
    opened.clone("v/a@s", NewDataset("v/c", 8 * MIB))
    write(zfs.dataset("v/a"), bytes(2 * MIB))
    opened.retire("v/a", NAME)
    return opened


def test_clone_that_was_made_by_hand_is_no_heir(zfs: FakeZfs, datasets: LibzfsCoreDatasets) -> None:
    """rules.md A2: neither below the parent nor beside it."""
    for name in (f"{PARENT}/v/a-by-hand", "tank/by-hand"):
        zfs.core.clone(name, f"{PARENT}/{NAME}@s", {})
    assert datasets.heir_of(NAME) == "v/c"
    datasets.destroy("v/c", uid=datasets.get("v/c").uid)
    assert datasets.heir_of(NAME) == ""


@pytest.mark.parametrize("name", [f"{NAME}@older", f"{NAME}@s", NAME])
def test_tombstone_of_which_something_cannot_be_read_has_no_heir(
    zfs: FakeZfs, datasets: LibzfsCoreDatasets, name: str
) -> None:
    """rules.md B8."""
    zfs.pool.unreadable.add(f"{PARENT}/{name}")
    assert datasets.heir_of(NAME) == ""


def test_ties_of_what_cannot_be_read_are_told_as_far_as_they_can_be(
    zfs: FakeZfs, datasets: LibzfsCoreDatasets
) -> None:
    """rules.md B8."""
    zfs.pool.unreadable.add(f"{PARENT}/{NAME}@s")
    inspection = ZfsInspection(home_of(PARENT, name="pool", core=zfs.core), zfs.doors.devices)
    clones = {one.name: one.clones for one in inspection.ties(NAME).snapshots}
    assert clones == {f"{NAME}@older": (), f"{NAME}@s": ("v/c",)}
