"""Snapshots of single volumes: take, look up, list, delete."""

from dataclasses import replace

import pytest

from csi_zfs.datasets.api import DatasetExistsError, PoolFullError
from csi_zfs.domain.errors import OutcomeUnknownError
from csi_zfs.domain.ids import SnapshotId, VolumeId
from csi_zfs.domain.model import Page, Snapshot
from csi_zfs.domain.parameters import UnknownParameterError
from csi_zfs.domain.sizes import GIB, MIB, CapacityRange
from csi_zfs.services.catalogue import SnapshotNotFoundError, VolumeNotFoundError
from csi_zfs.services.listing import BadTokenError
from csi_zfs.services.locks import LockTakenError
from csi_zfs.services.pools import PoolAwayError, PoolNotServedError, Pools
from csi_zfs.services.snapshots import DifferentSnapshotError, GroupMemberError
from tests.support.builders import SIZE_BYTES, publish_spec, stage_spec, volume_spec
from tests.support.locks import LateLocks
from tests.support.node import FakeNode
from tests.support.points import once, raising
from tests.support.pool_state import Room

UID = "0" * 15 + "1"


@pytest.fixture
def volume_id(node: FakeNode) -> VolumeId:
    return node.volumes.create(volume_spec("pvc-1")).volume_id


def take(node: FakeNode, volume_id: VolumeId, name: str = "snap-1") -> Snapshot:
    return node.snapshots.create(snapshot_name=name, source_volume_id=volume_id, parameters={})


def page(
    node: FakeNode,
    *,
    max_entries: int = 0,
    starting_token: str = "",
    source_volume_id: VolumeId | None = None,
    snapshot_id: SnapshotId | None = None,
) -> Page[Snapshot]:
    return node.snapshots.list(
        max_entries=max_entries,
        starting_token=starting_token,
        source_volume_id=source_volume_id,
        snapshot_id=snapshot_id,
    )


