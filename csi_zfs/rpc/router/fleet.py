"""All agents of a cluster: where they are, and which pools they said they have.

An agent that was known once and is not found any more counts as away, not as gone: what it has is
not told from here, and never passed over.  A router that is started anew begins without such
memories.
"""

import logging
import threading
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from csi_zfs.domain.errors import CsiZfsError, UnavailableError
from csi_zfs.rpc.generated import agent_pb2
from csi_zfs.rpc.router.connection import (
    AgentAwayError,
    AgentBugError,
    AgentConnection,
    Pending,
    WrongAgentError,
)
from csi_zfs.rpc.router.methods import DESCRIBE
from csi_zfs.services.pools import PoolNotServedError, SamePoolError

DESCRIBE_TIMEOUT_S = 3.0
_TOLD = 3
_NO_ADDRESS = "it has no address now"
_REQUEST = agent_pb2.DescribeRequest()

log = logging.getLogger(__name__)

Connect = Callable[[str, str], AgentConnection]


class FleetUnknownError(UnavailableError):
    """The router does not know the agents of the cluster yet."""


class NoAgentError(AgentAwayError):
    """No agent of a node is known."""


@dataclass(slots=True)
class Member:
    """One node with an agent.

    Attributes:
        connection: the way to it; None where the cluster names no address any more.
        pools: the names of its pools by their ids, as it said last; empty before it said anything.
        away_pool_names: the pools that it should have and could not open; nobody knows their ids.
    """

    node_id: str
    connection: AgentConnection | None
    pools: Mapping[str, str] = field(default_factory=dict)
    away_pool_names: Sequence[str] = ()

    @property
    def trouble(self) -> str:
        """Why what it said last may be so no more; empty if it can be relied on."""
        connection = self.connection  # another thread may take it away between two looks
        return _NO_ADDRESS if connection is None else connection.trouble

    @property
    def is_described(self) -> bool:
        """Whether it can be relied on that it has these pools."""
        return not self.trouble

    def require(self) -> AgentConnection:
        """The connection; raises `AgentAwayError` where there is none."""
        connection = self.connection
        if connection is None:
            raise AgentAwayError(f"the agent of node {self.node_id} is away: {_NO_ADDRESS}")
        return connection


