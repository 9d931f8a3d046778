"""Deletions in every order: all end with OK, what lives on is whole, and nothing is left."""

from collections.abc import Callable
from contextlib import suppress
from itertools import permutations

import pytest

from csi_zfs.datasets.api import DatasetSnapshot, NewDataset, SnapshotHeldError
from csi_zfs.domain.errors import OutcomeUnknownError
from csi_zfs.domain.ids import SnapshotId, VolumeId
from csi_zfs.domain.sizes import MIB
from csi_zfs.services import burial
from csi_zfs.services.catalogue import SnapshotNotFoundError
from csi_zfs.services.sources import SourceMovedError
from tests.support.builders import volume_spec
from tests.support.node import FakeNode
from tests.support.points import once, raising
from tests.support.pool_core import no_effects

Family = dict[str, VolumeId | SnapshotId]

# Each is made from the one before it.
MEMBERS = ("volume", "snapshot", "clone", "snapshot-2", "clone-2")
CANARIES = {"v/canary", "v/canary@canary", "v/by-hand", "v/by-hand@keep", "v/canary-clone"}


def make_family(node: FakeNode) -> Family:
    """The members; what each one holds is the names of those that it descends from, and its own."""
    family: Family = {"volume": node.volumes.create(volume_spec("volume")).volume_id}
    write(node, family, "volume")
    snapshot(node, family, "snapshot", of="volume")
    clone(node, family, "clone", of="snapshot")
    snapshot(node, family, "snapshot-2", of="clone")
    clone(node, family, "clone-2", of="snapshot-2")
    return family


def write(node: FakeNode, family: Family, name: str) -> None:
    volume_id = family[name]
    assert isinstance(volume_id, VolumeId)
    node.image(volume_id).content[name] = b"data"


def snapshot(node: FakeNode, family: Family, name: str, *, of: str) -> None:
    source = family[of]
    assert isinstance(source, VolumeId)
    family[name] = node.snapshots.create(
        snapshot_name=name, source_volume_id=source, parameters={}
    ).snapshot_id


def clone(node: FakeNode, family: Family, name: str, *, of: str) -> None:
    family[name] = node.volumes.create(volume_spec(name, content_source=family[of])).volume_id
    write(node, family, name)


def delete(node: FakeNode, member: VolumeId | SnapshotId) -> None:
    if isinstance(member, VolumeId):
        node.volumes.delete(member)
    else:
        node.snapshots.delete(member)


def content_of(node: FakeNode, member: VolumeId | SnapshotId) -> set[str]:
    """What a volume holds, or what a restore of a snapshot gives."""
    if isinstance(member, VolumeId):
        return set(node.image(member).content)
    restored = node.volumes.create(volume_spec("restored", content_source=member)).volume_id
    content = set(node.image(restored).content)
    node.volumes.delete(restored)
    return content


def plant_canaries(node: FakeNode) -> None:
    canary = node.volumes.create(volume_spec("canary")).volume_id
    source = node.snapshots.create(
        snapshot_name="canary", source_volume_id=canary, parameters={}
    ).snapshot_id
    node.volumes.create(volume_spec("canary-clone", content_source=source))
    node.pool.create(NewDataset("v/by-hand", MIB))
    node.pool.plant_snapshot("v/by-hand@keep")


EXPECTED = {
    "volume": {"volume"},
    "snapshot": {"volume"},
    "clone": {"volume", "clone"},
    "snapshot-2": {"volume", "clone"},
    "clone-2": {"volume", "clone", "clone-2"},
}


def nothing(_node: FakeNode) -> None:
    """Go on with the same driver."""


@pytest.mark.parametrize("first", MEMBERS)
@pytest.mark.parametrize(
    "between", [nothing, FakeNode.restart], ids=["one-driver", "a-restart-between"]
)
def test_all_orders_of_deletion_end_with_nothing_left(
    node: FakeNode, first: str, between: Callable[[FakeNode], None]
) -> None:
    """rules.md A3, A2: also when every delete is repeated."""
    plant_canaries(node)
    for order in permutations([name for name in MEMBERS if name != first]):
        alive = make_family(node)
        for name in (first, *order):
            delete(node, alive[name])
            between(node)
            delete(node, alive.pop(name))
            for survivor, member in alive.items():
                assert content_of(node, member) == EXPECTED[survivor], (first, *order, name)
        assert node.names() == CANARIES, (first, *order)


