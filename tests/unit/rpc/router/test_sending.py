"""Calls reach the node that has the pool; nobody's absence is told for a thing's."""

from pathlib import Path

import pytest

from csi_zfs.domain.sizes import GIB
from csi_zfs.rpc.generated import agent_pb2, csi_pb2
from csi_zfs.rpc.router import methods
from csi_zfs.rpc.router.connection import AgentAwayError, WrongAgentError
from csi_zfs.rpc.router.fleet import Fleet, FleetUnknownError, Member
from csi_zfs.rpc.tls import agent_name
from tests.support.certificates import Authority
from tests.support.csi_messages import mount_capability
from tests.support.node import FakeNode
from tests.support.routed import DRIVER, Agent, RoutedCluster
from tests.unit.rpc.router.calls import Code, Refused, create, topology
from tests.unit.rpc.router.conftest import MakeCluster

NOWHERE = "zfs1:ffffffffffffffff:v:pvc-1:1111111111111111"


def get(cluster: RoutedCluster, volume_id: str) -> csi_pb2.Volume:
    request = csi_pb2.ControllerGetVolumeRequest(volume_id=volume_id)
    return cluster.client.call(cluster.client.controller.ControllerGetVolume, request).volume


def test_every_call_about_a_volume_reaches_its_node(cluster: RoutedCluster) -> None:
    client = cluster.client
    volume = create(cluster, "pvc-1", requisite=("node-2",))
    snapshot = client.create_snapshot("snap-1", volume.volume_id)

    assert get(cluster, volume.volume_id).volume_id == volume.volume_id
    assert client.expand_volume(volume.volume_id, 2 * GIB).capacity_bytes == 2 * GIB
    validated = client.call(
        client.controller.ValidateVolumeCapabilities,
        csi_pb2.ValidateVolumeCapabilitiesRequest(
            volume_id=volume.volume_id,
            volume_capabilities=[mount_capability()],
        ),
    )
    assert validated.HasField("confirmed")
    health = client.call(
        client.controller.ControllerGetVolumeHealth,
        csi_pb2.ControllerGetVolumeHealthRequest(volume_id=volume.volume_id),
    )
    assert health.volume_health.volume_id == volume.volume_id
    got = client.call(
        client.controller.GetSnapshot,
        csi_pb2.GetSnapshotRequest(snapshot_id=snapshot.snapshot_id),
    )
    assert got.snapshot == snapshot
    client.delete_snapshot(snapshot.snapshot_id)
    client.delete_volume(volume.volume_id)
    assert cluster.node(2).names() == set()


def test_refusals_of_a_node_come_as_it_said_them(cluster: RoutedCluster) -> None:
    volume = create(cluster, "pvc-1", requisite=("node-2",))
    gone = volume.volume_id[:-16] + "0" * 16

    with Refused(Code.NOT_FOUND, f"volume {gone} does not exist"):
        get(cluster, gone)
    with Refused(Code.INVALID_ARGUMENT):
        cluster.client.call(
            cluster.client.controller.ControllerModifyVolume,
            csi_pb2.ControllerModifyVolumeRequest(
                volume_id=volume.volume_id, mutable_parameters={"colour": "red"}
            ),
        )


def test_what_is_on_a_node_that_is_away_is_not_missing(cluster: RoutedCluster) -> None:
    """rules.md A5: neither looked up nor deleted is it told to be gone."""
    volume = create(cluster, "pvc-1", requisite=("node-2",))

    with cluster.away(2):
        with Refused(Code.UNAVAILABLE, "node-2"):
            get(cluster, volume.volume_id)
        with Refused(Code.UNAVAILABLE, "node-2"):
            cluster.client.delete_volume(volume.volume_id)

    assert get(cluster, volume.volume_id).volume_id == volume.volume_id


def test_pool_that_nobody_serves_is_away(cluster: RoutedCluster) -> None:
    words = "pool ffffffffffffffff is served by no node that answers"
    with Refused(Code.UNAVAILABLE, words, "csi-zfs forget"):
        get(cluster, NOWHERE)
    with Refused(Code.UNAVAILABLE, words):
        cluster.client.delete_volume(NOWHERE)


@pytest.mark.expected_logs("what is deleted was on pool ffffffffffffffff, which is forgotten")
def test_what_was_on_a_forgotten_pool_can_be_deleted_and_nothing_else(
    cluster: RoutedCluster,
) -> None:
    cluster.forgotten.add("f" * 16)

    cluster.client.delete_volume(NOWHERE)
    cluster.client.delete_snapshot(NOWHERE.replace(":v:", ":s:"))

    with Refused(Code.UNAVAILABLE):
        get(cluster, NOWHERE)


