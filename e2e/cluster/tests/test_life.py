"""The driver as users get it: `helm install` without a value, and a volume's whole life."""

import uuid
from collections.abc import Iterator

import pytest

from e2e.cluster.cluster import Cluster
from e2e.cluster.errors import CommandFailedError
from e2e.cluster.kubectl import DEFAULT_WAIT_S, Kubectl
from e2e.cluster.node import Node, run_on
from e2e.cluster.plan import OPENZFS_NAME
from e2e.cluster.tests.kinds import native_nodes, require_openzfs
from e2e.cluster.tests.release import Release
from e2e.cluster.tests.volumes import (
    DEVICE,
    DRIVER_NAME,
    VOLUME,
    attached,
    claim,
    from_claim,
    from_snapshot,
    mounted,
    snapshot,
    storage_class,
    using,
)
from e2e.cluster.tests.workloads import Workloads, pod
from e2e.cluster.waiting import wait_until

_WRITE = f"dd if=/dev/urandom of={VOLUME}/data bs=1M count=8; sha256sum {VOLUME}/data >{VOLUME}/sum"
_VERIFY = f"sha256sum -c {VOLUME}/sum"
_CAP_SYS_RESOURCE = 24
_CHANGE = f"echo changed >{VOLUME}/data; sync"


@pytest.fixture(name="node", params=["native", "openzfs"])
def fixture_node(request: pytest.FixtureRequest, cluster: Cluster) -> str:
    """A node of each kind; the embedded pool is on both."""
    return native_nodes(cluster)[0] if request.param == "native" else require_openzfs(cluster)


@pytest.fixture(name="xfs_class")
def fixture_xfs_class(cluster: Cluster) -> Iterator[str]:
    """A class whose volumes are XFS, which grows wherever it is mounted."""
    name = f"xfs-{uuid.uuid4().hex[:8]}"
    cluster.kubectl.apply(storage_class(name, {"csi.storage.k8s.io/fstype": "xfs"}))
    yield name
    cluster.kubectl.delete(f"storageclass/{name}")


def start_with_volume(workloads: Workloads, name: str, claim_name: str, node: str) -> None:
    workloads.start_pod(name, node=node, container=mounted(), spec=using(claim_name))


def size_bytes(kubectl: Kubectl, pod_name: str) -> int:
    """The size of the file system that a pod sees."""
    blocks, block_size = kubectl.execute(pod_name, "stat", "-f", "-c", "%b %S", VOLUME).split()
    return int(blocks) * int(block_size)


def grow_under_pod(kubectl: Kubectl) -> None:
    before = size_bytes(kubectl, "writer")
    kubectl.patch("pvc/data", {"spec": {"resources": {"requests": {"storage": "512Mi"}}}})
    kubectl.wait_for_field("pvc/data", ".status.capacity.storage", "512Mi")
    assert size_bytes(kubectl, "writer") > before + (150 << 20)


def has_capability(node: Node, number: int) -> bool:
    """Whether root has it there: some machines withhold one."""
    status = run_on(node, "cat", "/proc/1/status")
    fields = dict(line.partition(":")[::2] for line in status.splitlines())
    return bool(int(fields["CapEff"], 16) >> number & 1)


