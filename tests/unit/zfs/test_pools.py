"""Making and opening pools below a zpool that is there."""

import pytest

from csi_zfs.datasets.admission import InvalidPolicyError
from csi_zfs.datasets.api import DatasetKind, NewDataset, PoolUnavailableError
from csi_zfs.domain.sizes import MIB
from csi_zfs.zfs.pools import ParentNameError, create_pool, open_pool
from tests.support.zfs_fake_pools import PARENT, ZPOOL, FakeZfs


def test_create_pool_twice_is_the_same_pool(zfs: FakeZfs) -> None:
    """rules.md B1."""
    first = create_pool(PARENT, zfs.doors)
    open_pool(PARENT, name="pool", doors=zfs.doors).create(NewDataset("v/a", MIB))
    assert create_pool(PARENT, zfs.doors) == first
    datasets = open_pool(PARENT, name="pool", doors=zfs.doors)
    assert (datasets.pool_id, datasets.pool_name) == (first, "pool")
    assert [one.name for one in datasets.list()] == ["v/a"]


def test_pool_below_another_has_an_id_of_its_own(zfs: FakeZfs) -> None:
    """An id counts only where it was set: what is below inherits it."""
    inner = f"{PARENT}/inner"
    zfs.core.create(inner, DatasetKind.FILESYSTEM, {})
    with pytest.raises(PoolUnavailableError, match="is no pool of the driver"):
        open_pool(inner, name="pool", doors=zfs.doors)
    assert create_pool(inner, zfs.doors) != create_pool(PARENT, zfs.doors)


def test_open_of_what_is_no_pool_is_unavailable(zfs: FakeZfs) -> None:
    zfs.core.create(f"{ZPOOL}/data", DatasetKind.FILESYSTEM, {})
    for parent in (f"{ZPOOL}/data", f"{ZPOOL}/none", "nopool/csi"):
        with pytest.raises(PoolUnavailableError):
            open_pool(parent, name="pool", doors=zfs.doors)


def test_create_in_a_zpool_that_is_away_is_unavailable(zfs: FakeZfs) -> None:
    """rules.md A5."""
    with pytest.raises(PoolUnavailableError):
        create_pool("nopool/csi", zfs.doors)
    zfs.export()
    with pytest.raises(PoolUnavailableError):
        create_pool(PARENT, zfs.doors)


@pytest.mark.parametrize(
    "parent", ["tank", "tank/", "/tank/csi", "tank/-x", "tank/a b", "tank/x@y", "tank/" + "x" * 120]
)
def test_parent_of_another_grammar_is_refused(zfs: FakeZfs, parent: str) -> None:
    """rules.md C1."""
    with pytest.raises(ParentNameError):
        create_pool(parent, zfs.doors)
    with pytest.raises(ParentNameError):
        open_pool(parent, name="pool", doors=zfs.doors)


def test_policy_that_makes_no_sense_is_refused(zfs: FakeZfs) -> None:
    with pytest.raises(InvalidPolicyError):
        open_pool(PARENT, name="pool", doors=zfs.doors, reserve_percent=99)


def test_pool_whose_id_changed_is_another_pool(zfs: FakeZfs) -> None:
    """rules.md A5: a pool of the same name in the place of the other is not believed."""
    datasets = open_pool(PARENT, name="pool", doors=zfs.doors)
    zfs.commands.run(["zfs", "set", "io.csi-zfs:pool_id=0123456789abcdef", PARENT])
    with pytest.raises(PoolUnavailableError):
        datasets.get("v/a")