def test_forgotten_pool_that_is_served_again_counts(cluster: RoutedCluster) -> None:
    volume = create(cluster, "pvc-1", requisite=("node-2",))
    cluster.forgotten.add(cluster.node(2).pool.pool_id)

    cluster.client.delete_volume(volume.volume_id)

    assert cluster.node(2).names() == set()


def test_ids_that_cannot_be_ours_are_answered_as_by_a_node(cluster: RoutedCluster) -> None:
    cluster.client.delete_volume("nothing")
    cluster.client.delete_snapshot("nothing")
    with Refused(Code.NOT_FOUND):
        get(cluster, "nothing")
    with Refused(Code.INVALID_ARGUMENT):
        get(cluster, "")


def test_two_nodes_with_one_pool_are_told_apart_by_nobody(cluster: RoutedCluster) -> None:
    """A disk was copied: whoever answered could answer for the wrong one."""
    volume = create(cluster, "pvc-1", requisite=("node-1",))
    twin = cluster.agents["node-2"]
    twin.stop()
    twin.node.pools = cluster.node(1).pools
    twin.node.restart()
    cluster.start(2)

    with Refused(Code.UNAVAILABLE, "of node node-1 and of node node-2 have the same id"):
        cluster.fleet.describe(cluster.fleet.members())
        get(cluster, volume.volume_id)


def test_pool_that_moved_is_found_on_its_new_node(cluster: RoutedCluster) -> None:
    volume = create(cluster, "pvc-1", requisite=("node-1",))
    old, new = cluster.agents["node-1"], cluster.agents["node-2"]
    for agent in (old, new):
        agent.stop()
    old.node.pools, new.node.pools = new.node.pools, old.node.pools
    for number, agent in enumerate((old, new), 1):
        agent.node.restart()
        cluster.start(number)

    with Refused(Code.UNAVAILABLE, "is not on this node"):
        get(cluster, volume.volume_id)
    assert get(cluster, volume.volume_id).accessible_topology == [topology("node-2")]


@pytest.mark.expected_logs("says that it is node 'node-2'; the cluster says node-1")
def test_node_that_says_it_is_another_one_is_not_believed(cluster: RoutedCluster) -> None:
    """A forged identity: its certificate is good, but the cluster knows where its pod runs."""
    volume = create(cluster, "pvc-1", requisite=("node-1",))
    forger = cluster.agents["node-2"].address

    cluster.fleet.know({"node-1": forger})

    with Refused(Code.UNAVAILABLE, "the cluster says node-1"):
        get(cluster, volume.volume_id)


def test_node_that_has_the_address_of_another_one_now_does_nothing_for_it(
    cluster: RoutedCluster,
) -> None:
    """rules.md B1: gRPC connects to it without a word, and what it has not, node-1 may have."""
    took_over = cluster.connect("node-1", cluster.agents["node-2"].address)
    question = agent_pb2.FindByNameRequest(kind=agent_pb2.FindByNameRequest.VOLUME, name="pvc-1")

    with pytest.raises(WrongAgentError, match="the cluster says is node node-1; node-2 answers"):
        took_over.call(methods.FIND_BY_NAME, question, 20)
    with pytest.raises(WrongAgentError, match="node-2 answers"):
        took_over.begin(methods.FIND_BY_NAME, question, 20).answer()
    took_over.close()


@pytest.mark.parametrize("case", ["expired", "another authority", "another role"])
@pytest.mark.expected_logs("agent of node node-2")
def test_agent_with_a_wrong_certificate_is_away(
    cluster: RoutedCluster, tmp_path: Path, case: str
) -> None:
    volume = create(cluster, "pvc-1", requisite=("node-2",))
    agent = cluster.agents["node-2"]
    signer = Authority() if case == "another authority" else cluster.authority
    name = "agent.other.example.io" if case == "another role" else agent_name(DRIVER)
    agent.stop()
    agent.tls_dir = signer.write(tmp_path / "wrong", name, is_expired=case == "expired")
    agent.start()

    with Refused(Code.UNAVAILABLE, "node-2"):
        get(cluster, volume.volume_id)


