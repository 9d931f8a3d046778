"""One name makes one thing, on a node that the request allows."""

import threading

import pytest

from csi_zfs.domain.sizes import GIB
from csi_zfs.rpc.generated import csi_pb2
from csi_zfs.rpc.router.placement import NowhereError, is_of_one_object, nodes_allowed
from tests.support.builders import volume_spec
from tests.support.csi_messages import from_snapshot, from_volume
from tests.support.points import once
from tests.support.pool_state import Room
from tests.support.routed import RoutedCluster
from tests.unit.rpc.router.calls import Code, Refused, create, node_of
from tests.unit.rpc.router.conftest import MakeCluster

BOTH = ("node-1", "node-2")
KEY = "k"
SNAPSHOT_UID = "snapshot-0f8fad5b-d9cb-469f-a165-70867728950e"


def test_volume_is_made_on_the_node_that_is_preferred(cluster: RoutedCluster) -> None:
    volume = create(cluster, "pvc-1", requisite=BOTH, preferred=("node-2", "node-1"))

    assert node_of(volume) == "node-2"
    assert cluster.node(2).names() == {"v/pvc-1"}
    assert cluster.node(1).names() == set()


@pytest.mark.parametrize("first", BOTH)
def test_repeated_create_finds_the_volume_wherever_it_is(
    cluster: RoutedCluster, first: str
) -> None:
    """rules.md B1: also where another node is preferred by now."""
    made = create(cluster, "pvc-1", requisite=(first,))
    other = next(node for node in BOTH if node != first)

    again = create(cluster, "pvc-1", requisite=BOTH, preferred=(other,))

    assert again == made


def test_volume_goes_to_the_next_node_where_the_first_has_no_room(
    make_cluster: MakeCluster,
) -> None:
    cluster = make_cluster(room_of=lambda number: Room(GIB * number))

    volume = create(
        cluster, "pvc-1", requisite=BOTH, preferred=("node-1",), size_bytes=3 * GIB // 2
    )

    assert node_of(volume) == "node-2"


def test_volume_that_fits_nowhere_is_refused_so_that_others_are_tried(
    cluster: RoutedCluster,
) -> None:
    with Refused(Code.RESOURCE_EXHAUSTED):
        create(cluster, "pvc-1", requisite=BOTH, size_bytes=1 << 50)

    assert cluster.node(1).names() | cluster.node(2).names() == set()


def test_nothing_is_made_while_a_node_that_may_have_the_name_is_away(
    cluster: RoutedCluster,
) -> None:
    """One name never makes two volumes."""
    made = create(cluster, "pvc-1", requisite=("node-2",))
    with cluster.away(2):
        with Refused(Code.UNAVAILABLE, "node-2"):
            create(cluster, "pvc-1", requisite=BOTH, preferred=("node-1",))
        assert cluster.node(1).names() == set()

    assert create(cluster, "pvc-1", requisite=BOTH, preferred=("node-1",)) == made


def test_nothing_is_made_while_the_name_is_being_worked_on_elsewhere(
    cluster: RoutedCluster,
) -> None:
    """The call of a router that was replaced may still be running on a node."""
    node, answered = cluster.node(2), threading.Event()

    def meanwhile() -> None:
        with Refused(Code.ABORTED, "another call is working on"):
            create(cluster, "pvc-1", requisite=BOTH, preferred=("node-1",))
        answered.set()

    node.effects = once("create:before", meanwhile)
    made = node.volumes.create(volume_spec("pvc-1"))

    assert answered.is_set()
    assert cluster.node(1).names() == set()
    assert create(cluster, "pvc-1", requisite=BOTH).volume_id == str(made.volume_id)


def test_name_that_two_nodes_have_is_for_a_person_to_decide(cluster: RoutedCluster) -> None:
    for number in (1, 2):
        cluster.node(number).volumes.create(volume_spec("pvc-1"))

    with Refused(Code.ALREADY_EXISTS, "exists on nodes node-1 and node-2"):
        create(cluster, "pvc-1", requisite=BOTH)


def test_volume_without_requirements_is_made_somewhere(cluster: RoutedCluster) -> None:
    assert node_of(create(cluster, "pvc-1")) in BOTH


def test_node_without_an_agent_is_not_passed_over(cluster: RoutedCluster) -> None:
    with Refused(Code.UNAVAILABLE, "no agent of node node-9 is known"):
        create(cluster, "pvc-1", requisite=("node-1", "node-9"))


def test_volume_on_a_cluster_without_agents_is_not_refused_for_good(
    make_cluster: MakeCluster,
) -> None:
    """rules.md B10: RESOURCE_EXHAUSTED would say that no earlier call made it."""
    with Refused(Code.UNAVAILABLE, "no node of the cluster runs the driver"):
        create(make_cluster(nodes=0), "pvc-1")


def test_copy_is_made_on_the_node_of_its_source(cluster: RoutedCluster) -> None:
    made = create(cluster, "pvc-1", requisite=("node-2",))
    snapshot = cluster.client.create_snapshot("snap-1", made.volume_id)

    restored = create(cluster, "pvc-2", requisite=BOTH, source=from_snapshot(snapshot.snapshot_id))
    clone = create(cluster, "pvc-3", source=from_volume(made.volume_id))

    assert (node_of(restored), node_of(clone)) == ("node-2", "node-2")


