"""A node in namespaces of its own: its own processes, mounts, network and name; our kernel."""

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.certificates import Authority
from e2e.cluster.errors import NotRunningError
from e2e.cluster.layout import Address, Layout
from e2e.cluster.loops import detach_loops_below
from e2e.cluster.network import plug_namespace, unplug
from e2e.cluster.node_files import NodeFiles, Place, cgroup_of
from e2e.cluster.processes import Process, Processes, child_of
from e2e.cluster.waiting import require_running, wait_until

_SCRIPT = Path(__file__).with_name("files") / "native-node"
_CGROUPS = Path("/sys/fs/cgroup")
_START_LIMIT_S = 60.0
_END_LIMIT_S = 60.0
_OWN = ("--mount", "--net", "--uts", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc")


@dataclass(frozen=True, slots=True)
class NativeNode:
    """One node, below `nodes/<name>/` of the state."""

    name: str
    address: Address
    layout: Layout
    packages: Path

    @property
    def directory(self) -> Path:
        """Everything of it."""
        return self.layout.nodes / self.name

    @property
    def place(self) -> Place:
        """The same, as the node sees it: it shares our file systems."""
        return Place(
            programs=str(self.layout.programs),
            packages=str(self.packages),
            configuration=str(self.directory / "configuration"),
            kept=str(self.directory / "kept"),
            logs=str(self.layout.logs),
            interface="eth0",
        )

    def launch(self) -> None:
        """Begin to start it."""
        self._write_files()
        log = self.layout.log(self.name)
        remove_cgroups(self.name)
        script = ["bash", str(_SCRIPT), str(self._configuration / "environment")]
        process = self._processes.start(self.name, ["unshare", *_OWN, *script], log)

        def has_begun() -> bool:
            require_running(process, log)
            return child_of(process) is not None

        wait_until(has_begun, f"{self.name} has begun", limit_s=_START_LIMIT_S)
        plug_namespace(self.address, self._first_process())

    def finish(self) -> None:
        """Nothing is left to be done."""

    def kill(self) -> None:
        """End every process of it at once; its loop devices and control groups go, too."""
        end_node(self.layout, self.name)
        unplug(self.address)

    def command(self, *words: str) -> list[str]:
        """The command that runs these words in its namespaces."""
        return ["nsenter", "--all", "--target", str(self._first_process()), "--", *words]

    def program(self, name: str) -> str:
        """The path of a program, the same as ours."""
        return self.layout.program(name)

    def collect(self, target: Path) -> None:
        """Copy what its pods said; what its services said is among the cluster's logs."""
        pods = self.directory / "kept" / "log" / "pods"
        if pods.exists():
            shutil.copytree(pods, target / f"{self.name}-pods", dirs_exist_ok=True)

    @property
    def _configuration(self) -> Path:
        return self.directory / "configuration"

    @property
    def _processes(self) -> Processes:
        return Processes(self.layout.processes)

    def _process(self) -> Process | None:
        return self._processes.find(self.name)

    def _first_process(self) -> int:
        process = self._process()
        first = child_of(process) if process is not None and process.is_running() else None
        if first is None:
            raise NotRunningError(f"{self.name} does not run")
        return first

    def _write_files(self) -> None:
        files = NodeFiles(self.name, self.address, self.place)
        for name, text in files.texts(Authority(self.layout.secrets)).items():
            path = self._configuration / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        Path(self.place.kept).mkdir(exist_ok=True)


def end_node(layout: Layout, name: str) -> None:
    """End a node of either kind, by what is on record and on the disk of it alone."""
    process = Processes(layout.processes).find(name)
    if process is not None:
        # The parent of its first process waits for it, and so for all that the kernel ends with it.
        process.kill_child()
        if child_of(process) is None or not process.wait(_END_LIMIT_S):
            process.kill()
            process.wait(_END_LIMIT_S)
    for directory in ("csi-zfs", "kubelet"):
        detach_loops_below(layout.nodes / name / "kept" / directory)
    remove_cgroups(name)


def remove_cgroups(node: str) -> None:
    """Remove a dead node's control groups, which would cost its next kubelet seconds each."""
    for root in [*_CGROUPS.glob(f"*/{cgroup_of(node)}"), _CGROUPS / cgroup_of(node)]:
        for parent, _, _ in os.walk(root, topdown=False):
            with contextlib.suppress(OSError):
                Path(parent).rmdir()
