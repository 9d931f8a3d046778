"""What is measured on: the chart's release in a cluster of native nodes, and a namespace."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from csi_zfs.domain.sizes import GIB, MIB
from e2e.cluster.cluster import Cluster
from e2e.cluster.errors import ClusterError
from e2e.cluster.kubectl import Kubectl
from e2e.cluster.plan import OPENZFS_NAME
from e2e.cluster.tests.release import Release, installed
from e2e.cluster.tests.volumes import storage_class

AT_ONCE_CLASS = "bench-at-once"
LIMIT_S = 300.0
# As the chart has it, with room for the large source and for what is promised to its copies.
_POOLS = '[{"name": "local", "path": "/var/lib/csi-zfs/local", "size": "40Gi", "create": true}]'


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is measured."""

    rounds: int
    claims: int
    pods: int
    copies: int
    large_bytes: int
    small_bytes: int = 10 * MIB


FULL = Amount(rounds=3, claims=50, pods=10, copies=8, large_bytes=10 * GIB)
QUICK = Amount(rounds=1, claims=10, pods=3, copies=2, large_bytes=GIB)


@dataclass(frozen=True, slots=True)
class Stand:
    """A release, and how much is measured on it."""

    release: Release
    amount: Amount

    @property
    def cluster(self) -> Cluster:
        """The cluster below it."""
        return self.release.cluster


@contextmanager
def standing(cluster: Cluster, amount: Amount) -> Iterator[Stand]:
    """Install the chart, with a class whose claims wait for no pod."""
    if any(node.name == OPENZFS_NAME for node in cluster.nodes()):
        raise ClusterError(
            "a node of the running cluster is emulated, which takes the processors from what is"
            " measured: end it with `make cluster-down`"
        )
    with installed(cluster, "--set-json", f"pools={_POOLS}") as release:
        at_once = storage_class(AT_ONCE_CLASS, {}) | {"volumeBindingMode": "Immediate"}
        cluster.kubectl.apply(at_once)
        try:
            yield Stand(release, amount)
        finally:
            cluster.kubectl.delete(f"storageclass/{AT_ONCE_CLASS}")


@contextmanager
def namespace(cluster: Cluster) -> Iterator[Kubectl]:
    """A namespace for a measurement; all that is in it is gone afterwards, volumes too."""
    name = f"bench-{uuid.uuid4().hex[:8]}"
    cluster.kubectl.run("create", "namespace", name)
    kubectl = cluster.kubectl.in_namespace(name)
    kubectl.wait("create", "serviceaccount/default")
    try:
        yield kubectl
    finally:
        clear(kubectl)
        cluster.kubectl.delete(f"namespace/{name}")


def clear(kubectl: Kubectl) -> None:
    """Delete pods, snapshots and claims, and wait until their volumes are gone."""
    path = "--output=jsonpath={.items[*].spec.volumeName}"
    volumes = [f"persistentvolume/{name}" for name in kubectl.run("get", "pvc", path).split()]
    for kind in ("pods", "volumesnapshots", "persistentvolumeclaims"):
        kubectl.delete(kind, "--all")
    if volumes:
        kubectl.wait("delete", *volumes, limit_s=LIMIT_S)
