"""Making things on a cluster: one name makes one thing, on one node.

Before something is made, whoever may hold its name is asked.  Where one of them does not answer,
nothing is made: the call is UNAVAILABLE, and the caller repeats it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from csi_zfs.domain.errors import IncompatibleError, InUseError, NoSpaceError
from csi_zfs.domain.ids import SnapshotId, VolumeId
from csi_zfs.domain.model import CreateVolumeSpec
from csi_zfs.rpc.generated import agent_pb2, csi_pb2
from csi_zfs.rpc.interceptors import CallExpiredError
from csi_zfs.rpc.requests.snapshots import NewGroupSnapshot, NewSnapshot
from csi_zfs.rpc.router import methods
from csi_zfs.rpc.router.fleet import Member, NoAgentError
from csi_zfs.rpc.router.placement import (
    SourceElsewhereError,
    is_of_one_object,
    nodes_allowed,
)
from csi_zfs.rpc.router.sending import Sender
from csi_zfs.services.locks import KeyedLocks

Find = agent_pb2.FindByNameRequest


class MadeTwiceError(IncompatibleError):
    """Two nodes have a thing of one name; a person has to say which is meant."""


class ElsewhereError(IncompatibleError):
    """The name is taken on another node than the source's."""


class ScatteredGroupError(InUseError):
    """The volumes of a group are on several nodes, and so have no common instant."""


@dataclass(frozen=True, slots=True)
class Making:
    """Makes volumes, snapshots and groups of them.  Thread-safe.

    Two calls for one name do not run at once in one router; of several routers, the one whose
    sidecar leads is called.
    """

    sender: Sender
    locks: KeyedLocks
    topology_key: str

    def volume(
        self,
        spec: CreateVolumeSpec,
        request: csi_pb2.CreateVolumeRequest,
        context: grpc.ServicerContext,
    ) -> csi_pb2.CreateVolumeResponse:
        """Make a volume on the first node that is allowed and has room, or return the equal one.

        Raises:
            NoAgentError: no agent is known of a node that is allowed.
            NowhereError, SourceElsewhereError: no node that is allowed will do; others may.
            AgentAwayError: a node that may have the name does not answer; nothing was made.
            MadeTwiceError: two nodes have it.
        """
        with self.locks.hold(exclusive=[f"volume {spec.volume_name}"]):
            members = self._members_for(spec)
            if len(members) > 1:
                question = Find(kind=Find.VOLUME, name=spec.volume_name)
                if holders := self._holders(members, question, context):
                    # It says whether what it has is the one that is meant.
                    return self._on_first_with_room(holders, request, context)
            return self._on_first_with_room(self._near_source(members, spec), request, context)

    def _members_for(self, spec: CreateVolumeSpec) -> list[Member]:
        fleet = self.sender.fleet
        node_ids = nodes_allowed(
            spec.requisite_topologies, spec.preferred_topologies, self.topology_key
        )
        if node_ids is not None:
            return [fleet.member(node_id) for node_id in node_ids]
        members = fleet.members()
        if not members:
            # Not for good: an earlier call may have made it, before the endpoints were lost.
            raise NoAgentError("no node of the cluster runs the driver now: try again")
        return members

    def _near_source(self, members: Sequence[Member], spec: CreateVolumeSpec) -> list[Member]:
        source = spec.content_source
        if source is None:
            return list(members)
        owner = self.sender.fleet.owner_of(source.pool_id)
        if owner not in members:
            allowed = ", ".join(member.node_id for member in members[:5])
            raise SourceElsewhereError(
                f"{source} is on node {owner.node_id}, and copies are made there; the request"
                f" allows {allowed}"
            )
        return [owner]

    def _on_first_with_room(
        self,
        members: Sequence[Member],
        request: csi_pb2.CreateVolumeRequest,
        context: grpc.ServicerContext,
    ) -> csi_pb2.CreateVolumeResponse:
        for member in members[:-1]:
            try:
                return self.sender.to(member, methods.CREATE_VOLUME, request, context)
            except NoSpaceError:
                if not context.is_active():
                    # Its caller may be asking another router by now.
                    raise CallExpiredError("nobody waits for the volume any more") from None
        return self.sender.to(members[-1], methods.CREATE_VOLUME, request, context)

    def snapshot(
        self,
        new: NewSnapshot,
        request: csi_pb2.CreateSnapshotRequest,
        context: grpc.ServicerContext,
    ) -> csi_pb2.CreateSnapshotResponse:
        """Take a snapshot on the node of its source.

        Raises `ElsewhereError` where another node has the name, and as `volume`.
        """
        owner = self.sender.fleet.owner_of(new.source_volume_id.pool_id)
        with self.locks.hold(exclusive=[f"snapshot {new.snapshot_name}"]):
            self._require_free(owner, Find(kind=Find.SNAPSHOT, name=new.snapshot_name), context)
            return self.sender.to(owner, methods.CREATE_SNAPSHOT, request, context)

    def group(
        self,
        new: NewGroupSnapshot,
        request: csi_pb2.CreateVolumeGroupSnapshotRequest,
        context: grpc.ServicerContext,
    ) -> csi_pb2.CreateVolumeGroupSnapshotResponse:
        """Take a group snapshot on the node of its sources.

        Raises `ScatteredGroupError`, and as `snapshot`.
        """
        owner = self._common_owner(new.source_volume_ids)
        with self.locks.hold(exclusive=[f"group {new.group_snapshot_name}"]):
            question = Find(kind=Find.GROUP_SNAPSHOT, name=new.group_snapshot_name)
            self._require_free(owner, question, context)
            return self.sender.to(owner, methods.CREATE_GROUP, request, context)

    def _common_owner(self, volume_ids: Sequence[VolumeId | SnapshotId]) -> Member:
        fleet = self.sender.fleet
        pool_ids = dict.fromkeys(volume_id.pool_id for volume_id in volume_ids)
        owners = {(owner := fleet.owner_of(pool_id)).node_id: owner for pool_id in pool_ids}
        if len(owners) > 1:
            raise ScatteredGroupError(
                f"the volumes are on nodes {' and '.join(sorted(owners))}: a group snapshot is of"
                " one pool, so make one for each"
            )
        return next(iter(owners.values()))

    def _require_free(self, owner: Member, question: Find, context: grpc.ServicerContext) -> None:
        if is_of_one_object(question.name):
            return
        others = [member for member in self.sender.fleet.members() if member is not owner]
        for holder in self._holders(others, question, context):
            raise ElsewhereError(
                f"{question.name[:128]!r} exists on node {holder.node_id}, of another volume"
            )

    def _holders(
        self, members: Sequence[Member], question: Find, context: grpc.ServicerContext
    ) -> list[Member]:
        """The one node that has a thing of the name, or none; raises as `volume`."""
        asked = self.sender.to_all(members, methods.FIND_BY_NAME, question, context)
        holders = [member for member, pending in asked if pending.answer().id]
        if len(holders) > 1:
            told = " and ".join(member.node_id for member in holders)
            raise MadeTwiceError(
                f"{question.name[:128]!r} exists on nodes {told}: delete the one that is not used"
            )
        return holders
