"""Deletions in every order: all end with OK, what lives on is whole, and nothing is left."""

from collections.abc import Callable
from itertools import permutations

import pytest

from csi_zfs.datasets import names
from csi_zfs.datasets.api import (
    DatasetBusyError,
    NewDataset,
    PoolUnavailableError,
    SnapshotHeldError,
)
from csi_zfs.domain.sizes import MIB
from csi_zfs.services import burial
from csi_zfs.services.catalogue import SnapshotNotFoundError
from csi_zfs.services.contents import PoolContents
from tests.support.burials import burial_on
from tests.support.lineage import Lineage
from tests.support.node import FakeNode
from tests.support.points import once, raising

# Each is made from the one before it; what each one holds.
MEMBERS = {
    "volume": {"volume"},
    "snapshot": {"volume"},
    "clone": {"volume", "clone"},
    "snapshot-2": {"volume", "clone"},
    "clone-2": {"volume", "clone", "clone-2"},
}
CANARIES = {"v/canary", "v/canary@canary-s", "v/canary-clone", "v/by-hand", "v/by-hand@keep"}


@pytest.fixture
def lineage(node: FakeNode) -> Lineage:
    return made(node)


def made(node: FakeNode) -> Lineage:
    lineage = Lineage(node)
    lineage.snapshot("snapshot", of="volume")
    lineage.clone("clone", of="snapshot")
    lineage.snapshot("snapshot-2", of="clone")
    lineage.clone("clone-2", of="snapshot-2")
    return lineage


def plant_canaries(node: FakeNode) -> None:
    """A lineage beside the one that is deleted, and what an administrator made."""
    canaries = Lineage(node)
    canaries.snapshot("canary-s", of="canary")
    canaries.clone("canary-clone", of="canary-s")
    node.pool.create(NewDataset("v/by-hand", MIB))
    node.pool.plant_snapshot("v/by-hand@keep")


def unpromotable(point: str) -> None:
    """A snapshot of every tombstone is mounted somewhere."""
    if point == "promote:before":
        raise DatasetBusyError("it is mounted")


def no_restart(_node: FakeNode) -> None:
    """Go on with the same driver."""


@pytest.mark.parametrize("first", MEMBERS)
@pytest.mark.parametrize("between", [no_restart, FakeNode.restart])
def test_all_orders_of_deletion_end_with_nothing_left(
    node: FakeNode, first: str, between: Callable[[FakeNode], None]
) -> None:
    """rules.md A3, A2: also when every delete is repeated."""
    plant_canaries(node)
    for rest in permutations([name for name in MEMBERS if name != first]):
        lineage, alive = made(node), dict(MEMBERS)
        for name in (first, *rest):
            lineage.delete(name)
            between(node)
            lineage.delete(name)
            del alive[name]
            assert {one: lineage.content(one) for one in alive} == alive, (first, *rest, name)
        assert node.names() == CANARIES, (first, *rest)


@pytest.mark.parametrize("order", list(permutations(["volume", "copy", "copy-2"])))
def test_all_orders_of_deletion_of_copies_of_live_volumes_end_with_nothing_left(
    node: FakeNode, order: tuple[str, ...]
) -> None:
    """rules.md A3: their hidden snapshots go too."""
    lineage = Lineage(node)
    lineage.volume("volume")
    lineage.clone("copy", of="volume")
    lineage.clone("copy-2", of="copy")
    for name in order:
        lineage.delete(name)
    assert node.names() == set()


def test_name_of_a_deleted_volume_is_free_while_its_snapshot_lives(
    node: FakeNode, lineage: Lineage
) -> None:
    """rules.md A3."""
    lineage.delete("volume")
    again = Lineage(node)
    again.volume("volume")
    assert again.content("volume") == {"volume"}
    assert lineage.content("snapshot") == {"volume"}


def test_name_of_a_deleted_snapshot_is_free_while_its_clone_lives(
    node: FakeNode, lineage: Lineage
) -> None:
    """rules.md A3, A2: a late retry meets another uid."""
    lineage.delete("snapshot")
    new = node.snapshots.create(
        snapshot_name="snapshot", source_volume_id=lineage.volume("volume"), parameters={}
    )
    lineage.delete("snapshot")
    assert node.snapshots.get(new.snapshot_id) == new
    assert lineage.content("clone") == MEMBERS["clone"]


