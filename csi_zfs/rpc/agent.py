"""The Agent service: what the router of a cluster asks of a node beyond CSI."""

import grpc

from csi_zfs.domain.errors import InvalidRequestError
from csi_zfs.domain.ids import GroupSnapshotId, SnapshotId, VolumeId
from csi_zfs.rpc.generated import agent_pb2, agent_pb2_grpc
from csi_zfs.rpc.requests.fields import parse_name, require_fields
from csi_zfs.rpc.services import Services

_Kind = agent_pb2.FindByNameRequest.Kind


class UnknownKindError(InvalidRequestError):
    """The router asks for a kind of thing that this version does not know."""


class AgentServer(agent_pb2_grpc.AgentServicer):
    """Which node and pools these are, and which names are taken on them."""

    def __init__(self, services: Services) -> None:
        self._identity = services.identity
        self._pools = services.pools
        self._named = services.named

    def Describe(
        self, request: agent_pb2.DescribeRequest, context: grpc.ServicerContext
    ) -> agent_pb2.DescribeResponse:
        """Say who this is."""
        return agent_pb2.DescribeResponse(
            node_id=self._identity.node_id,
            driver_name=self._identity.driver_name,
            version=self._identity.version,
            pools=[
                agent_pb2.Pool(pool_id=pool.pool_id, name=pool.pool_name) for pool in self._pools
            ],
            away_pool_names=self._pools.away_names,
        )

    def FindByName(
        self, request: agent_pb2.FindByNameRequest, context: grpc.ServicerContext
    ) -> agent_pb2.FindByNameResponse:
        """Say what bears a name."""
        require_fields(request, "name")
        found = self._found(request.kind, parse_name(request.name))
        return agent_pb2.FindByNameResponse(id="" if found is None else str(found))

    def _found(self, kind: int, name: str) -> VolumeId | SnapshotId | GroupSnapshotId | None:
        match kind:
            case _Kind.VOLUME:
                return self._named.volume(name)
            case _Kind.SNAPSHOT:
                return self._named.snapshot(name)
            case _Kind.GROUP_SNAPSHOT:
                return self._named.group_snapshot(name)
            case _:
                raise UnknownKindError(f"kind {kind} is none that this agent knows: update it")
