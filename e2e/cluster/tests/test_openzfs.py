"""The driver on the node with OpenZFS: native file systems, properties, keys, a pool away."""

import json
from collections.abc import Iterator

import pytest

from e2e.cluster.cluster import Cluster
from e2e.cluster.node import run_on
from e2e.cluster.openzfs import ZPOOL
from e2e.cluster.plan import OPENZFS_NAME
from e2e.cluster.tests.kinds import require_openzfs
from e2e.cluster.tests.release import NAMESPACE, Release, installed
from e2e.cluster.tests.volumes import DRIVER_NAME, VOLUME, claim, from_claim, mounted, using
from e2e.cluster.tests.workloads import Workloads, pod
from e2e.cluster.waiting import wait_until

_DATASET = f"{ZPOOL}/csi"
_GROUP_LABEL = f"{DRIVER_NAME}/pools"
_ALL_ON_TANK = {"pool": ZPOOL}
_VALUES = {
    "nodeGroups": [
        {"name": ZPOOL, "pools": [{"name": ZPOOL, "dataset": _DATASET, "create": True}]}
    ],
    "storageClasses": [
        {"name": "native", "parameters": _ALL_ON_TANK | {"compression": "zstd"}},
        {"name": "zvol", "fsType": "xfs", "parameters": _ALL_ON_TANK},
        {
            "name": "locked",
            "parameters": _ALL_ON_TANK | {"encryption": "on"},
            "secret": {"name": "volume-key", "namespace": NAMESPACE},
        },
    ],
    "volumeAttributesClasses": [{"name": "plain", "parameters": {"compression": "off"}}],
    "controller": {"secretAccess": [{"namespace": NAMESPACE, "names": ["volume-key"]}]},
}
_UNSTAGE_LIMIT_S = 60.0
KEY = "a-secret-of-at-least-thirty-two-bytes-of-text"


@pytest.fixture(scope="module", name="release")
def fixture_release(cluster: Cluster) -> Iterator[Release]:
    require_openzfs(cluster)
    cluster.kubectl.run("label", "node", OPENZFS_NAME, f"{_GROUP_LABEL}={ZPOOL}", "--overwrite")
    words = [f"--set-json={key}={json.dumps(value)}" for key, value in _VALUES.items()]
    with installed(cluster, *words) as release:
        yield release
    cluster.kubectl.run("label", "node", OPENZFS_NAME, f"{_GROUP_LABEL}-")


@pytest.fixture(name="key")
def fixture_key(release: Release) -> Iterator[None]:
    """The Secret of the encrypted class."""
    apply_key(release)
    yield
    release.kubectl.delete("secret/volume-key", "--ignore-not-found")


def apply_key(release: Release) -> None:
    release.kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "volume-key"},
            "stringData": {"encryptionKey": KEY},
        }
    )


def start(workloads: Workloads, name: str, claim_name: str) -> None:
    workloads.start_pod(name, node=OPENZFS_NAME, container=mounted(), spec=using(claim_name))


def dataset_of(release: Release, workloads: Workloads, claim_name: str) -> str:
    volume = workloads.kubectl.get(f"pvc/{claim_name}")["spec"]["volumeName"]
    handle: str = release.kubectl.get(f"pv/{volume}")["spec"]["csi"]["volumeHandle"]
    return f"{_DATASET}/v/{handle.split(':')[3]}"


def zfs_get(release: Release, name: str, dataset: str) -> str:
    node = release.cluster.node(OPENZFS_NAME)
    return run_on(node, "zfs", "get", "-Hp", "-o", "value", name, dataset).strip()


def test_claim_is_a_file_system_of_zfs_with_the_properties_of_its_class(
    release: Release, workloads: Workloads
) -> None:
    workloads.kubectl.apply(claim("data", storage_class="native"))
    start(workloads, "writer", "data")
    dataset = dataset_of(release, workloads, "data")

    assert zfs_get(release, "type", dataset) == "filesystem"
    assert zfs_get(release, "compression", dataset) == "zstd"
    assert zfs_get(release, "refquota", dataset) == str(64 << 20)
    assert "zfs" in workloads.kubectl.execute("writer", "mount").split(VOLUME)[1].split()[1]