def test_snapshot_that_is_held_is_not_deleted(node: FakeNode, lineage: Lineage) -> None:
    node.pool.hold("v/clone@snapshot-2", "backup")
    with pytest.raises(SnapshotHeldError, match="backup"):
        lineage.delete("snapshot-2")
    assert lineage.content("snapshot-2") == MEMBERS["snapshot-2"]
    node.pool.release("v/clone@snapshot-2", "backup")
    lineage.delete("snapshot-2")


def test_delete_of_a_volume_with_a_snapshot_lets_go_of_a_device_that_was_left(
    node: FakeNode, lineage: Lineage
) -> None:
    """rules.md A11: no device stays on data that is given back."""
    data_path = node.pool.data_path("v/volume")
    node.mounter.attach(data_path)
    lineage.delete("volume")
    assert node.mounter.find_device(data_path) is None


def test_snapshot_that_was_destroyed_by_hand_is_gone(node: FakeNode, lineage: Lineage) -> None:
    """rules.md B3."""
    snapshot_id = lineage.snapshot("snapshot-2", of="clone")
    lineage.delete("clone-2")
    node.pool.destroy_snapshot("v/clone@snapshot-2", uid=snapshot_id.uid)
    lineage.delete("snapshot-2")
    with pytest.raises(SnapshotNotFoundError):
        node.snapshots.get(snapshot_id)


def test_tombstone_is_buried_by_whoever_comes_first(node: FakeNode) -> None:
    node.pool.create(NewDataset("v/D-0000000000000001", MIB))
    burial_on(node.pool).bury(node.pool, "v/D-0000000000000001")
    burial_on(node.pool).bury(node.pool, "v/D-0000000000000001")
    assert node.names() == set()


def test_burial_never_touches_what_is_no_tombstone(node: FakeNode) -> None:
    """rules.md A2."""
    node.pool.create(NewDataset("v/D-1", MIB))
    for name in ("v/D-1", "v/by-hand"):
        burial_on(node.pool).bury(node.pool, name)
    burial_on(node.pool).finish_deletes(PoolContents.of(node.pool))
    assert node.names() == {"v/D-1"}


@pytest.mark.expected_logs("v/D-")
def test_damaged_tombstone_keeps_nothing_from_starting(openzfs_node: FakeNode) -> None:
    """rules.md B8: not even where the chain of burials leads to it."""
    lineage = made(openzfs_node)
    openzfs_node.effects = unpromotable
    for name in ("volume", "snapshot", "clone", "snapshot-2"):
        lineage.delete(name)
    pool = openzfs_node.pool
    pool.damage(f"v/D-{lineage.volume('volume').uid}")
    pool.destroy("v/clone-2", uid=lineage.volume("clone-2").uid)
    openzfs_node.restart()
    assert [entry for entry in pool.list() if not isinstance(entry, Exception)] == []


@pytest.mark.expected_logs("stays for now")
@pytest.mark.parametrize("error", [DatasetBusyError("open"), PoolUnavailableError("damaged")])
def test_tombstone_that_cannot_go_keeps_neither_the_others_nor_the_start(
    node: FakeNode, error: Exception
) -> None:
    """rules.md B8."""
    for number in (1, 2, 3):
        node.pool.create(NewDataset(names.tombstone_of(f"{number:016x}"), MIB))
    node.effects = once("destroy:before", raising(error))
    node.restart()
    assert len(node.names()) == 1
    node.restart()
    assert node.names() == set()


def test_deferred_destroy_of_a_snapshot_that_went_by_itself_is_no_error(
    node: FakeNode, lineage: Lineage
) -> None:
    lineage.delete("clone-2")
    taken = node.pool.get_snapshot("v/clone@snapshot-2")
    node.pool.destroy_snapshot(taken.name, uid=taken.uid)
    burial.destroy_deferred(node.pool, taken)
