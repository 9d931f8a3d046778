"""Where the one cluster of a machine keeps everything, and the addresses that it has.

Layout of the state: `processes/` who was started, `logs/`, `secrets/` certificates and keys,
`bin/` links to the programs, `etcd/`, `nodes/<name>/` what belongs to a node, `cluster.json` what
the cluster is made of, `host.json` what was changed on the machine.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.errors import ClusterError

DEFAULT_STATE = Path("/var/tmp/csi-zfs-cluster")
BRIDGE = "csi-zfs0"
PODS = "10.244.0.0/16"
SERVICES = "10.96.0.0/16"
FIRST_SERVICE = "10.96.0.1"
MACHINE = "10.77.0.1"
NETWORK_BITS = 24
NETWORK = f"10.77.0.0/{NETWORK_BITS}"
MAX_NATIVE_NODES = 9
API_PORT = 6443
API = f"https://{MACHINE}:{API_PORT}"
_FIRST_NODE = 10
_OURS = 0o700


@dataclass(frozen=True, slots=True)
class Address:
    """What the network gives a node by its number, which begins with 1."""

    number: int

    @property
    def ip(self) -> str:
        """On the bridge."""
        return f"10.77.0.{_FIRST_NODE + self.number}"

    @property
    def pods(self) -> str:
        """The network of its pods."""
        return f"10.244.{self.number}.0/24"

    @property
    def link(self) -> str:
        """The machine's end of its cable."""
        return f"csi-zfs-n{self.number}"

    @property
    def mac(self) -> str:
        """Of the network card of a virtual machine."""
        return f"52:54:00:4d:00:{self.number:02x}"


@dataclass(frozen=True, slots=True)
class Layout:
    """The directories and files below a state directory."""

    root: Path

    @property
    def processes(self) -> Path:
        """The records of processes."""
        return self.root / "processes"

    @property
    def logs(self) -> Path:
        """What they said."""
        return self.root / "logs"

    @property
    def secrets(self) -> Path:
        """Certificates and keys."""
        return self.root / "secrets"

    @property
    def programs(self) -> Path:
        """Links to every program."""
        return self.root / "bin"

    @property
    def etcd(self) -> Path:
        """The cluster's objects."""
        return self.root / "etcd"

    @property
    def nodes(self) -> Path:
        """A directory for each node."""
        return self.root / "nodes"

    @property
    def cluster(self) -> Path:
        """What the cluster is made of."""
        return self.root / "cluster.json"

    @property
    def host(self) -> Path:
        """What was changed on the machine."""
        return self.root / "host.json"

    def log(self, name: str) -> Path:
        """What a process said."""
        return self.logs / f"{name}.log"

    def program(self, name: str) -> str:
        """A program of the cluster."""
        return str(self.programs / name)

    def kubeconfig(self, user: str) -> Path:
        """How a user reaches the cluster."""
        return self.secrets / f"{user}.kubeconfig"

    def prepare(self) -> None:
        """Make the directories.

        Raises:
            ClusterError: the state directory is somebody else's.
        """
        prepare_root(self.root)
        for directory in (self.processes, self.logs, self.secrets, self.etcd, self.nodes):
            directory.mkdir(exist_ok=True)


def prepare_root(root: Path) -> None:
    """Make a directory that only we can write, where others may put a trap of that name."""
    root.mkdir(mode=_OURS, parents=True, exist_ok=True)
    status = root.lstat()
    if root.is_symlink() or status.st_uid != os.geteuid():
        raise ClusterError(f"{root} is not ours")


def state_directory(environ: Mapping[str, str]) -> Path:
    """Where the cluster of this machine keeps its state: there is one at a time."""
    return Path(environ.get("CSI_ZFS_CLUSTER_STATE") or DEFAULT_STATE).absolute()
