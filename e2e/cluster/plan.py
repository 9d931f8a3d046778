"""What a cluster is made of, written down so that other commands find it."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.layout import Address, Layout
from e2e.cluster.native import NativeNode
from e2e.cluster.node import Node
from e2e.cluster.openzfs import OpenZfsNode
from e2e.vm.images import Images

NATIVE_PREFIX = "node"
OPENZFS_NAME = "zfs1"


@dataclass(frozen=True, slots=True)
class Guest:
    """What the node in the virtual machine boots from, and the port at which it is reached."""

    system: str
    environment: str
    programs: str
    kept: str
    port: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A cluster: so many native nodes, and perhaps one in the virtual machine with OpenZFS."""

    native_nodes: int
    packages: str
    definitions: str
    images: Mapping[str, str]
    # The driver's own changes with every edit; a running cluster is given another one.
    driver_image: str
    driver_archive: str
    etcd_port: int
    etcd_peer_port: int
    guest: Guest | None = None

    def nodes(self, layout: Layout) -> list[Node]:
        """Its nodes, of which the one that takes longest to come up is the first."""
        natives = [
            NativeNode(f"{NATIVE_PREFIX}{number}", Address(number), layout, Path(self.packages))
            for number in range(1, self.native_nodes + 1)
        ]
        if self.guest is None:
            return [*natives]
        images = Images(Path(self.guest.system), Path(self.guest.environment))
        address = Address(self.native_nodes + 1)
        guest = OpenZfsNode(
            OPENZFS_NAME,
            address,
            layout,
            images=images,
            programs=Path(self.guest.programs),
            kept=Path(self.guest.kept),
            port=self.guest.port,
        )
        return [guest, *natives]

    def archives(self) -> dict[str, Path]:
        """The archives of the images that every node has, by name."""
        every = dict(self.images) | {self.driver_image: self.driver_archive}
        return {name: Path(path) for name, path in every.items()}

    def save(self, path: Path) -> None:
        """Write it down."""
        path.write_text(json.dumps(dataclasses.asdict(self), indent=1), encoding="utf-8")


def load_plan(path: Path) -> Plan | None:
    """The plan that `save` wrote down there; None without one, or with that of other times."""
    if not path.exists():
        return None
    saved = json.loads(path.read_text(encoding="utf-8"))
    try:
        guest = saved.pop("guest")
        return Plan(**saved, guest=Guest(**guest) if guest is not None else None)
    except (KeyError, TypeError):
        return None
