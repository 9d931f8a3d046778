"""Which names are taken here: what the router asks before it makes something elsewhere."""

import pytest

from csi_zfs.datasets.api import DatasetManager, PoolUnavailableError
from csi_zfs.domain.ids import VolumeId
from csi_zfs.services.catalogue import Catalogue
from csi_zfs.services.locks import KeyedLocks, LockTakenError
from csi_zfs.services.named import NamedThings
from csi_zfs.services.pools import PoolAwayError, Pools
from csi_zfs.services.sources import snapshot_key
from tests.support.builders import volume_spec
from tests.support.node import FakeNode


@pytest.fixture(name="volume_id")
def fixture_volume_id(node: FakeNode) -> VolumeId:
    return node.volumes.create(volume_spec("pvc-1")).volume_id


def beside(node: FakeNode, *, away_names: tuple[str, ...] = ()) -> NamedThings:
    """As the driver of the node, but with an empty catalogue and free locks."""
    managers: list[DatasetManager] = list(node.pools)
    pools = Pools(managers, away_names=away_names)
    return NamedThings(pools, Catalogue(pools), KeyedLocks())


def test_names_of_what_is_there_are_taken(node: FakeNode, volume_id: VolumeId) -> None:
    snapshot = node.snapshots.create(
        snapshot_name="snap-1", source_volume_id=volume_id, parameters={}
    )
    group = node.services.groups.create(
        group_snapshot_name="group-1", source_volume_ids=[volume_id], parameters={}
    )
    named = node.services.named

    assert named.volume("pvc-1") == volume_id
    assert named.snapshot("snap-1") == snapshot.snapshot_id
    assert named.group_snapshot("group-1") == group.group_snapshot_id


def test_other_names_are_free(node: FakeNode, volume_id: VolumeId) -> None:
    named = node.services.named

    assert named.volume("pvc-2") is None
    assert named.snapshot("pvc-1") is None
    assert named.group_snapshot("pvc-1") is None


def test_name_of_a_deleted_volume_is_free(node: FakeNode, volume_id: VolumeId) -> None:
    node.snapshots.create(snapshot_name="snap-1", source_volume_id=volume_id, parameters={})
    node.volumes.delete(volume_id)

    assert node.services.named.volume("pvc-1") is None


def test_volume_that_the_catalogue_does_not_know_is_found_on_its_pool(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md A5: its answer was lost with the driver that made it, say."""
    assert beside(node).volume("pvc-1") == volume_id


def test_nothing_is_told_while_the_name_is_being_worked_on(node: FakeNode) -> None:
    named = beside(node)
    with named.locks.hold(exclusive=["v/pvc-1", snapshot_key("snap-1")]):
        for look_up in (
            lambda: named.volume("pvc-1"),
            lambda: named.snapshot("snap-1"),
            lambda: named.group_snapshot("snap-1"),
        ):
            with pytest.raises(LockTakenError):
                look_up()


def test_nothing_is_told_while_a_pool_is_away(node: FakeNode, volume_id: VolumeId) -> None:
    """What is asked for may be there; what is found elsewhere is found."""
    named = beside(node, away_names=("slow",))

    assert named.volume("pvc-1") == volume_id
    for look_up in (named.volume, named.snapshot, named.group_snapshot):
        with pytest.raises(PoolAwayError, match="pool slow could not be opened"):
            look_up("pvc-2")


def test_nothing_is_told_of_a_pool_that_does_not_answer(node: FakeNode) -> None:
    node.pool.is_available = False
    named = beside(node)

    for look_up in (named.volume, named.snapshot, named.group_snapshot):
        with pytest.raises(PoolUnavailableError):
            look_up("pvc-1")
