"""A cluster in one process: agents over fake nodes, a router, and real gRPC with TLS between."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc

from csi_zfs.rpc.agent_port import AgentPort
from csi_zfs.rpc.interceptors import Interceptor
from csi_zfs.rpc.metrics import Metrics
from csi_zfs.rpc.roles import AGENT_PORT, ROUTER_SOCKET, agent_servicers, router_servicers
from csi_zfs.rpc.router.connection import AgentConnection
from csi_zfs.rpc.router.fleet import Fleet
from csi_zfs.rpc.router.sending import Sender
from csi_zfs.rpc.server import CsiServer
from csi_zfs.rpc.tls import TlsDirectory, agent_name, client_credentials, controller_name
from csi_zfs.services.identity import Identity
from tests.support.certificates import Authority
from tests.support.csi_client import CsiClient
from tests.support.node import FakeNode
from tests.support.pool_state import Room

HOST = "127.0.0.1"
TIMEOUT_S = 20
DRIVER = "csi-zfs.io"
TOPOLOGY_KEY = "topology.csi-zfs.io/node"


class Agent:
    """The port of one fake node; `node_id` is what it says, whatever the cluster says."""

    def __init__(self, node: FakeNode, tls_dir: Path) -> None:
        self.node = node
        self.tls_dir = tls_dir
        self.port = 0
        self._server: AgentPort | None = None

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def start(self) -> None:
        """Serve, at the port of the time before."""
        services = self.node.services
        self._server = AgentPort(
            services.identity, AGENT_PORT, interceptor=Interceptor(Metrics()), thread_count=4
        )
        self._server.serve(agent_servicers(services))
        self.port = self._server.start(HOST, self.port, TlsDirectory(self.tls_dir))

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(grace_s=0)
            self._server = None


class RoutedCluster:
    """Nodes `node-1` and on, each with an agent, and a router that knows them."""

    def __init__(
        self,
        directory: Path,
        socket_path: Path,
        *,
        nodes: int = 2,
        room_of: Callable[[int], Room] = lambda _number: Room(100 << 30),
    ) -> None:
        self.authority = Authority()
        self._router_tls = self.authority.write(directory / "tls", controller_name(DRIVER))
        self.agents: dict[str, Agent] = {}
        for number in range(1, nodes + 1):
            node_id = f"node-{number}"
            place = directory / node_id
            place.mkdir()
            node = FakeNode(place, node_id=node_id, room=room_of(number))
            tls_dir = self.authority.write(place / "tls", agent_name(DRIVER))
            self.agents[node_id] = Agent(node, tls_dir)
        self.forgotten: set[str] = set()
        self.fleet = Fleet(self.connect)
        self.server = CsiServer(
            Identity(DRIVER, "1", "", TOPOLOGY_KEY),
            ROUTER_SOCKET,
            socket_path=socket_path,
            interceptor=Interceptor(Metrics()),
        )
        self.client = CsiClient(socket_path, timeout_s=TIMEOUT_S)

    def connect(self, node_id: str, address: str) -> AgentConnection:
        """As the router's own."""
        credentials = client_credentials(TlsDirectory(self._router_tls).read())
        return AgentConnection(node_id, address, credentials, agent_name(DRIVER))

    def node(self, number: int) -> FakeNode:
        """The node of this number."""
        return self.agents[f"node-{number}"].node

    @contextmanager
    def away(self, number: int) -> Iterator[None]:
        """The agent of this node does not answer for the length of a `with` block."""
        self.agents[f"node-{number}"].stop()
        try:
            yield
        finally:
            self.start(number)

    def start(self, number: int) -> None:
        """Start an agent again, and wait until the router has found it."""
        agent = self.agents[f"node-{number}"]
        agent.start()
        connection = self.fleet.member(f"node-{number}").require()
        grpc.channel_ready_future(connection._channel).result(TIMEOUT_S)

    def know_all(self) -> None:
        """Tell the router where all agents are."""
        self.fleet.know({node_id: agent.address for node_id, agent in self.agents.items()})

    def __enter__(self) -> Self:
        for agent in self.agents.values():
            agent.start()
        self.know_all()
        sender = Sender(self.fleet, self.forgotten)
        self.server.serve(
            router_servicers(sender, TOPOLOGY_KEY), is_ready=lambda: self.fleet.is_known
        )
        self.server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.close()
        self.server.stop(grace_s=0)
        self.fleet.know({})
        for agent in self.agents.values():
            agent.stop()
