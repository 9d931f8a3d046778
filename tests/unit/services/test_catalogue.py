"""The catalogue and the pools: what is loaded, what is damaged, and how absence is proved."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from csi_zfs.datasets.api import NewDataset, PoolUnavailableError, RecordCorruptError
from csi_zfs.domain.ids import GroupSnapshotId, SnapshotId, VolumeId
from csi_zfs.domain.sizes import MIB
from csi_zfs.services.catalogue import SnapshotNotFoundError, VolumeNotFoundError
from csi_zfs.services.groups import GroupNotFoundError
from csi_zfs.services.pools import PoolNotServedError
from tests.support.builders import EPHEMERAL_ID, ephemeral_spec, volume_spec
from tests.support.node import FakeNode

UID = "0" * 15 + "1"


@pytest.fixture
def volume_id(node: FakeNode) -> VolumeId:
    return node.volumes.create(volume_spec("pvc-1")).volume_id


@pytest.fixture
def snapshot_id(node: FakeNode, volume_id: VolumeId) -> SnapshotId:
    return node.snapshots.create(
        snapshot_name="snap-1", source_volume_id=volume_id, parameters={}
    ).snapshot_id


def listed(node: FakeNode) -> tuple[set[str], set[str]]:
    """The leaves of all listed volumes, and of all listed snapshots."""
    volumes = node.volumes.list(max_entries=0, starting_token="")
    snapshots = node.snapshots.list(
        max_entries=0, starting_token="", source_volume_id=None, snapshot_id=None
    )
    return (
        {volume.volume_id.leaf for volume in volumes.entries},
        {snapshot.snapshot_id.leaf for snapshot in snapshots.entries},
    )


def test_restart_finds_every_volume_snapshot_and_group(
    node: FakeNode, volume_id: VolumeId, snapshot_id: SnapshotId
) -> None:
    group = node.services.groups.create(
        group_snapshot_name="group-1", source_volume_ids=[volume_id], parameters={}
    )
    volume, snapshot = node.volumes.get(volume_id), node.snapshots.get(snapshot_id)
    node.restart()
    assert node.volumes.get(volume_id) == volume
    assert node.snapshots.get(snapshot_id) == snapshot
    assert node.services.groups.get(group.group_snapshot_id, []) == group
    assert node.catalogue.damaged() == {}


def test_snapshot_of_a_deleted_volume_is_found_after_a_restart(
    node: FakeNode, volume_id: VolumeId, snapshot_id: SnapshotId
) -> None:
    """rules.md A3."""
    snapshot = node.snapshots.get(snapshot_id)
    node.volumes.delete(volume_id)
    node.restart()
    assert node.snapshots.get(snapshot_id) == snapshot
    assert listed(node) == (set(), {"snap-1"})


def test_what_is_not_the_drivers_is_in_no_listing(
    node: FakeNode, volume_id: VolumeId, snapshot_id: SnapshotId
) -> None:
    """rules.md A2: datasets and snapshots that were made by hand, and the driver's hidden ones."""
    node.pool.create(NewDataset("v/by-hand", MIB))
    node.pool.plant_snapshot("v/pvc-1@by-hand")
    node.publishing.publish_ephemeral(ephemeral_spec(node.kubelet_dir))
    clone = node.volumes.create(volume_spec("clone", content_source=snapshot_id))
    node.volumes.create(volume_spec("clone-of-volume", content_source=volume_id))
    node.snapshots.delete(snapshot_id)
    for _ in ("now", "after a restart"):
        assert listed(node) == ({"pvc-1", "clone", "clone-of-volume"}, set())
        node.restart()
    node.volumes.delete(clone.volume_id)
    assert {"v/by-hand", "v/pvc-1@by-hand"} <= node.names()