def test_copy_for_another_node_is_refused_so_that_the_scheduler_chooses_again(
    cluster: RoutedCluster,
) -> None:
    made = create(cluster, "pvc-1", requisite=("node-2",))

    with Refused(Code.RESOURCE_EXHAUSTED, "is on node node-2", "the request allows node-1"):
        create(cluster, "pvc-2", requisite=("node-1",), source=from_volume(made.volume_id))


def test_copy_whose_name_another_node_has_is_taken(cluster: RoutedCluster) -> None:
    """rules.md B1: not "no room", after which the same would be tried for ever."""
    source = create(cluster, "pvc-1", requisite=("node-2",))
    create(cluster, "pvc-2", requisite=("node-1",))

    with Refused(Code.ALREADY_EXISTS, "pvc-2"):
        create(cluster, "pvc-2", requisite=BOTH, source=from_volume(source.volume_id))


def test_copy_of_what_nobody_serves_now_is_not_told_to_be_missing(cluster: RoutedCluster) -> None:
    """rules.md A5: its node is away, and the router has never heard of its pools."""
    made = cluster.node(2).volumes.create(volume_spec("pvc-1"))

    with cluster.away(2), Refused(Code.UNAVAILABLE, "away: node-2"):
        create(cluster, "pvc-2", requisite=("node-1",), source=from_volume(str(made.volume_id)))


def test_snapshot_is_taken_where_its_source_is(cluster: RoutedCluster) -> None:
    made = create(cluster, "pvc-1", requisite=("node-2",))

    first = cluster.client.create_snapshot("snap-1", made.volume_id)

    assert cluster.client.create_snapshot("snap-1", made.volume_id) == first
    assert cluster.node(2).names() == {"v/pvc-1", "v/pvc-1@snap-1"}


def test_snapshot_name_that_another_node_has_is_taken(cluster: RoutedCluster) -> None:
    one = create(cluster, "pvc-1", requisite=("node-1",))
    other = create(cluster, "pvc-2", requisite=("node-2",))
    cluster.client.create_snapshot("snap-1", one.volume_id)

    with Refused(Code.ALREADY_EXISTS, "exists on node node-1"):
        cluster.client.create_snapshot("snap-1", other.volume_id)


def test_snapshot_of_any_name_waits_for_whoever_may_have_it(cluster: RoutedCluster) -> None:
    made = create(cluster, "pvc-1", requisite=("node-1",))

    with cluster.away(2):
        with Refused(Code.UNAVAILABLE, "node-2"):
            cluster.client.create_snapshot("snap-1", made.volume_id)
        # One that is made of an object's UID can be nowhere else.
        assert cluster.client.create_snapshot(SNAPSHOT_UID, made.volume_id).ready_to_use


def test_group_is_taken_on_the_node_of_its_volumes(cluster: RoutedCluster) -> None:
    volumes = [create(cluster, name, requisite=("node-2",)) for name in ("a", "b")]
    ids = [volume.volume_id for volume in volumes]

    group = cluster.client.create_group_snapshot("group-1", ids)

    assert cluster.client.create_group_snapshot("group-1", ids) == group
    got = cluster.client.call(
        cluster.client.groups.GetVolumeGroupSnapshot,
        csi_pb2.GetVolumeGroupSnapshotRequest(
            group_snapshot_id=group.group_snapshot_id,
            snapshot_ids=[one.snapshot_id for one in group.snapshots],
        ),
    )
    assert got.group_snapshot == group
    cluster.client.delete_group_snapshot(group)
    assert cluster.node(2).names() == {"v/a", "v/b"}


def test_group_of_volumes_of_two_nodes_is_refused(cluster: RoutedCluster) -> None:
    ids = [create(cluster, node_id, requisite=(node_id,)).volume_id for node_id in BOTH]

    with Refused(Code.FAILED_PRECONDITION, "on nodes node-1 and node-2"):
        cluster.client.create_group_snapshot("group-1", ids)


def test_nodes_are_tried_in_the_order_that_is_preferred() -> None:
    def at(*names: str) -> list[dict[str, str]]:
        return [{KEY: name} for name in names]

    assert nodes_allowed(at("a", "b", "c"), at("c", "x", "a"), KEY) == ["c", "a", "b"]
    assert nodes_allowed((), at("b", "a"), KEY) == ["b", "a"]
    assert nodes_allowed((), (), KEY) is None
    assert nodes_allowed([{"zone": "1"}, {KEY: "a"}], (), KEY) == ["a"]
    with pytest.raises(NowhereError, match="has the key k"):
        nodes_allowed([{"zone": "1"}, {KEY: "a", "zone": "1"}], (), KEY)


@pytest.mark.parametrize(
    ("name", "is_bound"),
    [
        (SNAPSHOT_UID, True),
        (f"group{SNAPSHOT_UID}", True),
        (f"{SNAPSHOT_UID}0", False),
        (SNAPSHOT_UID.upper(), False),
        ("snapshot-1", False),
        (SNAPSHOT_UID.replace("snapshot", "pvc"), False),
    ],
)
def test_name_made_of_the_uid_of_a_snapshot_object_is_told(name: str, is_bound: bool) -> None:  # noqa: FBT001 - a table
    assert is_of_one_object(name) is is_bound
