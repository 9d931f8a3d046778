"""Pods for the tests of the cluster, as small as they can be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from e2e.cluster.kubectl import DEFAULT_WAIT_S, Kubectl, Object
from e2e.cluster.versions import BUSYBOX_IMAGE

# Ended at once when it is deleted: it is process 1 and would have to handle SIGTERM.
_FOREVER = ("sh", "-c", "trap 'exit 0' TERM; sleep 2147483647 & wait")


@dataclass(frozen=True, slots=True)
class Workloads:
    """Makes pods in a namespace and waits until they are ready."""

    kubectl: Kubectl

    def start_pod(
        self,
        name: str,
        *,
        node: str | None = None,
        command: Sequence[str] = _FOREVER,
        limit_s: float = DEFAULT_WAIT_S,
        container: Mapping[str, object] | None = None,
        spec: Mapping[str, object] | None = None,
    ) -> None:
        """Start a pod with a shell, and wait until it is ready."""
        made = pod(name, node=node, command=command, container=container, spec=spec)
        self.kubectl.apply(made)
        self.kubectl.wait("condition=Ready", f"pod/{name}", limit_s=limit_s)

    def delete_pod(self, name: str) -> None:
        """Delete a pod and wait until it is gone."""
        self.kubectl.delete(f"pod/{name}")

    def ip_of(self, name: str) -> str:
        """The address of a pod."""
        ip: str = self.kubectl.get(f"pod/{name}")["status"]["podIP"]
        return ip


def pod(
    name: str,
    *,
    node: str | None = None,
    command: Sequence[str] = _FOREVER,
    container: Mapping[str, object] | None = None,
    spec: Mapping[str, object] | None = None,
) -> Object:
    """A pod with one container that has a shell.

    Args:
        name: of the pod, and its label `app`.
        node: which runs it, or any that the scheduler finds.
        command: of the container.
        container: more fields of the container.
        spec: more fields of the pod's own specification.
    """
    only = {"kubernetes.io/hostname": node} if node is not None else {}
    shell = {"name": "shell", "image": BUSYBOX_IMAGE, "command": list(command)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "containers": [shell | dict(container or {})],
            "nodeSelector": only,
            "terminationGracePeriodSeconds": 5,
            **(spec or {}),
        },
    }
