"""One listing over all agents: node by node, each with its own pages.

A token says behind which node the next page begins, or in the middle of which, with the token that
the agent itself gave.  A list with a gap is never passed off as whole: where one of the nodes that
are left is away, the whole call is UNAVAILABLE.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from csi_zfs.rpc.generated import csi_pb2
from csi_zfs.rpc.responses import MAX_PAGE_BYTES
from csi_zfs.rpc.router.fleet import Fleet, Member
from csi_zfs.rpc.router.methods import Method
from csi_zfs.services.listing import BadTokenError

_WITHIN = "!"
_AT_ONCE = 16


PageT = TypeVar(
    "PageT",
    csi_pb2.ListVolumesResponse,
    csi_pb2.ListSnapshotsResponse,
    csi_pb2.ControllerListVolumeHealthResponse,
)
RequestT = TypeVar(
    "RequestT",
    csi_pb2.ListVolumesRequest,
    csi_pb2.ListSnapshotsRequest,
    csi_pb2.ControllerListVolumeHealthRequest,
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: behind a node, or at `inner` within it."""

    node_id: str = ""
    inner: str = ""

    @classmethod
    def parse(cls, token: str) -> "Place":
        """Read a token; raises `BadTokenError` for what cannot be one of ours."""
        node_id, mark, inner = token.partition(_WITHIN)
        if token and not (node_id and mark):
            raise BadTokenError(
                f"starting_token {token[:128]!r} was not handed out by this driver: list again from"
                " the start"
            )
        return cls(node_id, inner)

    def __str__(self) -> str:
        """The token."""
        return f"{self.node_id}{_WITHIN}{self.inner}" if self.node_id else ""


@dataclass(frozen=True, slots=True)
class Walk(Generic[PageT]):
    """A listing by one method; `seconds_left` says how long the caller still waits."""

    fleet: Fleet
    method: Method[PageT]
    seconds_left: Callable[[], float]

    def page(self, request: RequestT) -> PageT:
        """The page that `request` asks for; its tokens are the router's.

        Raises `BadTokenError`, and `AgentAwayError` where a node that is left does not answer.
        """
        begin = Place.parse(request.starting_token)
        members = self._members_from(begin)
        self.fleet.require_answering(members)
        page, done = self.method.answer_type(), Place(begin.node_id)
        for member, answer in self._answers(members, begin, request, page):
            if not answer.entries:
                continue
            if _is_full(page, request, answer):
                page.next_token = str(done)
                return page
            page.MergeFrom(answer)
            if answer.next_token:
                page.next_token = str(Place(member.node_id, answer.next_token))
                return page
            done = Place(member.node_id)
        return page

    def _members_from(self, begin: Place) -> list[Member]:
        members = [
            member
            for member in self.fleet.members()
            if member.node_id > begin.node_id or (begin.inner and member.node_id == begin.node_id)
        ]
        if begin.inner and (not members or members[0].node_id != begin.node_id):
            raise BadTokenError(f"node {begin.node_id} is gone: list again from the start")
        return members

    def _answers(
        self, members: Sequence[Member], begin: Place, request: RequestT, page: PageT
    ) -> Iterator[tuple[Member, PageT]]:
        """Pages of the agents in their order; several are asked at once where all is wanted."""
        width = 1 if request.max_entries else _AT_ONCE
        for at in range(0, len(members), width):
            asked = [
                (
                    member,
                    member.require().begin(
                        self.method, _part(request, member, begin, page), self.seconds_left()
                    ),
                )
                for member in members[at : at + width]
            ]
            for member, pending in asked:
                yield member, pending.answer()


def _part(request: RequestT, member: Member, begin: Place, page: PageT) -> RequestT:
    """What to ask one agent; behind a full page one entry tells that there is more."""
    part = type(request)()
    part.CopyFrom(request)
    part.starting_token = begin.inner if member.node_id == begin.node_id else ""
    if request.max_entries:
        part.max_entries = max(request.max_entries - len(page.entries), 1)
    return part


def _is_full(page: PageT, request: RequestT, answer: PageT) -> bool:
    if request.max_entries and len(page.entries) == request.max_entries:
        return True
    return bool(page.entries) and page.ByteSize() + answer.ByteSize() > MAX_PAGE_BYTES