def test_list_is_refused_while_what_it_is_about_may_be_on_a_pool_that_is_away(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md A5: what a list leaves out is taken not to exist."""
    snapshot = take(node, volume_id)
    snapshots = replace(node.snapshots, pools=Pools(node.pools, away_names=("slow",)))

    def listed(source_volume_id: VolumeId | None) -> Page[Snapshot]:
        return snapshots.list(
            max_entries=0, starting_token="", source_volume_id=source_volume_id, snapshot_id=None
        )

    with pytest.raises(PoolAwayError, match="pool slow could not be opened"):
        listed(None)
    with pytest.raises(PoolNotServedError, match="is not on this node"):
        listed(VolumeId("f" * 16, "pvc-1", UID))
    assert listed(volume_id).entries == (snapshot,)


def test_snapshot_says_when_it_was_taken_and_what_a_restore_needs(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md B2: the size is the restore size, never 0."""
    node.clock.advance(60)
    snapshot = take(node, volume_id)
    assert snapshot.created_ns == node.clock.now_ns()
    assert (snapshot.size_bytes, snapshot.source_volume_id) == (SIZE_BYTES, volume_id)
    assert snapshot.group_snapshot_id is None
    assert node.snapshots.get(snapshot.snapshot_id) == snapshot
    assert node.names() == {"v/pvc-1", "v/pvc-1@snap-1"}


def test_snapshot_repeated_has_the_same_creation_time(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md B2, B1."""
    snapshot = take(node, volume_id)
    node.clock.advance(60)
    assert take(node, volume_id) == snapshot
    node.restart()
    node.volumes.expand(volume_id, CapacityRange(GIB))
    assert take(node, volume_id) == snapshot
    node.volumes.delete(volume_id)
    assert take(node, volume_id) == snapshot


@pytest.mark.parametrize("side", ["before", "after"])
def test_snapshot_whose_answer_was_lost_is_found_by_its_repetition(
    node: FakeNode, volume_id: VolumeId, side: str
) -> None:
    """rules.md B1, B2."""
    node.effects = once(f"snapshot:{side}", raising(OutcomeUnknownError("lost")))
    with pytest.raises(OutcomeUnknownError):
        take(node, volume_id)
    snapshot = take(node, volume_id)
    assert node.pool.get_snapshot("v/pvc-1@snap-1").uid == snapshot.snapshot_id.uid
    assert node.names() == {"v/pvc-1", "v/pvc-1@snap-1"}


def test_snapshot_of_a_name_whose_delete_was_cut_short_is_taken_anew(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md B1: what the catalogue still knows is gone."""
    old = take(node, volume_id)
    node.effects = once("destroy_snapshot:after", raising(OutcomeUnknownError("lost")))
    with pytest.raises(OutcomeUnknownError):
        node.snapshots.delete(old.snapshot_id)
    new = take(node, volume_id)
    assert node.pool.get_snapshot("v/pvc-1@snap-1").uid == new.snapshot_id.uid
    node.snapshots.delete(old.snapshot_id)
    assert node.snapshots.get(new.snapshot_id) == new


def test_snapshot_of_a_name_that_another_volume_has_is_refused(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md B1: says which volume it is of."""
    take(node, volume_id)
    other = node.volumes.create(volume_spec("pvc-2")).volume_id
    with pytest.raises(DifferentSnapshotError, match=str(volume_id)):
        take(node, other)
    assert "v/pvc-2@snap-1" not in node.names()


def test_late_snapshot_of_an_earlier_volume_touches_nothing_of_the_new_one(
    node: FakeNode, volume_id: VolumeId
) -> None:
    node.volumes.delete(volume_id)
    node.volumes.create(volume_spec("pvc-1"))
    with pytest.raises(VolumeNotFoundError):
        take(node, volume_id)
    assert node.names() == {"v/pvc-1"}


def test_snapshot_of_a_name_that_was_taken_by_hand_leaves_it_alone(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md A2."""
    planted = node.pool.plant_snapshot("v/pvc-1@snap-1")
    with pytest.raises(DatasetExistsError, match="v/pvc-1@snap-1"):
        take(node, volume_id)
    assert node.pool.get_snapshot("v/pvc-1@snap-1") == planted


def test_snapshot_with_a_parameter_is_refused(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md C2."""
    with pytest.raises(UnknownParameterError):
        node.snapshots.create(
            snapshot_name="snap-1", source_volume_id=volume_id, parameters={"pool": "x"}
        )


def test_snapshot_that_does_not_fit_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """rules.md A13: a thick volume's snapshot counts at full size."""
    node = FakeNode(tmp_path_factory.mktemp("node"), room=Room(100 * MIB))
    thick = node.volumes.create(volume_spec(parameters={"provisioning": "thick"})).volume_id
    with pytest.raises(PoolFullError):
        take(node, thick)
    assert node.names() == {"v/pvc-1"}
    assert page(node).entries == ()


def test_snapshots_of_one_volume_go_on_side_by_side(node: FakeNode, volume_id: VolumeId) -> None:
    node.effects = once("snapshot:before", lambda: take(node, volume_id, "snap-2"))
    take(node, volume_id)
    assert len(page(node).entries) == 2


def test_snapshot_while_its_name_or_its_volume_is_worked_on_is_aborted(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md B1."""
    refused: list[LockTakenError] = []

    def again() -> None:
        try:
            take(node, volume_id)
        except LockTakenError as exc:
            refused.append(exc)

    node.effects = once("snapshot:before", again)
    take(node, volume_id)
    node.effects = once("resize:before", again)
    node.volumes.expand(volume_id, CapacityRange(GIB))
    assert len(refused) == 2


def test_extents_are_observed_for_each_snapshot_that_is_taken(
    node: FakeNode, volume_id: VolumeId
) -> None:
    node.pool.extent_counts["v/pvc-1"] = 4711
    take(node, volume_id)
    take(node, volume_id)
    assert node.extents == [0 if node.pool.features.dependent_clones else 4711]


def test_snapshot_after_a_stage_that_failed_knows_what_was_formatted(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md A4: else a restore would take the file system for somebody else's data."""
    node.effects = once("mount:before", raising(OutcomeUnknownError("lost")))
    with pytest.raises(OutcomeUnknownError):
        node.publishing.stage(stage_spec(node.kubelet_dir, volume_id))
    snapshot = take(node, volume_id)
    for source in (snapshot.snapshot_id, volume_id):
        copy = node.volumes.create(volume_spec(f"of-{source.KIND}", content_source=source))
        node.publishing.publish(publish_spec(node.kubelet_dir, copy.volume_id))


def test_list_pages_through_all_snapshots_or_those_of_a_volume(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md D: with a token and no maximum, all the rest."""
    other = node.volumes.create(volume_spec("pvc-2")).volume_id
    taken = [take(node, volume_id, f"snap-{i}") for i in range(4)]
    taken.append(take(node, other, "other"))
    taken.sort(key=lambda snapshot: str(snapshot.snapshot_id))
    first = page(node, max_entries=2)
    rest = page(node, starting_token=first.next_token)
    assert [*first.entries, *rest.entries] == taken
    assert rest.next_token == ""
    assert [one.source_volume_id for one in page(node, source_volume_id=other).entries] == [other]
    missing = VolumeId(volume_id.pool_id, "none", UID)
    assert page(node, source_volume_id=missing).entries == ()


def test_list_of_one_id_gives_that_snapshot_or_nothing(node: FakeNode, volume_id: VolumeId) -> None:
    snapshot = take(node, volume_id)
    other = node.volumes.create(volume_spec("pvc-2")).volume_id
    by_id = page(node, snapshot_id=snapshot.snapshot_id)
    assert by_id == Page((snapshot,))
    both = page(node, snapshot_id=snapshot.snapshot_id, source_volume_id=volume_id)
    assert both == Page((snapshot,))
    assert page(node, snapshot_id=snapshot.snapshot_id, source_volume_id=other) == Page(())
    assert page(node, snapshot_id=SnapshotId(volume_id.pool_id, "none", UID)) == Page(())


def test_list_with_a_bad_token_is_aborted(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md D."""
    with pytest.raises(BadTokenError):
        page(node, starting_token=str(volume_id))


def test_delete_takes_exactly_that_snapshot_and_can_be_repeated(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md A2, B3."""
    snapshot, kept = take(node, volume_id), take(node, volume_id, "snap-1-canary")
    node.pool.plant_snapshot("v/pvc-1@snap")
    for _ in range(2):
        node.snapshots.delete(snapshot.snapshot_id)
    node.snapshots.delete(SnapshotId(volume_id.pool_id, "never-there", UID))
    assert node.names() == {"v/pvc-1", "v/pvc-1@snap-1-canary", "v/pvc-1@snap"}
    assert page(node).entries == (kept,)
    with pytest.raises(SnapshotNotFoundError):
        node.snapshots.get(snapshot.snapshot_id)


def test_late_delete_touches_nothing_of_a_new_snapshot_of_the_name(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md A2."""
    old = take(node, volume_id)
    node.snapshots.delete(old.snapshot_id)
    new = take(node, volume_id)
    node.snapshots.delete(old.snapshot_id)
    assert page(node).entries == (new,)


def test_delete_that_another_one_overtakes_is_no_error(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md B1, B3."""
    snapshot_id = take(node, volume_id).snapshot_id
    late = LateLocks(lambda: node.snapshots.delete(snapshot_id))
    replace(node.snapshots, locks=late).delete(snapshot_id)
    assert node.names() == {"v/pvc-1"}


def test_delete_of_a_groups_member_alone_is_refused(node: FakeNode, volume_id: VolumeId) -> None:
    group = node.services.groups.create(
        group_snapshot_name="group-1", source_volume_ids=[volume_id], parameters={}
    )
    with pytest.raises(GroupMemberError, match=str(group.group_snapshot_id)):
        node.snapshots.delete(group.snapshots[0].snapshot_id)
    assert node.snapshots.get(group.snapshots[0].snapshot_id) == group.snapshots[0]


def test_snapshot_of_the_name_of_a_groups_member_is_refused(
    node: FakeNode, volume_id: VolumeId
) -> None:
    node.services.groups.create(
        group_snapshot_name="group-1", source_volume_ids=[volume_id], parameters={}
    )
    with pytest.raises(DifferentSnapshotError):
        take(node, volume_id, f"group-1/{volume_id.uid}")
