"""One driver for one pool: taken, refused, and known again after an export and an import."""

import os
from collections.abc import Iterator
from functools import partial

import pytest

from csi_zfs.datasets.api import NewDataset, NewSnapshot
from csi_zfs.domain.errors import UnavailableError
from csi_zfs.domain.sizes import MIB
from csi_zfs.zfs.datasets import LibzfsCoreDatasets
from csi_zfs.zfs.outcomes import PoolServedElsewhereError
from csi_zfs.zfs.pools import create_pool, open_pool
from csi_zfs.zfs.serving import TAG, Lease
from tests.support.zfs_fake_pools import PARENT, FakeZfs

SERVED = f"{PARENT}/v@Served"


class Node:
    """A driver on a node: what it has open goes with its process."""

    def __init__(self, zfs: FakeZfs, node_id: str) -> None:
        self._zfs = zfs
        self._lease = Lease(zfs.pool.control.open(), f"{node_id} on host")

    def serve(self, parent: str = PARENT) -> LibzfsCoreDatasets:
        """Open a pool."""
        return open_pool(parent, name="tank", doors=self._zfs.doors, lease=self._lease)

    def die(self) -> None:
        """End the process."""
        os.close(self._lease.descriptor)


@pytest.fixture(name="first")
def fixture_first(zfs: FakeZfs) -> Iterator[Node]:
    node = Node(zfs, "first")
    yield node
    node.die()


@pytest.fixture(name="second")
def fixture_second(zfs: FakeZfs) -> Iterator[Node]:
    node = Node(zfs, "second")
    yield node
    node.die()


def served_by(zfs: FakeZfs) -> str:
    return str(zfs.pool.dataset(PARENT).properties["io.csi-zfs:served_by"])


def test_pool_is_kept_from_a_second_driver_whose_error_names_both(
    zfs: FakeZfs, first: Node, second: Node
) -> None:
    first.serve()
    words = r"tank/csi is served by first on host \([0-9a-f]{16}\), so second on host does not"
    with pytest.raises(PoolServedElsewhereError, match=words) as refused:
        second.serve()
    assert isinstance(refused.value, UnavailableError)
    assert zfs.core.holds(SERVED).keys() == {TAG}
    assert served_by(zfs).startswith("first on host")


def test_pool_that_is_served_can_be_looked_at(zfs: FakeZfs, first: Node) -> None:
    """`csi-zfs pool list`, and `create`, which may be repeated."""
    pool = first.serve()
    pool.create(NewDataset("v/a", MIB))
    other = open_pool(PARENT, name="tank", doors=zfs.doors)
    assert [one.name for one in other.list()] == ["v/a"]
    assert create_pool(PARENT, zfs.doors) == pool.pool_id


def test_pool_of_a_driver_that_died_is_taken_over(zfs: FakeZfs, second: Node) -> None:
    first = Node(zfs, "first")
    first.serve().create(NewDataset("v/a", MIB))
    first.die()
    assert [one.name for one in second.serve().list()] == ["v/a"]
    assert served_by(zfs).startswith("second on host")


def test_pool_of_a_driver_that_is_still_dying_is_waited_for(
    zfs: FakeZfs, second: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a kill its helper process lives on for a moment."""
    first = Node(zfs, "first")
    first.serve()
    monkeypatch.setattr(zfs.clock, "wait", lambda _: first.die())
    assert list(second.serve().list()) == []


def test_driver_serves_two_pools_of_a_zpool(zfs: FakeZfs, first: Node, second: Node) -> None:
    create_pool(f"{PARENT}-2", zfs.doors)
    first.serve()
    assert first.serve(f"{PARENT}-2").pool_id != first_id(zfs)
    with pytest.raises(PoolServedElsewhereError, match="tank/csi-2 is served by first"):
        second.serve(f"{PARENT}-2")


def first_id(zfs: FakeZfs) -> str:
    return open_pool(PARENT, name="tank", doors=zfs.doors).pool_id


def test_driver_goes_on_after_an_export_and_an_import(zfs: FakeZfs, first: Node) -> None:
    pool = first.serve()
    zfs.export()
    zfs.import_again()
    assert pool.create(NewDataset("v/a", MIB)).name == "v/a"
    pool.set_user_properties("v/a", {"x": "y"})


def test_driver_whose_pool_was_taken_over_after_an_import_does_nothing_more(
    zfs: FakeZfs, first: Node, second: Node
) -> None:
    """The import has forgotten that it is served: whoever comes then is the one."""
    pool = first.serve()
    dataset = pool.create(NewDataset("v/a", MIB))
    zfs.export()
    zfs.import_again()
    taken = second.serve()
    with pytest.raises(PoolServedElsewhereError, match="another driver has taken over"):
        pool.set_user_properties("v/a", {"x": "first"})
    for refused in (
        partial(pool.destroy, "v/a", uid=dataset.uid),
        partial(pool.snapshot, [NewSnapshot("v/a@s")]),
        partial(pool.rename, "v/a", "v/b"),
        partial(pool.create, NewDataset("v/b", MIB)),
        partial(pool.clone, "v/a", NewDataset("v/b", MIB)),
        partial(pool.resize, "v/a", 2 * MIB),
        partial(pool.set_properties, "v/a", {"compression": "lz4"}),
    ):
        with pytest.raises(PoolServedElsewhereError):
            refused()
    assert not pool.is_reachable()
    assert taken.set_user_properties("v/a", {"x": "second"}).user_properties == {"x": "second"}


def test_same_node_after_an_import_is_another_driver(zfs: FakeZfs, first: Node) -> None:
    """A name alone would not tell the two apart."""
    old = first.serve()
    old.create(NewDataset("v/a", MIB))
    zfs.export()
    zfs.import_again()
    again = Node(zfs, "first")
    again.serve()
    with pytest.raises(PoolServedElsewhereError):
        old.set_user_properties("v/a", {})
    again.die()
