"""Sending a request on: to one node, to the one that has a pool, or to many at once."""

import logging
from collections.abc import Container, Sequence
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from csi_zfs.rpc.router.connection import Pending
from csi_zfs.rpc.router.fleet import Fleet, Member
from csi_zfs.rpc.router.methods import Method
from csi_zfs.services.pools import PoolNotServedError

AnswerT = TypeVar("AnswerT", bound=Message)

# For a caller that set no deadline.
_LONGEST_S = 3600.0

log = logging.getLogger(__name__)


def seconds_left(context: grpc.ServicerContext) -> float:
    """How long the caller still waits."""
    return min(context.time_remaining(), _LONGEST_S)


class Sender:
    """Thread-safe."""

    def __init__(self, fleet: Fleet, forgotten: Container[str]) -> None:
        """Send to these agents; `forgotten` has the ids of pools that are gone for good."""
        self.fleet = fleet
        self._forgotten = forgotten

    def to_owner(
        self,
        pool_id: str,
        method: Method[AnswerT],
        request: Message,
        context: grpc.ServicerContext,
    ) -> AnswerT:
        """The answer of the node that serves the pool; raises as `Fleet.owner_of` and `to`."""
        return self.to(self.fleet.owner_of(pool_id), method, request, context)

    def delete(
        self,
        pool_id: str,
        method: Method[AnswerT],
        request: Message,
        context: grpc.ServicerContext,
    ) -> AnswerT:
        """As `to_owner`; what was on a pool that is forgotten is deleted."""
        try:
            owner = self.fleet.owner_of(pool_id)
        except PoolNotServedError:
            if pool_id not in self._forgotten:
                raise
            log.warning("what is deleted was on pool %s, which is forgotten", pool_id)
            return method.answer_type()
        return self.to(owner, method, request, context)

    def to(
        self,
        member: Member,
        method: Method[AnswerT],
        request: Message,
        context: grpc.ServicerContext,
    ) -> AnswerT:
        """The answer of one node; raises its errors, and as `Pending.answer`.

        Nothing is sent to whoever has not said that it is this node.
        """
        if not member.is_described:
            self.fleet.require_answering([member])
        return member.require().call(method, request, seconds_left(context))

    def to_all(
        self,
        members: Sequence[Member],
        method: Method[AnswerT],
        request: Message,
        context: grpc.ServicerContext,
    ) -> list[tuple[Member, Pending[AnswerT]]]:
        """The calls to all of them, begun at once; raises `AgentAwayError` unless all are there."""
        self.fleet.require_answering(members)
        left_s = seconds_left(context)
        return [(member, member.require().begin(method, request, left_s)) for member in members]
