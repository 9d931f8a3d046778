"""Which node runs what: the native ones have embedded pools, the emulated one can have OpenZFS."""

import pytest

from e2e.cluster.cluster import Cluster
from e2e.cluster.plan import OPENZFS_NAME


def native_nodes(cluster: Cluster) -> list[str]:
    """The names of the nodes that are no virtual machine."""
    return [node.name for node in cluster.nodes() if node.name != OPENZFS_NAME]


def require_openzfs(cluster: Cluster) -> str:
    """The name of the node with OpenZFS; skips a test where there is none."""
    if all(node.name != OPENZFS_NAME for node in cluster.nodes()):
        pytest.skip("this cluster was started without the node on OpenZFS (ZFS=0)")
    return OPENZFS_NAME
