"""Whatever dies in the middle comes back, and no claim or pod is lost or made twice."""

import json

import pytest

from e2e.cluster.chart import CHART
from e2e.cluster.kubectl import Kubectl, Object
from e2e.cluster.node import kill_service, run_on
from e2e.cluster.tests.release import CHECKOUT, NAMESPACE, RELEASE, Release
from e2e.cluster.tests.volumes import DRIVER_NAME, VOLUME, claim, mounted, snapshot, using
from e2e.cluster.tests.workloads import Workloads, pod

_CLAIMS = 12
_READY_LIMIT_S = 300.0
_CONTAINERS = ("driver", "csi-provisioner", "csi-snapshotter", "csi-resizer")


def pods_of(release: Release, component: str) -> list[Object]:
    selector = f"--selector=app.kubernetes.io/component={component}"
    return release.kubectl.items("pods", selector)


def agent_on(release: Release, node: str) -> str:
    (name,) = [
        one["metadata"]["name"]
        for one in pods_of(release, "node")
        if one["spec"]["nodeName"] == node
    ]
    return str(name)


def kill_container(release: Release, pod_name: str, container: str) -> None:
    """SIGKILL to a container's first process, from its node."""
    one = release.kubectl.get(f"pod/{pod_name}")
    node = release.cluster.node(one["spec"]["nodeName"])
    (status,) = [
        status for status in one["status"]["containerStatuses"] if status["name"] == container
    ]
    container_id = status["containerID"].removeprefix("containerd://")
    ctr = (node.program("ctr"), "--namespace", "k8s.io")
    run_on(node, *ctr, "tasks", "kill", "--signal", "SIGKILL", container_id)


def await_drivers(release: Release) -> None:
    """Wait until every node has its driver."""
    words = ("rollout", "status", f"daemonset/{RELEASE}-node", "--timeout=300s")
    release.kubectl.run(*words, limit_s=_READY_LIMIT_S + 30)


def start_many(workloads: Workloads, node: str) -> list[str]:
    """Claims and a pod for each, all at once; returns the names of the pods."""
    names = [f"many-{number}" for number in range(_CLAIMS)]
    objects = [claim(name) for name in names]
    objects += [pod(name, node=node, container=mounted(), spec=using(name)) for name in names]
    workloads.kubectl.apply(*objects)
    return names


def require_all_there(release: Release, kubectl: Kubectl, names: list[str]) -> None:
    """All pods run, each on a volume of its own, and there are no other volumes."""
    pods = [f"pod/{name}" for name in names]
    kubectl.wait("condition=Ready", *pods, limit_s=_READY_LIMIT_S)
    claims = {one["spec"]["volumeName"] for one in kubectl.items("pvc")}
    assert len(claims) == len(names)
    volumes = release.cluster.kubectl.items("persistentvolumes")
    ours = {
        one["metadata"]["name"]
        for one in volumes
        if one["spec"].get("claimRef", {}).get("namespace") == kubectl.namespace
    }
    assert ours == claims


def require_nothing_left(release: Release, kubectl: Kubectl, node: str) -> None:
    """Once pods and claims are deleted, the pool of the node has no volume of them."""
    kubectl.delete("pod", "--all", limit_s=_READY_LIMIT_S)
    kubectl.delete("pvc", "--all", limit_s=_READY_LIMIT_S)
    release.cluster.kubectl.wait_until_none("persistentvolumes", limit_s=_READY_LIMIT_S)
    agent = agent_on(release, node)
    words = ("exec", agent, "--", "csi-zfs", "pool", "list", "--path", "/var/lib/csi-zfs/local")
    (status,) = json.loads(release.kubectl.run(*words, "--output", "json"))
    assert (status["volumes"], status["snapshots"]) == (0, 0)


def test_driver_of_a_node_that_is_killed_makes_each_volume_once(
    release: Release, workloads: Workloads, node: str
) -> None:
    kubectl = workloads.kubectl
    names = start_many(workloads, node)
    kubectl.wait("jsonpath={.status.phase}=Bound", f"pvc/{names[0]}")

    kill_container(release, agent_on(release, node), "driver")

    require_all_there(release, kubectl, names)
    for name in names:
        kubectl.execute_shell(name, f"echo {name} >{VOLUME}/file; test -s {VOLUME}/file")
    require_nothing_left(release, kubectl, node)


