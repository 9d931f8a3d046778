"""Deleted volumes that give their snapshots to a clone: what callers see of it is nothing."""

from collections.abc import Callable
from contextlib import suppress

import pytest

from csi_zfs.datasets.api import (
    DatasetBusyError,
    DatasetExistsError,
    PoolFullError,
    RecordCorruptError,
)
from csi_zfs.domain.errors import OutcomeUnknownError
from csi_zfs.domain.ids import SnapshotId
from csi_zfs.services.catalogue import SnapshotNotFoundError
from csi_zfs.services.sources import SourceMovedError
from tests.support.lineage import Lineage
from tests.support.node import FakeNode
from tests.support.points import once, raising
from tests.support.pool_core import no_effects

LATER = "written after the snapshot"


@pytest.fixture
def node(openzfs_node: FakeNode) -> FakeNode:
    return openzfs_node


@pytest.fixture
def lineage(node: FakeNode) -> Lineage:
    """A volume that changed since its snapshot, and a clone of that."""
    made = Lineage(node)
    made.snapshot("snapshot", of="volume")
    made.clone("clone", of="snapshot")
    write(node, made, "volume")
    return made


def write(node: FakeNode, lineage: Lineage, name: str) -> None:
    node.image(lineage.volume(name)).content[LATER] = b"data"


def snapshot_id_of(lineage: Lineage, name: str = "snapshot") -> SnapshotId:
    return lineage.snapshot(name, of="volume")


def tombstone_of(lineage: Lineage, name: str = "volume") -> str:
    return f"v/D-{lineage.volume(name).uid}"


def test_delete_of_a_changed_volume_with_a_clone_leaves_nothing_of_it(
    node: FakeNode, lineage: Lineage
) -> None:
    """rules.md A3: what it alone had is free at once."""
    lineage.delete("volume")
    assert node.names() == {"v/clone", "v/clone@snapshot"}


def no_restart(_node: FakeNode) -> None:
    """Go on with the same driver."""


@pytest.mark.parametrize("between", [no_restart, FakeNode.restart])
def test_snapshot_that_moved_is_the_same_to_its_callers(
    node: FakeNode, lineage: Lineage, between: Callable[[FakeNode], None]
) -> None:
    """rules.md A3: it is shown, listed, restored and deleted as before, by the id it has."""
    snapshot_id = snapshot_id_of(lineage)
    before = node.snapshots.get(snapshot_id)
    lineage.delete("volume")
    between(node)
    assert node.snapshots.get(snapshot_id) == before
    listed = node.snapshots.list(
        max_entries=0,
        starting_token="",
        source_volume_id=lineage.volume("volume"),
        snapshot_id=None,
    )
    assert listed.entries == (before,)
    assert lineage.content("snapshot") == {"volume"}
    created = node.snapshots.create(
        snapshot_name="snapshot", source_volume_id=lineage.volume("volume"), parameters={}
    )
    assert created == before
    lineage.delete("snapshot")
    assert node.names() == {"v/clone"}


def test_clone_that_got_snapshots_is_deleted_like_any_other(
    node: FakeNode, lineage: Lineage
) -> None:
    """rules.md A3: and they live on."""
    lineage.delete("volume")
    lineage.delete("clone")
    assert node.names() == {
        tombstone_of(lineage, "clone"),
        f"{tombstone_of(lineage, 'clone')}@snapshot",
    }
    assert lineage.content("snapshot") == {"volume"}
    lineage.delete("snapshot")
    assert node.names() == set()


def test_delete_of_an_unchanged_volume_moves_nothing(node: FakeNode) -> None:
    """A template with many clones stays their origin."""
    lineage = Lineage(node)
    lineage.snapshot("snapshot", of="volume")
    lineage.clone("clone", of="snapshot")
    lineage.delete("volume")
    tombstone_name = tombstone_of(lineage)
    assert node.names() == {tombstone_name, f"{tombstone_name}@snapshot", "v/clone"}


def test_delete_of_the_youngest_snapshot_lets_an_older_ones_clone_inherit(
    node: FakeNode, lineage: Lineage
) -> None:
    lineage.snapshot("youngest", of="volume")
    lineage.delete("volume")
    assert tombstone_of(lineage) in node.names()
    lineage.delete("youngest")
    assert node.names() == {"v/clone", "v/clone@snapshot"}


