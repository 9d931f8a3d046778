"""Group snapshots: several volumes at one instant, or none."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from csi_zfs.datasets.api import PoolFullError, PoolUnavailableError
from csi_zfs.domain.errors import OutcomeUnknownError
from csi_zfs.domain.ids import VolumeId
from csi_zfs.domain.model import GroupSnapshot, Snapshot
from csi_zfs.domain.parameters import UnknownParameterError
from csi_zfs.domain.sizes import GIB, MIB, CapacityRange
from csi_zfs.mount.api import FreezeLimitError
from csi_zfs.services.catalogue import VolumeNotFoundError
from csi_zfs.services.groups import (
    DifferentGroupError,
    GroupMismatchError,
    GroupNotFoundError,
    GroupSnapshots,
    IncompleteGroupError,
    UngroupableError,
)
from csi_zfs.services.locks import LockTakenError
from tests.support.builders import block_capability, publish_spec, volume_spec
from tests.support.node import FakeNode
from tests.support.points import once, raising
from tests.support.pool_core import no_effects
from tests.support.pool_state import Room

UID = "0" * 15 + "1"


@pytest.fixture
def volume_ids(node: FakeNode) -> list[VolumeId]:
    return [node.volumes.create(volume_spec(f"pvc-{i}")).volume_id for i in (1, 2, 3)]


def take(node: FakeNode, volume_ids: Sequence[VolumeId], name: str = "group-1") -> GroupSnapshot:
    return node.services.groups.create(
        group_snapshot_name=name, source_volume_ids=volume_ids, parameters={}
    )


def groups_of(node: FakeNode) -> GroupSnapshots:
    return node.services.groups


def snapshots_on(node: FakeNode) -> set[str]:
    return {name for name in node.names() if "@" in name}


def test_group_has_one_snapshot_of_each_volume(node: FakeNode, volume_ids: list[VolumeId]) -> None:
    group = take(node, [*volume_ids, volume_ids[0]])
    assert {one.source_volume_id for one in group.snapshots} == set(volume_ids)
    assert {one.group_snapshot_id for one in group.snapshots} == {group.group_snapshot_id}
    assert group.group_snapshot_name == "group-1"
    assert group.created_ns == node.clock.now_ns()
    ids = [one.snapshot_id for one in group.snapshots]
    assert groups_of(node).get(group.group_snapshot_id, []) == group
    assert groups_of(node).get(group.group_snapshot_id, ids) == group
    assert len(snapshots_on(node)) == 3


def test_group_repeated_is_the_same_group_whatever_the_order_of_the_volumes(
    node: FakeNode, volume_ids: list[VolumeId]
) -> None:
    """rules.md B1, B2."""
    group = take(node, volume_ids)
    node.clock.advance(60)
    assert take(node, volume_ids[::-1]) == group
    node.restart()
    assert take(node, volume_ids) == group
    assert len(snapshots_on(node)) == 3


def test_group_repeated_while_its_pool_is_away_is_unavailable(
    node: FakeNode, volume_ids: list[VolumeId]
) -> None:
    """rules.md A12: what was there once is not said to be ready now."""
    group = take(node, volume_ids)
    node.pool.is_available = False
    with pytest.raises(PoolUnavailableError):
        take(node, volume_ids)
    node.pool.is_available = True
    assert take(node, volume_ids) == group


def test_group_repeated_after_all_of_it_went_by_hand_is_taken_again(
    node: FakeNode, volume_ids: list[VolumeId]
) -> None:
    group = take(node, volume_ids)
    for name in snapshots_on(node):
        node.pool.destroy_snapshot(name, uid=node.pool.get_snapshot(name).uid)
    again = take(node, volume_ids)
    assert again.group_snapshot_id != group.group_snapshot_id
    assert len(snapshots_on(node)) == 3


@pytest.mark.parametrize("count", [1, 2])
def test_group_of_a_name_that_others_have_is_refused(
    node: FakeNode, volume_ids: list[VolumeId], count: int
) -> None:
    """rules.md B1."""
    take(node, volume_ids[:2])
    with pytest.raises(DifferentGroupError, match="group-1"):
        take(node, volume_ids[3 - count :])
    assert len(snapshots_on(node)) == 2


@pytest.mark.parametrize("side", ["before", "after"])
def test_group_whose_answer_was_lost_is_found_by_its_repetition(
    node: FakeNode, volume_ids: list[VolumeId], side: str
) -> None:
    """rules.md B1."""
    node.effects = once(f"snapshot:{side}", raising(OutcomeUnknownError("lost")))
    with pytest.raises(OutcomeUnknownError):
        take(node, volume_ids)
    assert len(snapshots_on(node)) == (0 if side == "before" else 3)  # all or none
    group = take(node, volume_ids)
    assert len(group.snapshots) == len(snapshots_on(node)) == 3


def test_group_whose_answer_was_lost_is_not_taken_for_one_of_other_volumes(
    node: FakeNode, volume_ids: list[VolumeId]
) -> None:
    """rules.md B1."""
    node.effects = once("snapshot:after", raising(OutcomeUnknownError("lost")))
    with pytest.raises(OutcomeUnknownError):
        take(node, volume_ids[:2])
    with pytest.raises(DifferentGroupError):
        take(node, volume_ids[1:])


@pytest.mark.parametrize("is_restarted", [True, False])
def test_group_whose_answer_was_lost_is_not_taken_for_one_of_fewer_volumes(
    node: FakeNode, volume_ids: list[VolumeId], *, is_restarted: bool
) -> None:
    """rules.md B1: it says so, and never answers a part of what was taken."""
    node.effects = once("snapshot:after", raising(OutcomeUnknownError("lost")))
    with pytest.raises(OutcomeUnknownError):
        take(node, volume_ids)
    if is_restarted:
        node.restart()
    with pytest.raises(DifferentGroupError, match="group-1"):
        take(node, volume_ids[:2])
    assert len(take(node, volume_ids).snapshots) == 3


def test_group_with_a_missing_volume_changes_nothing(
    node: FakeNode, volume_ids: list[VolumeId]
) -> None:
    missing = VolumeId(node.pool.pool_id, "pvc-9", UID)
    with pytest.raises(VolumeNotFoundError):
        take(node, [*volume_ids, missing])
    assert snapshots_on(node) == set()


def test_group_that_does_not_fit_changes_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    """rules.md A13: all or none."""
    node = FakeNode(tmp_path_factory.mktemp("node"), room=Room(200 * MIB))
    thick = {"provisioning": "thick"}
    ids = [node.volumes.create(volume_spec(n, parameters=thick)).volume_id for n in ("a", "b")]
    with pytest.raises(PoolFullError):
        take(node, ids)
    assert snapshots_on(node) == set()


def test_group_with_a_parameter_is_refused(node: FakeNode, volume_ids: list[VolumeId]) -> None:
    """rules.md C2."""
    with pytest.raises(UnknownParameterError):
        groups_of(node).create(
            group_snapshot_name="g", source_volume_ids=volume_ids, parameters={"pool": "x"}
        )


def test_group_over_several_pools_is_refused(two_pools: FakeNode) -> None:
    ids = [two_pools.volumes.create(volume_spec(name)).volume_id for name in ("a", "b")]
    with pytest.raises(UngroupableError, match="2 pools"):
        take(two_pools, ids)
    assert snapshots_on(two_pools) == set()


def test_group_that_would_hold_back_writers_too_long_is_refused_as_a_whole(
    reflink_node: FakeNode,
) -> None:
    """architecture.md, section 4: the limit is 10 s; an extent takes 30e-6 s."""
    node = reflink_node
    volume_ids = [node.volumes.create(volume_spec(f"pvc-{n}")).volume_id for n in (1, 2)]
    node.pool.extent_counts = {"v/pvc-1": 300_000, "v/pvc-2": 34_000}
    with pytest.raises(UngroupableError, match="334000 pieces"):
        take(node, volume_ids)
    assert snapshots_on(node) == set()
    node.pool.extent_counts = {"v/pvc-1": 300_000, "v/pvc-2": 33_000}
    take(node, volume_ids)


def test_group_whose_copy_came_to_the_freeze_limit_does_not_count(
    reflink_node: FakeNode,
) -> None:
    """architecture.md, section 4: a freeze limit refuses the whole group, never a part."""
    node = reflink_node
    volume_id = node.volumes.create(volume_spec()).volume_id
    node.publishing.publish(publish_spec(node.kubelet_dir, volume_id))
    node.disk.clone = slow(node, node.disk.clone)  # type: ignore[method-assign]
    with pytest.raises(FreezeLimitError):
        take(node, [volume_id])
    assert snapshots_on(node) == set()
    assert not node.image(volume_id).is_frozen


def slow(node: FakeNode, work: Callable[..., None]) -> Callable[..., None]:
    def run(*args: object) -> None:
        node.clock.advance(11)
        work(*args)

    return run


def test_group_is_of_one_instant(reflink_node: FakeNode) -> None:
    """All file systems are frozen before the first copy; a device has nothing to freeze."""
    node = reflink_node
    ids = [node.volumes.create(volume_spec(name)).volume_id for name in ("a", "b")]
    for volume_id in ids:
        node.publishing.publish(publish_spec(node.kubelet_dir, volume_id))
    block = block_capability()
    block_id = node.volumes.create(volume_spec("c", capability=block)).volume_id
    node.publishing.publish(publish_spec(node.kubelet_dir, block_id, block))
    seen: list[list[bool]] = []
    clone = node.disk.clone

    def looking(*args: object) -> None:
        seen.append([node.image(volume_id).is_frozen for volume_id in (*ids, block_id)])
        clone(*args)  # type: ignore[arg-type]

    node.disk.clone = looking  # type: ignore[assignment]
    take(node, [*ids, block_id])
    assert seen == [[True, True, False]] * 3
    assert not any(node.image(volume_id).is_frozen for volume_id in ids)


def test_group_while_one_of_its_volumes_is_worked_on_is_aborted(
    node: FakeNode, volume_ids: list[VolumeId]
) -> None:
    refused: list[LockTakenError] = []

    def again() -> None:
        try:
            take(node, volume_ids)
        except LockTakenError as exc:
            refused.append(exc)

    node.effects = once("resize:before", again)
    node.volumes.expand(volume_ids[1], CapacityRange(GIB))
    assert len(refused) == 1
    assert snapshots_on(node) == set()


# --- a group of which something is missing ---


def name_of(snapshot: Snapshot) -> str:
    return f"v/{snapshot.source_volume_id.leaf}@{snapshot.snapshot_id.leaf}"


def lose(node: FakeNode, snapshot: Snapshot) -> None:
    """Somebody destroys a member by hand."""
    node.pool.destroy_snapshot(name_of(snapshot), uid=snapshot.snapshot_id.uid)


def damage(node: FakeNode, snapshot: Snapshot) -> None:
    """A member's record is damaged."""
    with node.pool._reading() as state:
        found = state.snapshot(name_of(snapshot))
        broken = {**found.user_properties, "access_type": "tape"}
        state.put_snapshot(replace(found, user_properties=broken))


