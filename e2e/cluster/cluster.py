"""A cluster: started, found again by other commands, and ended with all that it started."""

import contextlib
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from e2e.cluster.certificates import Authority
from e2e.cluster.control_plane import (
    API_SERVER,
    CONTROLLER_MANAGER,
    ETCD,
    SCHEDULER,
    SNAPSHOT_CONTROLLER,
    ControlPlane,
)
from e2e.cluster.errors import ClusterError, CommandFailedError, NotRunningError
from e2e.cluster.host import Host
from e2e.cluster.kubectl import Helm, Kubectl
from e2e.cluster.layout import Layout
from e2e.cluster.native import end_node
from e2e.cluster.network import make_bridge, remove_links
from e2e.cluster.node import Node, images_on, import_images, load_archive
from e2e.cluster.plan import Plan, load_plan
from e2e.cluster.processes import Processes
from e2e.cluster.waiting import require_running, wait_until
from e2e.image.archive import Archive
from e2e.vm.errors import VmError
from e2e.vm.progress import say, step
from tests.support.leftovers import remove_files
from tests.support.signals import undisturbed

_API_LIMIT_S = 120.0
_READY_LIMIT_S = 180.0
_END_LIMIT_S = 30.0
_SHOWN = (
    ("nodes", ("get", "nodes", "--output=wide")),
    ("pods", ("get", "pods", "--all-namespaces", "--output=wide")),
    ("volumes", ("get", "persistentvolumes,persistentvolumeclaims", "--all-namespaces")),
    ("events", ("get", "events", "--all-namespaces", "--sort-by=.lastTimestamp")),
    ("described", ("describe", "pods", "--all-namespaces")),
)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster."""

    layout: Layout
    plan: Plan

    @property
    def kubectl(self) -> Kubectl:
        """Kubectl as its administrator."""
        return Kubectl(self.layout)

    @property
    def helm(self) -> Helm:
        """Helm as its administrator."""
        return Helm(self.layout)

    def nodes(self) -> list[Node]:
        """Its nodes."""
        return self.plan.nodes(self.layout)

    def node(self, name: str) -> Node:
        """One of them.

        Raises:
            NotRunningError: there is none of this name.
        """
        for node in self.nodes():
            if node.name == name:
                return node
        raise NotRunningError(f"there is no node {name!r}")

    def restart(self, name: str) -> None:
        """Start a node that was killed, and wait until it is ready.

        One whose machine ends as it comes up is started once more: the emulator of Debian 12 lets
        a kernel now and then run an instruction that another processor is just replacing.
        """
        if self._runs(name):
            raise ClusterError(f"{name} runs: `kill` ends it first")
        try:
            self._start(name)
        except (ClusterError, VmError) as exc:
            if self._runs(name):
                raise
            say(f"{name} ended as it came up, and is started once more: {exc}")
            self.node(name).kill()
            self._start(name)

    def revive(self) -> None:
        """Start the nodes again that have ended."""
        for node in self.nodes():
            if not self._runs(node.name):
                node.kill()
                with step(f"starting {node.name} again, which has ended"):
                    self.restart(node.name)

    def _start(self, name: str) -> None:
        node, began = self.node(name), datetime.now(UTC)
        node.launch()
        node.finish()
        import_images(node, self.plan.archives())
        wait_until(
            lambda: self._is_ready_since(name, began),
            f"{name} is ready again",
            limit_s=_READY_LIMIT_S,
        )

    def _runs(self, name: str) -> bool:
        process = Processes(self.layout.processes).find(name)
        return process is not None and process.is_running()

    def load_image(self, archive: Path) -> None:
        """Import the archive of images into every node."""
        with step(f"loading {archive.name} into every node"), ThreadPoolExecutor() as pool:
            list(pool.map(lambda node: load_archive(node, archive), self.nodes()))

    def provide(self, archive: Archive) -> None:
        """Give every node an image, unless it has the very same one."""
        for node in self.nodes():
            if images_on(node).get(archive.name) != archive.digest:
                with step(f"loading {archive.name} into {node.name}"):
                    load_archive(node, archive.path)

    def collect(self, target: Path) -> None:
        """Copy all logs, and what the cluster says of itself, into a directory."""
        target.mkdir(parents=True, exist_ok=True)
        shutil.copytree(self.layout.logs, target, dirs_exist_ok=True)
        for node in self.nodes():
            with contextlib.suppress(ClusterError, VmError, OSError, subprocess.SubprocessError):
                node.collect(target)
        for name, words in _SHOWN:
            with contextlib.suppress(CommandFailedError):
                (target / f"{name}.txt").write_text(self.kubectl.run(*words), encoding="utf-8")

    def is_running(self) -> bool:
        """Whether all of its control plane runs."""
        names = ControlPlane(self.layout, self.plan).commands()
        found = [Processes(self.layout.processes).find(name) for name in names]
        return all(process is not None and process.is_running() for process in found)

    def _is_ready_since(self, name: str, began: datetime) -> bool:
        conditions = self.kubectl.get(f"node/{name}")["status"]["conditions"]
        ready = next(entry for entry in conditions if entry["type"] == "Ready")
        seen = datetime.fromisoformat(ready["lastHeartbeatTime"])
        return ready["status"] == "True" and seen >= began.replace(microsecond=0)


def start_cluster(layout: Layout, plan: Plan) -> Cluster:
    """Start a cluster; every node is ready when this returns.

    Nothing may run there.  Raises `ClusterError` or `VmError` when it does not come up: what was
    started runs on, for its logs, until `end_cluster`.
    """
    layout.prepare()
    plan.save(layout.cluster)
    cluster = Cluster(layout, plan)
    nodes = cluster.nodes()
    control = ControlPlane(layout, plan)
    with step("starting the control plane and the nodes"):
        Authority(layout.secrets).make([node.name for node in nodes])
        Host().prepare(layout.host)
        make_bridge()
        control.start(ETCD, API_SERVER)
        for node in nodes:
            node.launch()
        _await_api(cluster)
        control.start(CONTROLLER_MANAGER, SCHEDULER)
        cluster.kubectl.run("apply", "--server-side", f"--filename={plan.definitions}")
        control.start(SNAPSHOT_CONTROLLER)
    with step("bringing the nodes up"), ThreadPoolExecutor() as pool:
        list(pool.map(lambda node: _bring_up(cluster, node), nodes))
        cluster.kubectl.wait("create", "serviceaccount/default", limit_s=_READY_LIMIT_S)
    return cluster


def find_cluster(layout: Layout) -> Cluster | None:
    """The cluster whose state is there, if it runs."""
    plan = load_plan(layout.cluster)
    cluster = Cluster(layout, plan) if plan is not None else None
    return cluster if cluster is not None and cluster.is_running() else None


def end_cluster(layout: Layout) -> bool:
    """End whatever was started there, also by a harness that was killed, and remove its state.

    Returns whether there was anything.  Only what is on record is ended.
    """
    if not layout.root.exists():
        return False
    with undisturbed():
        # Whatever the plan says: it may be that of another version of the harness.
        for directory in sorted(layout.nodes.glob("*")):
            end_node(layout, directory.name)
        processes = Processes(layout.processes).all()
        for process in processes:
            process.kill()
        for process in processes:
            if not process.wait(_END_LIMIT_S):
                say(f"{process.name} (process {process.pid}) does not end")
        remove_links()
        Host().restore(layout.host)
        remove_files(layout.root)
    return True


def _await_api(cluster: Cluster) -> None:
    processes = Processes(cluster.layout.processes)

    def answers() -> bool:
        for name in (ETCD, API_SERVER):
            if (process := processes.find(name)) is not None:
                require_running(process, cluster.layout.log(name))
        try:
            cluster.kubectl.run("get", "--raw=/readyz")
        except CommandFailedError:
            return False
        return True

    wait_until(answers, "the API server is ready", limit_s=_API_LIMIT_S)


def _bring_up(cluster: Cluster, node: Node) -> None:
    node.finish()
    import_images(node, cluster.plan.archives())
    name = f"node/{node.name}"
    cluster.kubectl.wait("create", name, limit_s=_READY_LIMIT_S)
    cluster.kubectl.wait("condition=Ready", name, limit_s=_READY_LIMIT_S)