def test_properties_of_a_living_volume_change_by_its_attributes_class(
    release: Release, workloads: Workloads
) -> None:
    kubectl = workloads.kubectl
    kubectl.apply(claim("data", storage_class="native"))
    start(workloads, "writer", "data")
    dataset = dataset_of(release, workloads, "data")

    kubectl.patch("pvc/data", {"spec": {"volumeAttributesClassName": "plain"}})
    kubectl.wait_for_field("pvc/data", ".status.currentVolumeAttributesClassName", "plain")

    assert zfs_get(release, "compression", dataset) == "off"


@pytest.mark.parametrize("storage_class", ["native", "zvol"])
def test_volume_is_copied_and_grows_under_its_pod(workloads: Workloads, storage_class: str) -> None:
    kubectl = workloads.kubectl
    kubectl.apply(claim("data", "320Mi", storage_class=storage_class))
    start(workloads, "writer", "data")
    kubectl.execute_shell("writer", f"echo kept >{VOLUME}/file; sync")
    kubectl.apply(claim("copy", "320Mi", storage_class=storage_class, source=from_claim("data")))
    start(workloads, "reader", "copy")
    assert kubectl.execute("reader", "cat", f"{VOLUME}/file") == "kept\n"

    kubectl.patch("pvc/copy", {"spec": {"resources": {"requests": {"storage": "512Mi"}}}})
    kubectl.wait_for_field("pvc/copy", ".status.capacity.storage", "512Mi")

    blocks, size = kubectl.execute("reader", "stat", "-f", "-c", "%b %S", VOLUME).split()
    assert int(blocks) * int(size) > 400 << 20  # the log of an XFS takes 64 MiB


@pytest.mark.usefixtures("key")
def test_encrypted_volume_is_readable_with_its_secret_only(
    release: Release, workloads: Workloads
) -> None:
    """rules.md C5."""
    kubectl = workloads.kubectl
    kubectl.apply(claim("data", storage_class="locked"))
    start(workloads, "writer", "data")
    dataset = dataset_of(release, workloads, "data")
    kubectl.execute_shell("writer", f"echo kept >{VOLUME}/file; sync")
    assert zfs_get(release, "encryption", dataset) == "aes-256-gcm"
    assert zfs_get(release, "keystatus", dataset) == "available"
    workloads.delete_pod("writer")
    node = release.cluster.node(OPENZFS_NAME)
    wait_for_key(release, dataset, "unavailable")

    release.kubectl.delete("secret/volume-key")
    kubectl.apply(pod("waits", node=OPENZFS_NAME, container=mounted(), spec=using("data")))
    kubectl.wait("create", "event", "--field-selector=reason=FailedMount")
    apply_key(release)

    kubectl.wait("condition=Ready", "pod/waits", limit_s=300)
    assert kubectl.execute("waits", "cat", f"{VOLUME}/file") == "kept\n"
    processes = run_on(
        node, "sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' ' '"
    )
    assert KEY not in processes


def wait_for_key(release: Release, dataset: str, state: str) -> None:
    """The kubelet unstages a moment after the pod is gone."""
    wait_until(
        lambda: zfs_get(release, "keystatus", dataset) == state,
        f"the key of {dataset} is {state}",
        limit_s=_UNSTAGE_LIMIT_S,
    )


def test_pods_of_a_pool_that_is_exported_wait_until_it_is_back(
    release: Release, workloads: Workloads
) -> None:
    """rules.md A5: neither the claim nor its data are taken to be gone."""
    kubectl, node = workloads.kubectl, release.cluster.node(OPENZFS_NAME)
    kubectl.apply(claim("data", storage_class="native"))
    start(workloads, "writer", "data")
    kubectl.execute_shell("writer", f"echo kept >{VOLUME}/file; sync")
    workloads.delete_pod("writer")
    dataset = dataset_of(release, workloads, "data")
    wait_until(
        lambda: zfs_get(release, "mounted", dataset) == "no",
        f"{dataset} is unmounted",
        limit_s=_UNSTAGE_LIMIT_S,
    )
    run_on(node, "sh", "-c", f"udevadm settle; zpool export {ZPOOL}")
    kubectl.apply(pod("waits", node=OPENZFS_NAME, container=mounted(), spec=using("data")))
    kubectl.wait("create", "event", "--field-selector=reason=FailedMount")
    kubectl.run("delete", "pvc/data", "--wait=false")

    run_on(node, "zpool", "import", "-N", "-d", "/dev", ZPOOL)

    kubectl.wait("condition=Ready", "pod/waits", limit_s=300)
    assert kubectl.execute("waits", "cat", f"{VOLUME}/file") == "kept\n"