@pytest.mark.usefixtures("release")
class TestVolume:
    """A claim on either kind of node."""

    def test_claim_waits_for_its_pod_and_its_data_outlives_it(
        self, workloads: Workloads, node: str
    ) -> None:
        kubectl = workloads.kubectl
        kubectl.apply(claim("data"))
        assert kubectl.get("pvc/data")["status"]["phase"] == "Pending"
        start_with_volume(workloads, "writer", "data", node)
        kubectl.execute_shell("writer", _WRITE)
        volume = kubectl.get("pvc/data")["spec"]["volumeName"]
        affinity = kubectl.get(f"pv/{volume}")["spec"]["nodeAffinity"]
        assert node in str(affinity)
        workloads.delete_pod("writer")
        start_with_volume(workloads, "reader", "data", node)
        kubectl.execute_shell("reader", _VERIFY)

    def test_snapshot_is_restored_to_a_larger_claim_while_its_source_changes(
        self, workloads: Workloads, node: str
    ) -> None:
        kubectl = workloads.kubectl
        kubectl.apply(claim("data"))
        start_with_volume(workloads, "writer", "data", node)
        kubectl.execute_shell("writer", _WRITE)
        kubectl.apply(snapshot("then", "data"))
        kubectl.wait_for_field("volumesnapshot/then", ".status.readyToUse", "true")
        kubectl.execute_shell("writer", _CHANGE)
        kubectl.apply(claim("restored", "128Mi", source=from_snapshot("then")))
        start_with_volume(workloads, "reader", "restored", node)
        kubectl.execute_shell("reader", _VERIFY)
        assert size_bytes(kubectl, "reader") > 100 << 20
        assert kubectl.execute("writer", "cat", f"{VOLUME}/data") == "changed\n"

    def test_clone_has_the_data_and_a_life_of_its_own(
        self, workloads: Workloads, node: str
    ) -> None:
        kubectl = workloads.kubectl
        kubectl.apply(claim("data"))
        start_with_volume(workloads, "writer", "data", node)
        kubectl.execute_shell("writer", f"{_WRITE}; sync")
        kubectl.apply(claim("clone", source=from_claim("data")))
        start_with_volume(workloads, "reader", "clone", node)
        kubectl.execute_shell("reader", f"{_VERIFY}; {_CHANGE}")
        kubectl.execute_shell("writer", _VERIFY)

    def test_claim_grows_under_its_pod(
        self, workloads: Workloads, node: str, xfs_class: str
    ) -> None:
        kubectl = workloads.kubectl
        kubectl.apply(claim("data", "320Mi", storage_class=xfs_class))
        start_with_volume(workloads, "writer", "data", node)
        kubectl.execute_shell("writer", _WRITE)
        grow_under_pod(kubectl)
        kubectl.execute_shell("writer", _VERIFY)

    def test_claim_of_ext4_grows_under_its_pod_where_the_kernel_lets_it(
        self, workloads: Workloads, cluster: Cluster, node: str
    ) -> None:
        if not has_capability(cluster.node(node), _CAP_SYS_RESOURCE):
            pytest.skip("needs CAP_SYS_RESOURCE")
        kubectl = workloads.kubectl
        kubectl.apply(claim("data", "320Mi"))
        start_with_volume(workloads, "writer", "data", node)
        grow_under_pod(kubectl)

    def test_block_volume_keeps_what_is_written_to_the_device(
        self, workloads: Workloads, node: str
    ) -> None:
        kubectl = workloads.kubectl
        kubectl.apply(claim("raw", volume_mode="Block"))
        spec = using("raw")
        workloads.start_pod("writer", node=node, container=attached(), spec=spec)
        write = f"dd if=/dev/urandom of=/tmp/data bs=1M count=4; dd if=/tmp/data of={DEVICE} bs=1M"
        kubectl.execute_shell("writer", f"{write}; sync")
        written = kubectl.execute("writer", "sha256sum", "/tmp/data").split()[0]
        workloads.delete_pod("writer")
        workloads.start_pod("reader", node=node, container=attached(), spec=spec)
        read = kubectl.execute_shell("reader", f"dd if={DEVICE} bs=1M count=4 | sha256sum")
        assert read.split()[0] == written


def test_helm_test_passes(release: Release) -> None:
    release.test()
    # A claim that is left would keep the uninstallation back.
    release.kubectl.wait_until_none("persistentvolumeclaims")


def test_claim_of_too_much_stays_pending_with_words(release: Release, workloads: Workloads) -> None:
    kubectl = workloads.kubectl
    kubectl.apply(claim("vast", "100Ti"), pod("waits", container=mounted(), spec=using("vast")))
    said = "did not have enough free storage"
    wait_until(
        lambda: any(said in words for words in kubectl.events("pod/waits")),
        "an event says why the pod waits",
        limit_s=DEFAULT_WAIT_S,
    )
    assert kubectl.get("pvc/vast")["status"]["phase"] == "Pending"


def test_uninstall_is_refused_while_there_is_a_volume_and_leaves_the_data(
    release: Release, workloads: Workloads
) -> None:
    cluster, kubectl = release.cluster, workloads.kubectl
    node = next(node for node in cluster.nodes() if node.name != OPENZFS_NAME)
    kubectl.apply(claim("data"))
    start_with_volume(workloads, "writer", "data", node.name)
    with pytest.raises(CommandFailedError):
        release.uninstall()
    assert DRIVER_NAME in cluster.kubectl.run("get", "csidrivers", "--output=name")
    workloads.delete_pod("writer")
    kubectl.delete("pvc/data")
    # Those of tests before, whose namespaces are still being deleted, too.
    for kind in ("persistentvolumes", "volumesnapshotcontents"):
        cluster.kubectl.wait_until_none(kind)
    release.uninstall()
    assert DRIVER_NAME not in cluster.kubectl.run("get", "csidrivers", "--output=name")
    assert run_on(node, "sh", "-c", "ls /var/lib/csi-zfs").strip()