@pytest.mark.parametrize("container", _CONTAINERS)
def test_container_of_the_controller_that_is_killed_loses_nothing(
    release: Release, workloads: Workloads, node: str, container: str
) -> None:
    kubectl = workloads.kubectl
    names = start_many(workloads, node)
    kubectl.wait("jsonpath={.status.phase}=Bound", f"pvc/{names[0]}")
    kubectl.apply(*(snapshot(f"of-{name}", name) for name in names[:2]))

    for one in pods_of(release, "controller"):
        kill_container(release, one["metadata"]["name"], container)

    require_all_there(release, kubectl, names)
    for name in names[:2]:
        kubectl.wait_for_field(
            f"volumesnapshot/of-{name}", ".status.readyToUse", "true", limit_s=_READY_LIMIT_S
        )
    kubectl.delete("volumesnapshot", "--all")
    require_nothing_left(release, kubectl, node)


@pytest.mark.parametrize("service", ["kubelet", "containerd"])
def test_service_of_a_node_that_is_killed_leaves_volumes_in_use(
    release: Release, workloads: Workloads, node: str, service: str
) -> None:
    """rules.md B6."""
    kubectl = workloads.kubectl
    kubectl.apply(claim("data"))
    workloads.start_pod("writer", node=node, container=mounted(), spec=using("data"))
    kubectl.execute_shell("writer", f"echo before >{VOLUME}/file; sync")

    kill_service(release.cluster.node(node), service)

    names = start_many(workloads, node)
    require_all_there(release, kubectl, [*names, "writer"])
    assert kubectl.execute("writer", "cat", f"{VOLUME}/file") == "before\n"
    require_nothing_left(release, kubectl, node)


def test_node_that_loses_its_power_has_its_volumes_again(
    release: Release, workloads: Workloads, node: str
) -> None:
    """All its mounts are gone; what was synced is there, and new claims are served."""
    kubectl, cluster = workloads.kubectl, release.cluster
    kubectl.apply(claim("data"))
    workloads.start_pod("writer", node=node, container=mounted(), spec=using("data"))
    kubectl.execute_shell("writer", f"echo kept >{VOLUME}/file; sync")

    cluster.node(node).kill()
    cluster.restart(node)

    await_drivers(release)
    # Until the kubelet has looked, the pod counts as ready as it was before.
    restarts = ".status.containerStatuses[0].restartCount"
    kubectl.wait_for_field("pod/writer", restarts, "1", limit_s=_READY_LIMIT_S)
    kubectl.wait("condition=Ready", "pod/writer", limit_s=_READY_LIMIT_S)
    assert kubectl.execute("writer", "cat", f"{VOLUME}/file") == "kept\n"
    kubectl.apply(claim("new"))
    workloads.start_pod("after", node=node, container=mounted(), spec=using("new"))
    require_nothing_left(release, kubectl, node)


def test_mounts_of_pods_outlive_the_driver_and_its_upgrade(
    release: Release, workloads: Workloads, node: str
) -> None:
    """Changed settings restart every driver; no pod restarts, no object is lost."""
    kubectl = workloads.kubectl
    kubectl.apply(claim("data"))
    workloads.start_pod("writer", node=node, container=mounted(), spec=using("data"))
    kubectl.execute_shell("writer", f"echo before >{VOLUME}/file")
    before = kubectl.get("pod/writer")["status"]["containerStatuses"][0]["containerID"]
    agent = agent_on(release, node)
    # Written while the drivers go and come: a mount that broke would end the loop.
    loop = f"while echo more >>{VOLUME}/log; do sync {VOLUME}/log; done; echo ended >/tmp/ended"
    kubectl.execute_shell("writer", f"({loop}) >/dev/null 2>&1 &")

    chart = ("upgrade", RELEASE, str(CHECKOUT / CHART), "--namespace", NAMESPACE)
    words = ("--reuse-values", "--set=log.level=debug", "--wait", "--timeout=300s")
    release.cluster.helm.run(*chart, *words, limit_s=_READY_LIMIT_S + 30)

    assert agent_on(release, node) != agent
    after = kubectl.get("pod/writer")["status"]["containerStatuses"][0]
    assert (after["containerID"], after["restartCount"]) == (before, 0)
    kubectl.execute_shell("writer", f"test ! -e /tmp/ended; test -s {VOLUME}/log")
    kubectl.apply(snapshot("then", "data"))
    kubectl.wait_for_field("volumesnapshot/then", ".status.readyToUse", "true")
    kubectl.delete("volumesnapshot/then")
    require_nothing_left(release, kubectl, node)
    assert DRIVER_NAME in release.kubectl.in_namespace(NAMESPACE).run("get", "csidrivers")