broken_by = pytest.mark.parametrize(
    "break_one",
    [lose, pytest.param(damage, marks=pytest.mark.expected_logs("cannot be read"))],
)


@broken_by
def test_group_that_lacks_a_member_is_never_served_as_a_smaller_one(
    node: FakeNode,
    volume_ids: list[VolumeId],
    break_one: Callable[[FakeNode, Snapshot], None],
) -> None:
    group = take(node, volume_ids)
    ids = [one.snapshot_id for one in group.snapshots]
    break_one(node, group.snapshots[1])
    node.restart()
    for listed in ([], ids):
        with pytest.raises(IncompleteGroupError, match="2 of 3"):
            groups_of(node).get(group.group_snapshot_id, listed)
    for asked in (volume_ids, volume_ids[:2]):
        with pytest.raises(IncompleteGroupError, match="2 of 3"):
            take(node, asked)


@broken_by
def test_delete_of_a_group_that_lacks_a_member_removes_the_others(
    node: FakeNode,
    volume_ids: list[VolumeId],
    break_one: Callable[[FakeNode, Snapshot], None],
) -> None:
    group = take(node, volume_ids)
    ids = [one.snapshot_id for one in group.snapshots]
    break_one(node, group.snapshots[1])
    node.restart()
    left = snapshots_on(node) & {name_of(group.snapshots[1])}
    for _ in range(2):
        groups_of(node).delete(group.group_snapshot_id, ids)
        assert snapshots_on(node) == left


