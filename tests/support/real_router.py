"""The real router as a child process, before real drivers of nodes."""

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from csi_zfs.rpc.tls import agent_name, controller_name
from tests.support.certificates import Authority
from tests.support.process import DriverPaths, RealDriver, running_driver

HOST = "127.0.0.1"
DRIVER = "csi-zfs.io"


def free_address() -> str:
    """An address at which nobody listens now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return f"{HOST}:{probe.getsockname()[1]}"


@dataclass(slots=True)
class Link:
    """The certificates and the address by which a router and one node know each other."""

    root: Path
    node_id: str = "this-node"
    address: str = field(default_factory=free_address)
    authority: Authority = field(default_factory=Authority)

    def node_settings(self) -> dict[str, object]:
        """Further settings of the node's driver."""
        tls_dir = self.authority.write(self.root / "agent-tls", agent_name(DRIVER))
        return {"agent_address": self.address, "tls_dir": str(tls_dir)}

    def write_router_settings(self, more: Mapping[str, object]) -> DriverPaths:
        """Write the settings file of the router, in a directory of its own."""
        paths = DriverPaths(self.root / "router")
        tls_dir = self.authority.write(paths.root / "tls", controller_name(DRIVER))
        settings = {
            "endpoint": f"unix://{paths.socket}",
            "tls_dir": str(tls_dir),
            "agents": [{"node_id": self.node_id, "address": self.address}],
        }
        paths.config.write_text(json.dumps(settings | dict(more), indent=2))
        return paths


@contextmanager
def real_router(link: Link, **more: object) -> Iterator[RealDriver]:
    """Start a router for the node of a link, and take it down, however the block ends."""
    with running_driver(link.write_router_settings(more), role="controller") as router:
        yield router
