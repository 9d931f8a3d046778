"""A driver that does nothing at all, behind the very provisioner that the chart has."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from e2e.cluster import go
from e2e.cluster.assets import cluster_cache
from e2e.cluster.cluster import Cluster
from e2e.cluster.images import Recipe, ensure_images
from e2e.cluster.kubectl import Object
from e2e.cluster.tests.release import RELEASE, Release
from e2e.cluster.tests.volumes import storage_class
from tests.bench.mock_build import ensure_mock

STORAGE_CLASS = "bench-mock"
_NAME = "bench-mock"
_IMAGE = "localhost/csi-mock:1"
_DRIVER_NAME = "mock.csi"
_PROVISIONER = "csi-provisioner"
# Every node has this label: the mock's own key is on none.
_TOPOLOGY_KEY = "kubernetes.io/hostname"


@contextmanager
def mocked(release: Release) -> Iterator[None]:
    """The mock and its class for the length of a `with` block."""
    cluster = release.cluster
    program = ensure_mock(os.environ)
    recipe = Recipe(_IMAGE, program, (f"/{program.name}",))
    images = ensure_images((recipe,), cluster_cache(os.environ), architecture=go.architecture())
    cluster.load_image(images[_IMAGE])
    kubectl = cluster.kubectl.in_namespace(_NAME)
    try:
        cluster.kubectl.apply(_namespace(), _binding(), _class())
        kubectl.apply(_deployment(release))
        _register(cluster)
        kubectl.run("rollout", "status", f"deployment/{_NAME}", "--timeout=60s", limit_s=90)
        yield
    finally:
        _unregister(cluster)
        cluster.kubectl.delete(f"namespace/{_NAME}", "--ignore-not-found")
        for resource in (f"clusterrolebinding/{_NAME}", f"storageclass/{STORAGE_CLASS}"):
            cluster.kubectl.delete(resource, "--ignore-not-found")


def _namespace() -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAME}}


def _class() -> Object:
    made = storage_class(STORAGE_CLASS, {})
    return made | {"provisioner": _DRIVER_NAME, "volumeBindingMode": "Immediate"}


def _binding() -> Object:
    """The chart's roles name the chart's own leases: nothing is learned from others here."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": _NAME},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": _NAME}],
    }


def _deployment(release: Release) -> Object:
    """The provisioner with all of its flags as the release has it, and the mock in the place."""
    chart = release.kubectl.get(f"deployment/{RELEASE}-controller")
    template = chart["spec"]["template"]["spec"]
    containers = template["containers"]
    provisioner = next(one for one in containers if one["name"] == _PROVISIONER)
    driver = {
        "name": "driver",
        "image": _IMAGE,
        "args": ["--endpoint=/run/csi-zfs/csi.sock"],
        "volumeMounts": [{"name": "socket", "mountPath": "/run/csi-zfs"}],
    }
    labels = {"app": _NAME}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": _NAME},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [driver, provisioner],
                    "securityContext": template["securityContext"],
                    "volumes": [{"name": "socket", "emptyDir": {}}],
                },
            },
        },
    }


def _register(cluster: Cluster) -> None:
    """Say of every node that the mock runs there, so that the provisioner finds a topology."""
    for node in cluster.nodes():
        entry = {"name": _DRIVER_NAME, "nodeID": node.name, "topologyKeys": [_TOPOLOGY_KEY]}
        _patch(cluster, node.name, [*_others(cluster, node.name), entry])


def _unregister(cluster: Cluster) -> None:
    for node in cluster.nodes():
        _patch(cluster, node.name, _others(cluster, node.name))


def _others(cluster: Cluster, node: str) -> list[Object]:
    drivers = cluster.kubectl.get(f"csinode/{node}")["spec"]["drivers"] or []
    return [driver for driver in drivers if driver["name"] != _DRIVER_NAME]


def _patch(cluster: Cluster, node: str, drivers: list[Object]) -> None:
    cluster.kubectl.patch(f"csinode/{node}", {"spec": {"drivers": drivers}})