def test_group_of_a_driver_that_wrote_no_sizes_is_served(
    node: FakeNode, volume_ids: list[VolumeId]
) -> None:
    group = take(node, volume_ids)
    with node.pool._reading() as state:
        for name in snapshots_on(node):
            found = state.snapshot(name)
            old = {key: text for key, text in found.user_properties.items() if key != "group_size"}
            state.put_snapshot(replace(found, user_properties=old))
    node.restart()
    assert groups_of(node).get(group.group_snapshot_id, []) == group
    assert take(node, volume_ids) == group


# --- delete ---


def test_delete_takes_the_whole_group_and_nothing_else(
    node: FakeNode, volume_ids: list[VolumeId]
) -> None:
    """rules.md A2, B3."""
    kept = take(node, volume_ids, "group-2")
    group = take(node, volume_ids)
    ids = [one.snapshot_id for one in group.snapshots]
    for listed in (ids, ids, []):
        groups_of(node).delete(group.group_snapshot_id, listed)
    with pytest.raises(GroupNotFoundError):
        groups_of(node).get(group.group_snapshot_id, [])
    assert groups_of(node).get(kept.group_snapshot_id, []) == kept
    assert len(snapshots_on(node)) == 3


def test_delete_of_a_group_spares_its_clones_and_ends_its_deleted_volumes(
    node: FakeNode, volume_ids: list[VolumeId]
) -> None:
    """rules.md A3."""
    group = take(node, volume_ids)
    first = group.snapshots[0]
    node.image(first.source_volume_id).content["late"] = b""
    clone = node.volumes.create(volume_spec("clone", content_source=first.snapshot_id))
    for volume_id in volume_ids:
        node.volumes.delete(volume_id)
    groups_of(node).delete(group.group_snapshot_id, [])
    assert node.image(clone.volume_id).content == {}
    node.volumes.delete(clone.volume_id)
    assert node.names() == set()


