"""Many agents in one process, for the router's bench: real gRPC and TLS, volumes that are names.

Started as a child: it prints the port of each agent as JSON, and serves until its input is closed.
"""

import argparse
import json
import sys
from pathlib import Path

import grpc

from csi_zfs.domain.ids import VolumeId
from csi_zfs.rpc.agent_port import AgentPort
from csi_zfs.rpc.generated import agent_pb2, agent_pb2_grpc, csi_pb2, csi_pb2_grpc
from csi_zfs.rpc.interceptors import Interceptor
from csi_zfs.rpc.metrics import Metrics
from csi_zfs.rpc.tls import TlsDirectory
from csi_zfs.services.identity import Identity
from csi_zfs.settings import keep_grpc_fork_support_off

DRIVER = "csi-zfs.io"
TOPOLOGY_KEY = "topology.csi-zfs.io/node"
HOST = "127.0.0.1"
ROOM_BYTES = 1 << 40
_UID = "1111111111111111"


def node_name(number: int) -> str:
    """The node of an agent."""
    return f"node-{number:05}"


def volume_id_on(number: int, volume: int) -> str:
    """The id of one of its volumes."""
    return str(VolumeId(f"{number:016x}", f"pvc-{volume:05}", _UID))


class SimulatedController(csi_pb2_grpc.ControllerServicer):
    """A node with so many volumes."""

    def __init__(self, number: int, volumes: int) -> None:
        self._topology = csi_pb2.Topology(segments={TOPOLOGY_KEY: node_name(number)})
        self._volumes = {
            one: csi_pb2.Volume(
                volume_id=one, capacity_bytes=1 << 30, accessible_topology=[self._topology]
            )
            for one in (volume_id_on(number, volume) for volume in range(volumes))
        }
        self._number = number

    def CreateVolume(
        self, request: csi_pb2.CreateVolumeRequest, context: grpc.ServicerContext
    ) -> csi_pb2.CreateVolumeResponse:
        one = str(VolumeId(f"{self._number:016x}", request.name, _UID))
        volume = csi_pb2.Volume(volume_id=one, accessible_topology=[self._topology])
        return csi_pb2.CreateVolumeResponse(volume=volume)

    def DeleteVolume(
        self, request: csi_pb2.DeleteVolumeRequest, context: grpc.ServicerContext
    ) -> csi_pb2.DeleteVolumeResponse:
        return csi_pb2.DeleteVolumeResponse()

    def ControllerGetVolume(
        self, request: csi_pb2.ControllerGetVolumeRequest, context: grpc.ServicerContext
    ) -> csi_pb2.ControllerGetVolumeResponse:
        return csi_pb2.ControllerGetVolumeResponse(volume=self._volumes[request.volume_id])

    def ListVolumes(
        self, request: csi_pb2.ListVolumesRequest, context: grpc.ServicerContext
    ) -> csi_pb2.ListVolumesResponse:
        ids = [one for one in self._volumes if one > request.starting_token]
        shown = ids[: request.max_entries or None]
        return csi_pb2.ListVolumesResponse(
            entries=[csi_pb2.ListVolumesResponse.Entry(volume=self._volumes[one]) for one in shown],
            next_token=shown[-1] if len(shown) < len(ids) else "",
        )

    def GetCapacity(
        self, request: csi_pb2.GetCapacityRequest, context: grpc.ServicerContext
    ) -> csi_pb2.GetCapacityResponse:
        return csi_pb2.GetCapacityResponse(available_capacity=ROOM_BYTES)


class SimulatedAgent(agent_pb2_grpc.AgentServicer):
    """What it says of itself; no name is taken."""

    def __init__(self, number: int) -> None:
        self._said = agent_pb2.DescribeResponse(
            node_id=node_name(number),
            driver_name=DRIVER,
            pools=[agent_pb2.Pool(pool_id=f"{number:016x}", name="tank")],
        )

    def Describe(
        self, request: agent_pb2.DescribeRequest, context: grpc.ServicerContext
    ) -> agent_pb2.DescribeResponse:
        return self._said

    def FindByName(
        self, request: agent_pb2.FindByNameRequest, context: grpc.ServicerContext
    ) -> agent_pb2.FindByNameResponse:
        return agent_pb2.FindByNameResponse()


def new_agent(number: int, volumes: int) -> AgentPort:
    """What serves one node, once it is started."""
    servicers = {
        "Controller": SimulatedController(number, volumes),
        "Agent": SimulatedAgent(number),
    }
    server = AgentPort(
        Identity(DRIVER, "1", node_name(number), TOPOLOGY_KEY),
        {name: type(servicer) for name, servicer in servicers.items()},
        interceptor=Interceptor(Metrics()),
        thread_count=1,
    )
    server.serve(servicers)
    return server


def main() -> int:
    """Serve until the input is closed."""
    keep_grpc_fork_support_off()
    parser = argparse.ArgumentParser()
    parser.add_argument("--tls", type=Path, required=True)
    parser.add_argument("--first", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--volumes", type=int, required=True)
    parser.add_argument("--ports", type=json.loads, default=[])
    asked = parser.parse_args()
    numbers = range(asked.first, asked.first + asked.count)
    agents = [new_agent(number, asked.volumes) for number in numbers]
    ports = [
        agent.start(HOST, port, TlsDirectory(asked.tls))
        for agent, port in zip(agents, asked.ports or [0] * asked.count, strict=True)
    ]
    print(json.dumps(ports), flush=True)
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