def test_capacity_is_that_of_a_node_or_of_all(cluster: RoutedCluster) -> None:
    def capacity(place: csi_pb2.Topology | None) -> csi_pb2.GetCapacityResponse:
        request = csi_pb2.GetCapacityRequest(accessible_topology=place)
        return cluster.client.call(cluster.client.controller.GetCapacity, request)

    one, both = capacity(topology("node-1")), capacity(None)

    assert both.available_capacity == 2 * one.available_capacity
    assert both.maximum_volume_size == one.maximum_volume_size
    assert capacity(csi_pb2.Topology(segments={"zone": "1"})).available_capacity == 0
    with Refused(Code.UNAVAILABLE, "no agent of node node-9"):
        capacity(topology("node-9"))
    with cluster.away(2), Refused(Code.UNAVAILABLE, "node-2"):
        capacity(None)


def test_router_can_do_what_some_node_may_be_able_to(cluster: RoutedCluster) -> None:
    controller = cluster.client.controller
    found = cluster.client.call(
        controller.ControllerGetCapabilities, csi_pb2.ControllerGetCapabilitiesRequest()
    )
    types = {capability.rpc.type for capability in found.capabilities}

    assert csi_pb2.ControllerServiceCapability.RPC.MODIFY_VOLUME in types
    assert csi_pb2.ControllerServiceCapability.RPC.CREATE_DELETE_VOLUME in types
    groups = cluster.client.call(
        cluster.client.groups.GroupControllerGetCapabilities,
        csi_pb2.GroupControllerGetCapabilitiesRequest(),
    )
    assert groups.capabilities


def test_router_that_knows_no_agents_yet_says_so(cluster: RoutedCluster) -> None:
    with pytest.raises(FleetUnknownError, match="looks for agents"):
        Fleet(cluster.connect).owner_of("f" * 16)


def test_agent_that_is_found_no_more_is_away_until_it_is_back(cluster: RoutedCluster) -> None:
    """Its pod is replaced, say: nothing of it is passed over meanwhile."""
    volume = create(cluster, "pvc-1", requisite=("node-2",))
    cluster.fleet.know({"node-1": cluster.agents["node-1"].address})

    with Refused(Code.UNAVAILABLE, "node node-2 had it"):
        get(cluster, volume.volume_id)
    with Refused(Code.UNAVAILABLE, "node-2: it has no address now"):
        list(cluster.client.list_volumes())
    cluster.know_all()

    assert get(cluster, volume.volume_id).volume_id == volume.volume_id


@pytest.mark.expected_logs("node-1: .* is being connected anew")
def test_call_that_finds_its_connection_closed_is_told_that_the_agent_is_away(
    cluster: RoutedCluster,
) -> None:
    """The agents are followed while calls run: INTERNAL would be final for the provisioner."""
    request = agent_pb2.DescribeRequest()
    connection = cluster.fleet.member("node-1").require()
    connection.call(methods.DESCRIBE, request, 20)
    cluster.fleet.know({})

    for method in (methods.DESCRIBE, methods.FIND_BY_NAME):
        with pytest.raises(AgentAwayError, match="is being connected anew: try again"):
            connection.call(method, request, 20)
        with pytest.raises(AgentAwayError, match="is being connected anew: try again"):
            connection.begin(method, request, 20).answer()
    late = Member("node-1", connection)
    cluster.fleet.describe([late])
    assert not late.is_described


def test_node_that_is_gone_counts_no_more_once_its_pools_are_forgotten(
    cluster: RoutedCluster,
) -> None:
    create(cluster, "pvc-1", requisite=("node-2",))
    cluster.fleet.know({"node-1": cluster.agents["node-1"].address})
    cluster.fleet.let_go(cluster.forgotten)
    with Refused(Code.UNAVAILABLE, "node-2"):
        list(cluster.client.list_volumes())

    cluster.forgotten.add(cluster.node(2).pool.pool_id)
    cluster.fleet.let_go(cluster.forgotten)

    assert list(cluster.client.list_volumes()) == [[]]


def test_new_node_is_served_as_soon_as_it_is_known(
    make_cluster: MakeCluster, tmp_path: Path
) -> None:
    cluster = make_cluster(nodes=1)
    place = tmp_path / "node-7"
    place.mkdir()
    node = FakeNode(place, node_id="node-7")
    agent = Agent(node, cluster.authority.write(place / "tls", agent_name(DRIVER)))
    agent.start()
    cluster.agents["node-7"] = agent
    cluster.know_all()

    create(cluster, "pvc-1", requisite=("node-7",))

    assert node.names() == {"v/pvc-1"}
