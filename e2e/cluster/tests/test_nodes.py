"""The cluster itself: without it, no test of a driver on it would tell anything."""

import re

import pytest

from e2e.cluster.cluster import Cluster
from e2e.cluster.layout import FIRST_SERVICE
from e2e.cluster.node import kill_service, run_on
from e2e.cluster.openzfs import LABEL, ZPOOL
from e2e.cluster.plan import OPENZFS_NAME
from e2e.cluster.tests.kinds import native_nodes, require_openzfs
from e2e.cluster.tests.workloads import Workloads
from e2e.cluster.versions import KUBERNETES

_NOT_READY_LIMIT_S = 90.0


def names(cluster: Cluster) -> list[str]:
    return [node.name for node in cluster.nodes()]


@pytest.fixture(name="openzfs_node")
def fixture_openzfs_node(cluster: Cluster) -> str:
    return require_openzfs(cluster)


def test_every_node_is_ready_and_of_the_version_that_was_asked_for(cluster: Cluster) -> None:
    items = cluster.kubectl.items("nodes")
    assert {item["metadata"]["name"] for item in items} == set(names(cluster))
    cluster.kubectl.wait("condition=Ready", "node", "--all")
    versions = {item["status"]["nodeInfo"]["kubeletVersion"] for item in items}
    assert versions == {KUBERNETES.version}


def test_pods_on_all_nodes_reach_each_other_and_the_api_server(
    cluster: Cluster, workloads: Workloads
) -> None:
    kubectl = workloads.kubectl
    # Each answers with its name; nc ends when the other side has nothing more to say.
    serve = "while :; do hostname | nc -l -p 8080; done"
    for name in names(cluster):
        workloads.start_pod(f"on-{name}", node=name, command=["sh", "-c", serve])
    for client in names(cluster):
        for server in names(cluster):
            address = workloads.ip_of(f"on-{server}")
            answer = kubectl.execute(f"on-{client}", "nc", "-w", "20", address, "8080")
            assert answer.strip() == f"on-{server}"
        # A connection through the address of a service, which the proxy of each node makes.
        kubectl.execute(f"on-{client}", "nc", "-w", "20", FIRST_SERVICE, "443")


def test_pod_has_logs_and_takes_input_and_passes_on_failure(
    cluster: Cluster, workloads: Workloads
) -> None:
    for name in names(cluster):
        words = f"words of {name}"
        command = ["sh", "-c", f"echo {words}; exec sleep 600"]
        workloads.start_pod(f"on-{name}", node=name, command=command)
        assert workloads.kubectl.logs(f"on-{name}") == f"{words}\n"
        echoed = workloads.kubectl.execute(f"on-{name}", "cat", data="input")
        assert echoed == "input"


def test_native_nodes_have_mounts_and_processes_of_their_own(cluster: Cluster) -> None:
    natives = [node for node in cluster.nodes() if node.name != OPENZFS_NAME]
    for node in natives:
        run_on(node, "sh", "-c", "echo $(hostname) >/var/lib/csi-zfs/mine")
    for node in natives:
        assert run_on(node, "cat", "/var/lib/csi-zfs/mine").strip() == node.name
        run_on(node, "rm", "/var/lib/csi-zfs/mine")
        first = run_on(node, "cat", "/proc/1/cmdline").replace("\0", " ")
        assert re.search(rf"services .*/{node.name}/", first)


def test_mounts_of_a_privileged_pod_appear_on_the_node_and_go_with_it(
    cluster: Cluster, workloads: Workloads
) -> None:
    """What a CSI driver lives on: a mount that it makes below a shared directory."""
    directory = "/var/lib/csi-zfs"
    for node in cluster.nodes():
        name = f"on-{node.name}"
        make = f"mkdir -p {directory}/m; mount -t tmpfs tmpfs {directory}/m; exec sleep 600"
        workloads.start_pod(
            name,
            node=node.name,
            command=["sh", "-c", make],
            container={
                "securityContext": {"privileged": True},
                "volumeMounts": [
                    {"name": "d", "mountPath": directory, "mountPropagation": "Bidirectional"}
                ],
                "readinessProbe": {
                    "exec": {"command": ["grep", f" {directory}/m ", "/proc/mounts"]},
                    "periodSeconds": 1,
                },
            },
            spec={"volumes": [{"name": "d", "hostPath": {"path": directory}}]},
        )
        mounts = run_on(node, "cat", "/proc/self/mountinfo").splitlines()
        assert len([line for line in mounts if f" {directory}/m " in line]) == 1
        workloads.delete_pod(name)
        run_on(node, "umount", f"{directory}/m")
        run_on(node, "rmdir", f"{directory}/m")


@pytest.mark.parametrize("service", ["kubelet", "containerd"])
def test_service_that_is_killed_comes_back_and_pods_live_on(
    cluster: Cluster, workloads: Workloads, service: str
) -> None:
    name = native_nodes(cluster)[0]
    workloads.start_pod("lives", node=name)
    kill_service(cluster.node(name), service)
    workloads.start_pod("starts", node=name)
    (state,) = workloads.kubectl.get("pod/lives")["status"]["containerStatuses"]
    assert state["restartCount"] == 0


def test_native_node_that_is_killed_is_missed_and_comes_back(
    cluster: Cluster, workloads: Workloads
) -> None:
    kill_and_restart(cluster, workloads, native_nodes(cluster)[0])


def test_openzfs_node_that_is_killed_comes_back_with_its_pool(
    cluster: Cluster, workloads: Workloads, openzfs_node: str
) -> None:
    node = cluster.node(openzfs_node)
    labels = cluster.kubectl.get(f"node/{openzfs_node}")["metadata"]["labels"]
    assert labels[LABEL] == "true"
    run_on(node, "zfs", "create", f"{ZPOOL}/kept")
    run_on(node, "zpool", "sync", ZPOOL)
    kill_and_restart(cluster, workloads, openzfs_node)
    run_on(node, "zfs", "destroy", f"{ZPOOL}/kept")


def kill_and_restart(cluster: Cluster, workloads: Workloads, name: str) -> None:
    kubectl = workloads.kubectl
    workloads.start_pod("stays", node=name)
    cluster.node(name).kill()
    not_ready = '.status.conditions[?(@.type=="Ready")].status'
    kubectl.wait_for_field(f"node/{name}", not_ready, "Unknown", limit_s=_NOT_READY_LIMIT_S)
    cluster.restart(name)
    kubectl.wait_for_field("pod/stays", ".status.containerStatuses[0].restartCount", "1")
    kubectl.wait("condition=Ready", "pod/stays")
    assert kubectl.execute("pod/stays", "hostname").strip() == "stays"