@pytest.mark.expected_logs("v/bad")
def test_damaged_volume_costs_only_itself(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md B8, A5: it is served as damaged, never as absent."""
    bad = node.volumes.create(volume_spec("bad")).volume_id
    node.pool.damage("v/bad")
    node.restart()
    assert listed(node)[0] == {"pvc-1"}
    assert set(node.catalogue.damaged()) == {"v/bad"}
    with pytest.raises(RecordCorruptError):
        node.volumes.get(bad)
    with pytest.raises(RecordCorruptError):
        node.volumes.delete(bad)
    assert node.volumes.get(volume_id).volume_id == volume_id


@pytest.mark.expected_logs("v/bad")
def test_volume_whose_record_makes_no_sense_costs_only_itself(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md B8."""
    bad = node.volumes.create(volume_spec("bad")).volume_id
    node.pool.set_user_properties("v/bad", {"volume_name": "bad"})
    node.restart()
    with pytest.raises(RecordCorruptError):
        node.volumes.get(bad)
    assert node.volumes.get(volume_id).volume_id == volume_id


@pytest.mark.expected_logs("v/pvc-1@snap-1")
def test_damaged_snapshot_is_never_absent(
    node: FakeNode, volume_id: VolumeId, snapshot_id: SnapshotId
) -> None:
    """rules.md A5, B8: a delete that answered OK would leak it."""
    node.pool.damage("v/pvc-1@snap-1")
    node.restart()
    assert listed(node) == ({"pvc-1"}, set())
    for use in (node.snapshots.get, node.snapshots.delete):
        with pytest.raises(RecordCorruptError):
            use(snapshot_id)
    with pytest.raises(RecordCorruptError):
        node.volumes.create(volume_spec("clone", content_source=snapshot_id))
    with pytest.raises(SnapshotNotFoundError):
        node.snapshots.get(replace(snapshot_id, leaf="another"))


def test_volume_that_the_catalogue_missed_is_found_on_its_pool(
    node: FakeNode, volume_id: VolumeId
) -> None:
    node.catalogue.forget_volume(volume_id)
    assert node.volumes.get(volume_id).volume_id == volume_id
    assert listed(node)[0] == {"pvc-1"}


@pytest.mark.parametrize("leaf", ["pvc-1", "missing", "by-hand"])
def test_volume_that_is_proved_absent_is_not_found(
    node: FakeNode, volume_id: VolumeId, leaf: str
) -> None:
    """rules.md A5; another uid, no dataset, or one that was made by hand."""
    node.pool.create(NewDataset("v/by-hand", MIB))
    with pytest.raises(VolumeNotFoundError, match=leaf):
        node.volumes.get(VolumeId(volume_id.pool_id, leaf, UID))


def test_snapshot_that_is_proved_absent_is_not_found(node: FakeNode) -> None:
    with pytest.raises(SnapshotNotFoundError, match="snap-1"):
        node.snapshots.get(SnapshotId(node.pool.pool_id, "snap-1", UID))


def deletes_of(node: FakeNode) -> list[Callable[[], None]]:
    """One delete of each kind, of what was never there."""
    pool_id = node.pool.pool_id
    return [
        lambda: node.volumes.delete(VolumeId(pool_id, "pvc-1", UID)),
        lambda: node.snapshots.delete(SnapshotId(pool_id, "snap-1", UID)),
        lambda: node.services.groups.delete(GroupSnapshotId(pool_id, "group-1", UID), []),
    ]


def test_nothing_is_said_about_what_is_on_a_pool_that_is_away(node: FakeNode) -> None:
    """rules.md A5."""
    pool_id = node.pool.pool_id
    node.pool.is_available = False
    with pytest.raises(PoolUnavailableError):
        node.volumes.get(VolumeId(pool_id, "pvc-1", UID))
    with pytest.raises(PoolUnavailableError):
        node.snapshots.get(SnapshotId(pool_id, "snap-1", UID))
    with pytest.raises(PoolUnavailableError):
        node.services.groups.get(GroupSnapshotId(pool_id, "group-1", UID), [])
    for delete in deletes_of(node):
        with pytest.raises(PoolUnavailableError):
            delete()


def test_nothing_is_said_about_what_is_on_the_pool_of_another_node(node: FakeNode) -> None:
    """rules.md A5."""
    pool_id = "f" * 16
    with pytest.raises(PoolNotServedError):
        node.volumes.delete(VolumeId(pool_id, "pvc-1", UID))
    with pytest.raises(PoolNotServedError):
        node.snapshots.delete(SnapshotId(pool_id, "snap-1", UID))
    with pytest.raises(PoolNotServedError):
        node.services.groups.get(GroupSnapshotId(pool_id, "group-1", UID), [])


def test_group_that_is_proved_absent_is_not_found_and_deleted_at_once(node: FakeNode) -> None:
    """rules.md B3."""
    group_snapshot_id = GroupSnapshotId(node.pool.pool_id, "group-1", UID)
    with pytest.raises(GroupNotFoundError, match="group-1"):
        node.services.groups.get(group_snapshot_id, [])
    node.services.groups.delete(group_snapshot_id, [])


def test_volume_with_the_id_of_an_ephemeral_one_is_none(node: FakeNode) -> None:
    node.publishing.publish_ephemeral(ephemeral_spec(node.kubelet_dir, EPHEMERAL_ID))
    assert listed(node) == (set(), set())
    assert len(node.names()) == 1


def test_snapshot_of_another_uid_under_the_same_name_is_not_the_one(
    node: FakeNode, snapshot_id: SnapshotId
) -> None:
    """rules.md A2: it was replaced by hand."""
    node.pool.destroy_snapshot("v/pvc-1@snap-1", uid=snapshot_id.uid)
    node.pool.plant_snapshot("v/pvc-1@snap-1")
    with pytest.raises(SnapshotNotFoundError):
        node.catalogue.read_snapshot(snapshot_id)
    node.snapshots.delete(snapshot_id)
    assert "v/pvc-1@snap-1" in node.names()