class Fleet:
    """Thread-safe."""

    def __init__(self, connect: Connect) -> None:
        """Know nobody yet; `connect` makes the connection to the agent of a node at an address."""
        self._connect = connect
        self._guard = threading.Lock()
        self._members: dict[str, Member] = {}
        self._is_known = False

    @property
    def is_known(self) -> bool:
        """Whether somebody has said which agents there are."""
        return self._is_known

    def know(self, addresses: Mapping[str, str]) -> None:
        """These are all agents there are now, by their nodes."""
        with self._guard:
            for node_id in {*self._members, *addresses}:
                self._place(node_id, addresses.get(node_id))
            self._members = dict(sorted(self._members.items()))
            self._is_known = True

    def _place(self, node_id: str, address: str | None) -> None:
        member = self._members.setdefault(node_id, Member(node_id, None))
        known = member.connection
        if known is not None and known.address == address:
            return
        member.connection = None if address is None else self._connect(node_id, address)
        if known is not None:
            known.close()

    def let_go(self, forgotten: Container[str]) -> None:
        """Stop counting nodes as away whose pools were forgotten, all of them.

        `forgotten` is asked only where a node that had pools has no address any more.
        """
        gone = [
            member
            for member in self.members()
            if member.connection is None
            and member.pools
            and all(pool_id in forgotten for pool_id in member.pools)
        ]
        with self._guard:
            for member in gone:
                if member.connection is None:
                    del self._members[member.node_id]

    def reconnect(self) -> None:
        """Connect to all agents anew: the router has another certificate now."""
        with self._guard:
            for member in self._members.values():
                old = member.connection
                if old is not None:
                    member.connection = self._connect(member.node_id, old.address)
                    old.close()

    def members(self) -> list[Member]:
        """All nodes, in the order of their names; raises `FleetUnknownError`."""
        self._require_known()
        with self._guard:
            return list(self._members.values())

    def member(self, node_id: str) -> Member:
        """One node; raises `NoAgentError`, `FleetUnknownError`."""
        self._require_known()
        member = self._members.get(node_id)
        if member is None:
            raise NoAgentError(
                f"no agent of node {node_id} is known: is the driver's pod running there?"
            )
        return member

    def _require_known(self) -> None:
        if not self._is_known:
            raise FleetUnknownError("the router is starting and looks for agents: try again")

    def owner_of(self, pool_id: str) -> Member:
        """The one node that serves a pool.

        Raises:
            PoolNotServedError: nobody who answers does; says who is away.
            SamePoolError: two do; names both.
        """
        owners = self._owners_of(pool_id)
        if len(owners) != 1 or not owners[0].is_described:
            self.describe(self._undecided(owners))
            owners = [owner for owner in self._owners_of(pool_id) if owner.is_described]
        if len(owners) == 1:
            return owners[0]
        if owners:
            raise SamePoolError([f"of node {owner.node_id}" for owner in owners], pool_id)
        raise PoolNotServedError(self._words_about(pool_id))

    def _owners_of(self, pool_id: str) -> list[Member]:
        return [member for member in self.members() if pool_id in member.pools]

    def _undecided(self, owners: Sequence[Member]) -> list[Member]:
        """Whoever has to be asked again: all who said the same, and all who said nothing yet."""
        return [member for member in self.members() if not member.is_described or member in owners]

    def _words_about(self, pool_id: str) -> str:
        away = [member for member in self.members() if not member.is_described]
        last = [member.node_id for member in away if pool_id in member.pools]
        words = f"pool {pool_id} is served by no node that answers"
        if last:
            words += f"; node {last[0]} had it"
        if away:
            words += f"; away: {told_of(away)}"
        return f"{words}. If its node is gone for good, see `csi-zfs forget`"

    def describe(self, members: Iterable[Member]) -> None:
        """Ask these who they are and what they have, all at once; what fails is their `trouble`."""
        begun = [
            (member, connection.begin(DESCRIBE, _REQUEST, DESCRIBE_TIMEOUT_S))
            for member in members
            if (connection := member.connection) is not None
        ]
        for member, pending in begun:
            self._hear(member, pending)

    def _hear(self, member: Member, pending: Pending[agent_pb2.DescribeResponse]) -> None:
        try:
            said = pending.answer()
            _require_node(member.node_id, said, pending.connection)
        except (CsiZfsError, AgentBugError) as exc:
            if pending.connection.trouble != str(exc):
                log.warning("agent of node %s: %s", member.node_id, exc)
            pending.connection.trouble = str(exc)
            return
        if member.connection is pending.connection:
            member.pools = {pool.pool_id: pool.name for pool in said.pools}
            member.away_pool_names = tuple(said.away_pool_names)
            pending.connection.trouble = ""

    def require_answering(self, members: Collection[Member]) -> None:
        """Raise `AgentAwayError`, naming them, unless all of these say who they are."""
        self.describe(member for member in members if not member.is_described)
        away = [member for member in members if not member.is_described]
        if away:
            raise AgentAwayError(f"not all nodes answer, so nothing was told: {told_of(away)}")


def told_of(away: Sequence[Member]) -> str:
    """Which nodes are away, and why, for a message of limited length."""
    told = "; ".join(f"{member.node_id}: {member.trouble}" for member in away[:_TOLD])
    return f"{told} and {len(away) - _TOLD} more" if len(away) > _TOLD else told


def _require_node(
    node_id: str, said: agent_pb2.DescribeResponse, connection: AgentConnection
) -> None:
    if said.node_id != node_id:
        raise WrongAgentError(
            f"{connection} says that it is node {said.node_id!r}; the cluster says {node_id}"
        )