@pytest.mark.parametrize("order", list(permutations(["volume", "copy", "copy-2"])))
def test_all_orders_of_deletion_of_copies_of_live_volumes_end_with_nothing_left(
    node: FakeNode, order: tuple[str, ...]
) -> None:
    """rules.md A3: their hidden snapshots go too."""
    family: Family = {"volume": node.volumes.create(volume_spec("volume")).volume_id}
    clone(node, family, "copy", of="volume")
    clone(node, family, "copy-2", of="copy")
    for name in order:
        delete(node, family[name])
    assert node.names() == set()


def test_name_of_a_deleted_volume_is_free_while_its_snapshot_lives(node: FakeNode) -> None:
    """rules.md A3."""
    family = make_family(node)
    delete(node, family["volume"])
    again = node.volumes.create(volume_spec("volume"))
    assert node.image(again.volume_id).content == {}
    assert content_of(node, family["snapshot"]) == {"volume"}


def test_name_of_a_deleted_snapshot_is_free_while_its_clone_lives(node: FakeNode) -> None:
    """rules.md A3."""
    family = make_family(node)
    late = family["snapshot"]
    delete(node, late)
    write(node, family, "volume")
    snapshot(node, family, "snapshot", of="volume")
    delete(node, late)  # a late retry: the new one of the name has another uid
    assert content_of(node, family["snapshot"]) == {"volume"}
    assert content_of(node, family["clone"]) == {"volume", "clone"}


def test_snapshot_that_is_held_is_not_deleted(node: FakeNode) -> None:
    family = make_family(node)
    node.pool.hold("v/clone@snapshot-2", "backup")
    with pytest.raises(SnapshotHeldError, match="backup"):
        delete(node, family["snapshot-2"])
    assert content_of(node, family["snapshot-2"]) == EXPECTED["snapshot-2"]
    node.pool.release("v/clone@snapshot-2", "backup")
    delete(node, family["snapshot-2"])


@pytest.mark.parametrize("point", ["destroy:before", "retire:before", "retire:after"])
def test_delete_of_a_volume_with_a_snapshot_that_was_cut_short_is_finished(
    node: FakeNode, point: str
) -> None:
    """rules.md A3, B1: by its repetition, without a restart."""
    family: Family = {"volume": node.volumes.create(volume_spec("volume")).volume_id}
    write(node, family, "volume")
    snapshot(node, family, "snapshot", of="volume")
    node.effects = once(point, raising(OutcomeUnknownError("cut short")))
    with pytest.raises(OutcomeUnknownError):
        delete(node, family["volume"])
    with suppress(SourceMovedError):  # "repeat this call": it finds where the snapshot is now
        content_of(node, family["snapshot"])
    assert content_of(node, family["snapshot"]) == {"volume"}
    delete(node, family["volume"])
    assert content_of(node, family["snapshot"]) == {"volume"}
    delete(node, family["snapshot"])
    assert node.names() == set()


def test_repeated_delete_finishes_what_was_cut_short_and_spares_a_new_volume_of_the_name(
    node: FakeNode,
) -> None:
    """rules.md A2, B1: what the engine had yet to give back may be as large as the volume."""
    family: Family = {"volume": node.volumes.create(volume_spec("volume")).volume_id}
    snapshot(node, family, "snapshot", of="volume")
    node.effects = once("retire:after", raising(OutcomeUnknownError("cut short")))
    with pytest.raises(OutcomeUnknownError):
        delete(node, family["volume"])
    points: list[str] = []
    node.effects = points.append
    delete(node, family["volume"])
    assert "retire:before" in points
    new = node.volumes.create(volume_spec("volume"))
    points.clear()
    delete(node, family["volume"])
    assert not [point for point in points if point.startswith(("retire", "destroy"))]
    assert node.volumes.get(new.volume_id) == new


def test_delete_of_a_volume_with_a_snapshot_lets_go_of_a_device_that_was_left(
    node: FakeNode,
) -> None:
    """rules.md A11: no device stays on data that is given back."""
    family: Family = {"volume": node.volumes.create(volume_spec("volume")).volume_id}
    snapshot(node, family, "snapshot", of="volume")
    data_path = node.pool.data_path("v/volume")
    node.mounter.attach(data_path)
    delete(node, family["volume"])
    assert node.mounter.find_device(data_path) is None