def test_deleted_snapshot_goes_with_the_volume_below_its_only_clone(
    node: FakeNode, lineage: Lineage
) -> None:
    lineage.delete("snapshot")
    lineage.delete("volume")
    assert node.names() == {"v/clone"}


@pytest.mark.parametrize(
    "error",
    [
        DatasetExistsError("v/clone@snapshot exists"),
        DatasetBusyError("a snapshot is mounted"),
        PoolFullError("there is no room for what the clone reserves"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_promote_that_is_refused_leaves_the_tombstone_until_it_succeeds(
    node: FakeNode, lineage: Lineage, error: Exception
) -> None:
    """rules.md B1: a delete does not fail for it, and the next start tries again."""
    node.effects = once("promote:before", raising(error))
    lineage.delete("volume")
    assert tombstone_of(lineage) in node.names()
    assert lineage.content("snapshot") == {"volume"}
    node.restart()
    assert node.names() == {"v/clone", "v/clone@snapshot"}
    assert lineage.content("snapshot") == {"volume"}


def test_snapshot_that_is_restored_in_this_moment_is_not_moved(node: FakeNode) -> None:
    """Its restore would find it gone."""
    lineage = Lineage(node)
    lineage.snapshot("older", of="volume")
    lineage.snapshot("snapshot", of="volume")
    lineage.clone("clone", of="snapshot")
    write(node, lineage, "volume")
    node.effects = once("promote:before", raising(DatasetBusyError("a snapshot is mounted")))
    lineage.delete("volume")
    node.effects = once("clone:before", lambda: lineage.delete("older"))
    lineage.clone("restored", of="snapshot")
    assert tombstone_of(lineage) in node.names()
    assert lineage.content("restored") == {"volume", "restored"}
    lineage.delete("restored")
    assert node.names() == {"v/clone", "v/clone@snapshot"}


@pytest.mark.parametrize("point", ["promote:before", "promote:after", "destroy:before"])
@pytest.mark.parametrize("finish", [no_restart, FakeNode.restart])
def test_delete_that_was_cut_short_at_a_promote_is_finished(
    node: FakeNode, lineage: Lineage, point: str, finish: Callable[[FakeNode], None]
) -> None:
    """rules.md B1, A3: by the next start, or by the delete's repetition."""
    node.effects = once(point, raising(OutcomeUnknownError("cut short")))
    with pytest.raises(OutcomeUnknownError):
        lineage.delete("volume")
    node.effects = no_effects
    finish(node)
    lineage.delete("volume")
    assert node.names() == {"v/clone", "v/clone@snapshot"}
    with suppress(SourceMovedError):  # "repeat this call": it finds where the snapshot is now
        lineage.content("snapshot")
    assert lineage.content("snapshot") == {"volume"}
    for name in ("clone", "snapshot"):
        lineage.delete(name)
    assert node.names() == set()


def promote_by_hand(node: FakeNode, name: str, over: str) -> None:
    """As `zfs promote` does, behind the driver's back."""
    pool = node.pool
    for old, new in pool._state.promote(name, over).items():
        pool._disk.rename(pool._image(old), pool._image(new))


def test_snapshot_that_was_moved_by_hand_is_found(node: FakeNode, lineage: Lineage) -> None:
    """rules.md A5: the first call after it may have to be repeated, but none says "not found"."""
    promote_by_hand(node, "v/clone", "v/volume")
    with pytest.raises(SourceMovedError):
        lineage.content("snapshot")
    assert lineage.content("snapshot") == {"volume"}
    promote_by_hand(node, "v/volume", "v/clone")
    with pytest.raises(SourceMovedError):
        lineage.delete("snapshot")
    lineage.delete("snapshot")
    with pytest.raises(SnapshotNotFoundError):
        node.snapshots.get(snapshot_id_of(lineage))


@pytest.mark.expected_logs("cannot be read")
def test_snapshot_that_may_be_a_damaged_one_elsewhere_is_not_absent(
    node: FakeNode, lineage: Lineage
) -> None:
    """rules.md A5."""
    entry = node.catalogue.snapshot(snapshot_id_of(lineage))
    promote_by_hand(node, "v/clone", "v/volume")
    node.pool.damage("v/clone@snapshot")
    with pytest.raises(RecordCorruptError):
        node.catalogue.read_snapshot(entry.snapshot_id)
