"""What pods ask of volumes beyond a mount: groups, one pod alone, volumes of their own."""

import uuid
from collections.abc import Iterator

import pytest

from e2e.cluster.cluster import Cluster
from e2e.cluster.kubectl import Kubectl, Object
from e2e.cluster.node import run_on
from e2e.cluster.tests.release import Release
from e2e.cluster.tests.volumes import (
    DRIVER_NAME,
    SNAPSHOT_GROUP,
    STORAGE_CLASS,
    VOLUME,
    claim,
    from_snapshot,
    mounted,
    storage_class,
    using,
)
from e2e.cluster.tests.workloads import Workloads, pod

_GROUP_API = "groupsnapshot.storage.k8s.io/v1"
_UNSCHEDULED = '.status.conditions[?(@.type=="PodScheduled")].status'


@pytest.fixture(name="fs_class", params=["ext4", "xfs"])
def fixture_fs_class(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[str]:
    name = f"{request.param}-{uuid.uuid4().hex[:8]}"
    parameters = {"csi.storage.k8s.io/fstype": str(request.param)}
    cluster.kubectl.apply(storage_class(name, parameters))
    yield name
    cluster.kubectl.delete(f"storageclass/{name}")


def volumes_of_driver(kubectl: Kubectl) -> list[str]:
    return [
        one["metadata"]["name"]
        for one in kubectl.items("persistentvolumes")
        if one["spec"].get("csi", {}).get("driver") == DRIVER_NAME
    ]


def test_pod_that_is_not_root_writes_by_the_group_of_its_volume(
    workloads: Workloads, node: str, fs_class: str
) -> None:
    workloads.kubectl.apply(claim("data", "320Mi", storage_class=fs_class))
    person = {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 2000, "runAsNonRoot": True}
    spec = using("data") | {"securityContext": person}

    workloads.start_pod("writer", node=node, container=mounted(), spec=spec)

    workloads.kubectl.execute_shell("writer", f"echo mine >{VOLUME}/file")
    found = workloads.kubectl.execute("writer", "stat", "-c", "%u %g", f"{VOLUME}/file")
    assert found.split() == ["1000", "2000"]


def test_claim_for_one_pod_keeps_a_second_one_waiting(workloads: Workloads, node: str) -> None:
    kubectl = workloads.kubectl
    kubectl.apply(claim("data", access_modes=["ReadWriteOncePod"]))
    workloads.start_pod("first", node=node, container=mounted(), spec=using("data"))

    kubectl.apply(pod("second", node=node, container=mounted(), spec=using("data")))
    kubectl.wait_for_field("pod/second", _UNSCHEDULED, "False")
    workloads.delete_pod("first")

    kubectl.wait("condition=Ready", "pod/second")


def test_generic_ephemeral_volume_goes_with_its_pod(workloads: Workloads, node: str) -> None:
    kubectl = workloads.kubectl
    template = {
        "spec": {
            "storageClassName": STORAGE_CLASS,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "64Mi"}},
        }
    }
    volume = {"name": "volume", "ephemeral": {"volumeClaimTemplate": template}}
    spec = {"volumes": [volume]}
    workloads.start_pod("brief", node=node, container=mounted(), spec=spec)
    kubectl.execute_shell("brief", f"echo here >{VOLUME}/file")
    (name,) = [one["spec"]["volumeName"] for one in kubectl.items("pvc")]

    workloads.delete_pod("brief")

    kubectl.wait_until_none("pvc")
    kubectl.wait_until_none("persistentvolumes")
    assert name not in volumes_of_driver(kubectl)


def test_inline_volume_goes_with_its_pod(release: Release, workloads: Workloads, node: str) -> None:
    attributes = {"size": "32Mi"}
    volume = {"name": "volume", "csi": {"driver": DRIVER_NAME, "volumeAttributes": attributes}}
    workloads.start_pod("brief", node=node, container=mounted(), spec={"volumes": [volume]})
    workloads.kubectl.execute_shell("brief", f"echo here >{VOLUME}/file; test -s {VOLUME}/file")
    blocks = workloads.kubectl.execute("brief", "stat", "-f", "-c", "%b %S", VOLUME).split()
    assert int(blocks[0]) * int(blocks[1]) < 40 << 20

    workloads.delete_pod("brief")

    mounts = run_on(release.cluster.node(node), "cat", "/proc/1/mountinfo")
    assert "kubernetes.io~csi/volume/mount" not in mounts


def test_group_of_claims_is_snapshotted_at_one_instant(workloads: Workloads, node: str) -> None:
    kubectl = workloads.kubectl
    names = ("left", "right")
    kubectl.apply(*(_labelled(claim(name)) for name in names))
    volumes = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in names]
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in names]
    workloads.start_pod(
        "writer", node=node, container={"volumeMounts": mounts}, spec={"volumes": volumes}
    )
    # Each number is on the left before it is on the right: no instant has more on the right.
    count = (
        "n=0; while true; do n=$((n+1)); echo $n >/left/n; sync /left/n; echo $n >/right/n; done"
    )
    kubectl.execute_shell("writer", f"({count}) >/dev/null 2>&1 &")

    kubectl.apply(_group_snapshot())
    kubectl.wait_for_field("volumegroupsnapshot/together", ".status.readyToUse", "true")

    members = {
        one["spec"]["source"].get("persistentVolumeClaimName")
        or one["status"]["boundVolumeSnapshotContentName"]: one["metadata"]["name"]
        for one in kubectl.items("volumesnapshots")
    }
    assert len(members) == len(names)
    restored = _restored(workloads, node)
    assert set(restored) == set(names)
    assert 0 <= restored["left"] - restored["right"] <= 1
    kubectl.delete("volumegroupsnapshot/together")
    kubectl.wait_until_none("volumesnapshots")


def _labelled(one: Object) -> Object:
    one["metadata"]["labels"] = {"app": "group"}
    return one


def _group_snapshot() -> Object:
    return {
        "apiVersion": _GROUP_API,
        "kind": "VolumeGroupSnapshot",
        "metadata": {"name": "together"},
        "spec": {
            "volumeGroupSnapshotClassName": "csi-zfs",
            "source": {"selector": {"matchLabels": {"app": "group"}}},
        },
    }


def _restored(workloads: Workloads, node: str) -> dict[str, int]:
    """The numbers in the copies of all members, by the claims that they were of."""
    kubectl = workloads.kubectl
    volume_names = {
        one["spec"]["volumeName"]: one["metadata"]["name"] for one in kubectl.items("pvc")
    }
    handles = {
        kubectl.get(f"pv/{volume}")["spec"]["csi"]["volumeHandle"]: name
        for volume, name in volume_names.items()
    }
    found = {}
    for one in kubectl.items("volumesnapshots"):
        content = kubectl.get(
            f"volumesnapshotcontent/{one['status']['boundVolumeSnapshotContentName']}"
        )
        of = handles[content["status"].get("volumeHandle") or _source_of(content)]
        copy = f"copy-{of}"
        kubectl.apply(claim(copy, source=from_snapshot(one["metadata"]["name"])))
        workloads.start_pod(copy, node=node, container=mounted(), spec=using(copy))
        found[of] = int(kubectl.execute(copy, "cat", f"{VOLUME}/n"))
    return found


def _source_of(content: Object) -> str:
    """Of which volume a member is: the driver's id of the snapshot says it by its annotations."""
    source: str = content["spec"]["source"].get("volumeHandle", "")
    assert source, f"{SNAPSHOT_GROUP} does not say of which volume {content['metadata']['name']} is"
    return source
