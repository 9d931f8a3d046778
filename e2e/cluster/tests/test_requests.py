"""Claims and classes that cannot be served: they wait, with an event that says what to mend."""

import json
import uuid
from collections.abc import Mapping

import pytest

from e2e.cluster.kubectl import Object
from e2e.cluster.tests.release import Release
from e2e.cluster.tests.volumes import claim, from_snapshot, mounted, snapshot, storage_class, using
from e2e.cluster.tests.workloads import Workloads, pod

CANARY = "canary-5c1d-a-secret-as-long-as-a-key-has-to-be"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"colour": "red"}, ("colour",)),
        ({"provisioning": "thikc"}, ("provisioning", "thikc")),
        ({"compression": "zstd"}, ("compression",)),
        ({"csi.storage.k8s.io/fstype": "ntfs"}, ("ntfs",)),
    ],
)
def test_claim_of_a_class_that_cannot_be_served_says_what_to_mend(
    workloads: Workloads, node: str, parameters: Mapping[str, str], words: tuple[str, ...]
) -> None:
    texts = refusals(workloads, node, class_of_its_own(parameters))
    assert any(all(word in text for word in words) for text in texts), texts


def test_claim_that_no_pool_can_encrypt_says_so(workloads: Workloads, node: str) -> None:
    # Bound late, it would wait for room: a node without such a pool has none, another may.
    refused = class_of_its_own({"encryption": "on"}) | {"volumeBindingMode": "Immediate"}
    texts = refusals(workloads, node, refused)
    assert any("encrypt" in text for text in texts), texts


def class_of_its_own(parameters: Mapping[str, str]) -> Object:
    return storage_class(f"wrong-{uuid.uuid4().hex[:8]}", parameters)


def refusals(workloads: Workloads, node: str, refused: Object) -> list[str]:
    """What the events of a claim say that cannot be served, which stays Pending."""
    kubectl, name = workloads.kubectl, refused["metadata"]["name"]
    kubectl.apply(refused)
    try:
        kubectl.apply(
            claim("data", storage_class=name),
            pod("waits", node=node, container=mounted(), spec=using("data")),
        )
        kubectl.wait("create", "event", "--field-selector=reason=ProvisioningFailed")
        assert kubectl.get("pvc/data")["status"]["phase"] == "Pending"
        return kubectl.events("persistentvolumeclaim/data")
    finally:
        kubectl.delete("pod/waits", "pvc/data")
        kubectl.delete(f"storageclass/{name}")


@pytest.mark.parametrize("first", ["pvc/data", "volumesnapshot/then"])
def test_objects_go_in_any_order(workloads: Workloads, node: str, first: str) -> None:
    kubectl = workloads.kubectl
    kubectl.apply(claim("data"))
    workloads.start_pod("writer", node=node, container=mounted(), spec=using("data"))
    kubectl.apply(snapshot("then", "data"))
    kubectl.wait_for_field("volumesnapshot/then", ".status.readyToUse", "true")
    kubectl.apply(claim("copy", source=from_snapshot("then")))
    workloads.start_pod("reader", node=node, container=mounted(), spec=using("copy"))
    for name in ("writer", "reader"):
        workloads.delete_pod(name)

    rest = [one for one in ("pvc/data", "volumesnapshot/then", "pvc/copy") if one != first]
    kubectl.delete(first)
    for one in rest:
        kubectl.delete(one)

    for kind in ("persistentvolumes", "volumesnapshotcontents"):
        kubectl.wait_until_none(kind)


def test_secret_of_a_class_is_seen_nowhere(
    release: Release, workloads: Workloads, node: str
) -> None:
    """rules.md C4, C5: neither in events nor in logs nor in what describes the objects."""
    kubectl, name = workloads.kubectl, f"secret-{uuid.uuid4().hex[:8]}"
    # Only Secrets that the chart is told of may be read; this one is, by the node's stage alone.
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "key"},
        "stringData": {"encryptionKey": CANARY},
    }
    where = {
        "csi.storage.k8s.io/node-stage-secret-name": "key",
        "csi.storage.k8s.io/node-stage-secret-namespace": kubectl.namespace,
        "csi.storage.k8s.io/node-publish-secret-name": "key",
        "csi.storage.k8s.io/node-publish-secret-namespace": kubectl.namespace,
    }
    kubectl.apply(secret, storage_class(name, where))
    try:
        kubectl.apply(claim("data", storage_class=name))
        workloads.start_pod("writer", node=node, container=mounted(), spec=using("data"))
        said = [kubectl.run("describe", "pods,pvc"), kubectl.run("describe", "pv")]
        said += [json.dumps(kubectl.items("events"))]
        said += [
            release.kubectl.logs(f"pod/{one['metadata']['name']}", "--all-containers")
            for one in release.kubectl.items("pods")
        ]
        assert was_used(said)
        assert all(CANARY not in text for text in said)
    finally:
        kubectl.delete("pod/writer", "pvc/data")
        kubectl.delete(f"storageclass/{name}")


def was_used(said: list[str]) -> bool:
    """Whether the volume came to be staged at all: what is empty proves nothing."""
    return all(said[:2]) and any("NodeStageVolume" in text for text in said)
