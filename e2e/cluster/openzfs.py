"""A node in the virtual machine with real OpenZFS: a kernel of its own, a full peer of the others.

The machine's root file system is fresh at each boot.  What a node keeps (its kubelet's directory,
its containers, the pool `tank`) lies on two of the spare disks, which outlive a restart.
"""

import io
import subprocess
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.certificates import Authority
from e2e.cluster.errors import StartFailedError
from e2e.cluster.layout import Address, Layout
from e2e.cluster.network import plug_tap, unplug
from e2e.cluster.node_files import NodeFiles, Place
from e2e.cluster.processes import Process, Processes
from e2e.cluster.waiting import require_running, wait_until
from e2e.vm.guest import Guest, await_ready, make_spare_disks
from e2e.vm.images import Images
from e2e.vm.qemu import Machine, disk, qemu_command
from e2e.vm.ssh import make_key

ZPOOL = "tank"
LABEL = "csi-zfs.io/openzfs"
# It is emulated: what may run anywhere runs better elsewhere.
_TAINT = {"key": "csi-zfs.io/emulated", "value": "true", "effect": "PreferNoSchedule"}
_SCRIPTS = Path(__file__).with_name("files")
_CONFIGURATION = "/run/csi-zfs-node-configuration"
_DISK = "/opt/node"
_KEPT = "/var/lib/node"
_START_LIMIT_S = 60.0
_END_LIMIT_S = 60.0
_COPY_LIMIT_S = 300.0
_PREPARE_LIMIT_S = 240.0
_COLLECT_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class OpenZfsNode:
    """One node, whose machine keeps its disks below `nodes/<name>/` of the state."""

    name: str
    address: Address
    layout: Layout
    images: Images
    programs: Path
    kept: Path
    port: int

    @property
    def place(self) -> Place:
        """Where it has everything, as it sees it."""
        return Place(
            programs=f"{_DISK}/bin",
            packages=f"{_DISK}/packages",
            configuration=_CONFIGURATION,
            kept=_KEPT,
            logs=f"{_KEPT}/logs",
            interface="eth1",
            disk=_DISK,
        )

    def launch(self) -> None:
        """Begin to boot it."""
        scratch = self._scratch
        if not scratch.exists():
            scratch.mkdir(parents=True)
            (scratch / "key.public").write_text(make_key(scratch / "key"), encoding="utf-8")
            make_spare_disks(self._machine())
            copy = ["cp", "--sparse=always", str(self.kept), str(self._machine().spare_disk(1))]
            subprocess.run(copy, check=True, timeout=_COPY_LIMIT_S)
        machine = self._machine()
        machine.console.unlink(missing_ok=True)
        plug_tap(self.address)
        # As long as the emulator lives it holds the lock by which the guest's own commands know it.
        command = [
            "flock",
            "--no-fork",
            "--nonblock",
            str(scratch / "lock"),
            *qemu_command(machine),
        ]
        process = self._processes.start(
            self.name, command, machine.emulator_log, environment={"TMPDIR": str(scratch)}
        )

        def holds_lock() -> bool:
            require_running(process, machine.emulator_log)
            return self._guest().is_running()

        wait_until(holds_lock, f"{self.name} has begun", limit_s=_START_LIMIT_S)

    def finish(self) -> None:
        """Wait until it is up, and make a node of it."""
        guest = self._guest()
        await_ready(guest)
        labels = f"{LABEL}=true"
        files = NodeFiles(self.name, self.address, self.place, labels=labels, taints=(_TAINT,))
        archive = _archive(files.texts(Authority(self.layout.secrets)))
        script = f"""
date --utc --set=@{time.time():.0f} >/dev/null
mkdir -p {_CONFIGURATION}
tar --extract --directory {_CONFIGURATION}
bash {_CONFIGURATION}/guest-node {_CONFIGURATION}/environment
"""
        done = subprocess.run(
            guest.shell.script(script),
            check=False,
            input=archive,
            capture_output=True,
            timeout=_PREPARE_LIMIT_S,
        )
        if done.returncode != 0:
            words = done.stderr.decode(errors="replace").strip()
            raise StartFailedError(f"{self.name} does not become a node: {words}")

    def kill(self) -> None:
        """End its emulator; what it has not written to its disks is lost as in a power cut."""
        process = self._process()
        if process is not None:
            process.kill()
            process.wait(_END_LIMIT_S)
        unplug(self.address)

    def command(self, *words: str) -> list[str]:
        """The command that runs these words in the machine."""
        return self._guest().shell.command(*words)

    def program(self, name: str) -> str:
        """The path of a program on its disk."""
        return f"{self.place.programs}/{name}"

    def collect(self, target: Path) -> None:
        """Copy its console, the kernel's messages, what its services and its pods said."""
        target.mkdir(parents=True, exist_ok=True)
        machine = self._machine()
        for path in (machine.console, machine.emulator_log):
            if path.exists():
                (target / f"{self.name}-{path.name}").write_bytes(path.read_bytes())
        guest = self._guest()
        if not guest.is_running():
            return
        # There are only links in log/containers, which lead out of what is unpacked.
        pack = "tar --create --exclude=log/containers logs log"
        script = f"dmesg >{_KEPT}/logs/dmesg.txt; cd {_KEPT}; {pack}"
        done = subprocess.run(
            guest.shell.script(script),
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_COLLECT_LIMIT_S,
        )
        if done.returncode == 0:
            with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
                tar.extractall(target / self.name, filter="data")

    @property
    def _scratch(self) -> Path:
        return self.layout.nodes / self.name

    @property
    def _processes(self) -> Processes:
        return Processes(self.layout.processes)

    def _process(self) -> Process | None:
        return self._processes.find(self.name)

    def _guest(self) -> Guest:
        process = self._process()
        return Guest(self._machine(), process.pid if process is not None else 0)

    def _machine(self) -> Machine:
        public_key = (self._scratch / "key.public").read_text(encoding="utf-8")
        network = f"tap,id=cluster,ifname={self.address.link},script=no,downscript=no"
        card = f"virtio-net-pci,netdev=cluster,mac={self.address.mac},romfile="
        attachments = (
            *disk("node", self.programs, "read-only=on"),
            *("-netdev", network, "-device", card),
        )
        return Machine(self.images, self._scratch, self.port, public_key, attachments)


def _archive(texts: Mapping[str, str]) -> bytes:
    """The configuration and the scripts that read it."""
    scripts = {name: (_SCRIPTS / name).read_text() for name in ("guest-node", "services")}
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, text in (dict(texts) | scripts).items():
            member = tarfile.TarInfo(name)
            data = text.encode()
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return archive.getvalue()
