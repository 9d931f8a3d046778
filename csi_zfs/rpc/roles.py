"""What each role of the driver serves, and where."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from csi_zfs.rpc.agent import AgentServer
from csi_zfs.rpc.controller import ControllerServer
from csi_zfs.rpc.group_controller import GroupControllerServer
from csi_zfs.rpc.node import NodeServer
from csi_zfs.rpc.router.controller import RoutedController
from csi_zfs.rpc.router.group_controller import RoutedGroupController
from csi_zfs.rpc.router.making import Making
from csi_zfs.rpc.router.sending import Sender
from csi_zfs.rpc.services import Services
from csi_zfs.services.locks import KeyedLocks

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
ROUTER_SOCKET: Mapping[str, type] = MappingProxyType(
    {"Controller": RoutedController, "GroupController": RoutedGroupController}
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


def router_servicers(sender: Sender, topology_key: str) -> dict[str, object]:
    """What answers `ROUTER_SOCKET`."""
    making = Making(sender, KeyedLocks(), topology_key)
    return {
        "Controller": RoutedController(sender, making),
        "GroupController": RoutedGroupController(sender, making),
    }
