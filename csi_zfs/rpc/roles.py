"""What each role of the driver serves, and where."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from csi_zfs.rpc.agent import AgentServer
from csi_zfs.rpc.controller import ControllerServer
from csi_zfs.rpc.group_controller import GroupControllerServer
from csi_zfs.rpc.node import NodeServer
from csi_zfs.rpc.services import Services

NODE_SOCKET: Mapping[str, type] = MappingProxyType(
    {"Controller": ControllerServer, "GroupController": GroupControllerServer, "Node": NodeServer}
)
# What the router of a cluster may ask of a node: nothing that mounts.
AGENT_PORT: Mapping[str, type] = MappingProxyType(
    {
        "Controller": ControllerServer,
        "GroupController": GroupControllerServer,
        "Agent": AgentServer,
    }
)


def node_servicers(services: Services, *, kubelet_dir: Path) -> dict[str, object]:
    """What answers `NODE_SOCKET`."""
    return {
        "Controller": ControllerServer(services),
        "GroupController": GroupControllerServer(services),
        "Node": NodeServer(services, kubelet_dir=kubelet_dir),
    }


def agent_servicers(services: Services) -> dict[str, object]:
    """What answers `AGENT_PORT`."""
    return {
        "Controller": ControllerServer(services),
        "GroupController": GroupControllerServer(services),
        "Agent": AgentServer(services),
    }