@pytest.mark.parametrize(
    "point",
    [
        f"{verb}:{side}"
        for verb in ("destroy_snapshot", "rename_snapshot", "destroy")
        for side in ("before", "after")
    ],
)
@pytest.mark.parametrize("name", ["snapshot", "clone"])
def test_delete_of_the_last_but_one_that_was_cut_short_is_finished(
    node: FakeNode, point: str, name: str
) -> None:
    """rules.md A3, B1: by its repetition, without a restart."""
    family: Family = {"volume": node.volumes.create(volume_spec("volume")).volume_id}
    snapshot(node, family, "snapshot", of="volume")
    clone(node, family, "clone", of="snapshot")
    delete(node, family.pop("volume"))
    node.effects = once(point, raising(OutcomeUnknownError("cut short")))
    with suppress(OutcomeUnknownError):  # not every order comes to every point
        delete(node, family[name])
    node.effects = no_effects
    delete(node, family[name])
    for member in family.values():
        delete(node, member)
    assert node.names() == set()


def test_snapshot_that_moved_in_this_moment_is_neither_absent_nor_lost(node: FakeNode) -> None:
    """rules.md A5: a delete of its volume was cut short after the snapshot had moved."""
    family = make_family(node)
    node.effects = once("retire:after", raising(OutcomeUnknownError("cut short")))
    with pytest.raises(OutcomeUnknownError):
        delete(node, family["volume"])
    assert node.catalogue.read_snapshot(_snapshot_id(family["snapshot"])).dataset_name.startswith(
        "v/D-"
    )


def test_snapshot_that_was_destroyed_by_hand_is_gone(node: FakeNode) -> None:
    """rules.md B3."""
    family = make_family(node)
    snapshot_id = _snapshot_id(family["snapshot-2"])
    delete(node, family["clone-2"])
    node.pool.destroy_snapshot("v/clone@snapshot-2", uid=snapshot_id.uid)
    delete(node, snapshot_id)
    with pytest.raises(SnapshotNotFoundError):
        node.snapshots.get(snapshot_id)


def test_tombstone_is_buried_by_whoever_comes_first(node: FakeNode) -> None:
    node.pool.create(NewDataset("v/D-0000000000000001", MIB))
    burial.bury(node.pool, "v/D-0000000000000001")
    burial.bury(node.pool, "v/D-0000000000000001")
    assert node.names() == set()


def test_burial_never_touches_what_is_no_tombstone(node: FakeNode) -> None:
    """rules.md A2."""
    node.pool.create(NewDataset("v/D-1", MIB))
    for name in ("v/D-1", "v/by-hand"):
        burial.bury(node.pool, name)
    burial.finish_deletes(node.pool)
    assert node.names() == {"v/D-1"}


@pytest.mark.expected_logs("v/D-")
def test_damaged_tombstone_keeps_nothing_from_starting(openzfs_node: FakeNode) -> None:
    """rules.md B8: not even where the chain of burials leads to it."""
    node = openzfs_node
    family = make_family(node)
    for name in ("volume", "snapshot", "clone", "snapshot-2"):
        delete(node, family[name])
    volume_id = family["volume"]
    assert isinstance(volume_id, VolumeId)
    node.pool.damage(f"v/D-{volume_id.uid}")
    clone_id = family["clone-2"]
    assert isinstance(clone_id, VolumeId)
    node.pool.destroy("v/clone-2", uid=clone_id.uid)
    node.restart()
    left = [entry for entry in node.pool.list() if not isinstance(entry, Exception)]
    assert left == []


def test_deferred_destroy_of_a_snapshot_that_went_by_itself_is_no_error(node: FakeNode) -> None:
    family: Family = {"volume": node.volumes.create(volume_spec("volume")).volume_id}
    snapshot(node, family, "snapshot", of="volume")
    taken = node.pool.get_snapshot("v/volume@snapshot")
    assert isinstance(taken, DatasetSnapshot)
    node.pool.destroy_snapshot(taken.name, uid=taken.uid)
    burial.destroy_deferred(node.pool, taken)


def _snapshot_id(member: VolumeId | SnapshotId) -> SnapshotId:
    assert isinstance(member, SnapshotId)
    return member