def test_delete_with_a_list_that_is_not_the_groups_is_refused_as_a_whole(
    node: FakeNode, volume_ids: list[VolumeId]
) -> None:
    group = take(node, volume_ids)
    ids = [one.snapshot_id for one in group.snapshots]
    stranger = node.snapshots.create(
        snapshot_name="s", source_volume_id=volume_ids[0], parameters={}
    ).snapshot_id
    for listed, named in ((ids[:2], ids[2]), ([*ids, stranger], stranger)):
        for use in (groups_of(node).delete, groups_of(node).get):
            with pytest.raises(GroupMismatchError, match=str(named)):
                use(group.group_snapshot_id, listed)
    assert len(snapshots_on(node)) == 4


@pytest.mark.parametrize("side", ["before", "after"])
def test_delete_that_was_cut_short_is_finished_by_its_repetition(
    node: FakeNode, volume_ids: list[VolumeId], side: str
) -> None:
    """rules.md B1: members that are gone already are no mismatch."""
    group = take(node, volume_ids)
    ids = [one.snapshot_id for one in group.snapshots]
    groups_of(node).snapshots.destroy_held(node.catalogue.snapshot(ids[0]))
    node.effects = once(f"destroy_snapshot:{side}", raising(OutcomeUnknownError("cut short")))
    with pytest.raises(OutcomeUnknownError):
        groups_of(node).delete(group.group_snapshot_id, ids)
    node.effects = no_effects
    groups_of(node).delete(group.group_snapshot_id, ids)
    assert snapshots_on(node) == set()
