"""The way to the driver of one node, and what its failures mean."""

from dataclasses import dataclass
from typing import Generic, TypeVar, cast

import grpc
from google.protobuf.message import Message

from csi_zfs.domain.errors import (
    AccessDeniedError,
    CsiZfsError,
    OutcomeUnknownError,
    UnavailableError,
)
from csi_zfs.rpc.agent_port import SIGNATURE_KEY
from csi_zfs.rpc.hosting import MAX_MESSAGE_BYTES
from csi_zfs.rpc.router.methods import Method
from csi_zfs.rpc.status import Status, error_of

AnswerT = TypeVar("AnswerT", bound=Message)

# An agent that comes back is found at once: its node's pods wait for it.
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # What one attempt may take, the handshake included.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.enable_http_proxy", 0),
    # A node that lost its power sends nothing more: without this its calls last to their deadlines.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)


class AgentAwayError(UnavailableError):
    """The driver of a node does not answer, or refuses the router."""


class AgentLateError(OutcomeUnknownError):
    """The driver of a node did not answer in time; what was asked for may have been done."""


class WrongAgentError(UnavailableError):
    """Another node than the cluster says answers at an address."""


class AgentBugError(Exception):
    """The driver of a node met an error that nobody foresaw: its log has the traceback."""


class Pending(Generic[AnswerT]):
    """A call that is on its way."""

    def __init__(
        self, connection: "AgentConnection", future: "grpc.Future[AnswerT] | None"
    ) -> None:
        """Wait for `future`; there is none where the connection was closed before."""
        self.connection = connection
        self._future = future

    def answer(self) -> AnswerT:
        """Wait for the answer; raises the agent's own error, by its family, or as below.

        Raises:
            AgentAwayError, WrongAgentError: nothing was said by the right agent.
            AgentLateError: the deadline passed first.
            AgentBugError: it answered INTERNAL, or with what no agent says.
        """
        if self._future is None:
            raise self.connection.closed()
        try:
            return self._future.result()
        except grpc.RpcError as exc:
            raise self.connection.meaning_of(exc) from exc
        except grpc.FutureCancelledError as exc:
            raise AgentLateError(f"the call to {self.connection} was given up") from exc


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a call failed, as gRPC tells it."""

    status: Status
    signer: str | None

    @classmethod
    def of(cls, exc: grpc.RpcError) -> "Refusal":
        """Read it from what the client's end raised, which is a call too."""
        call = cast("grpc.Call", exc)
        metadata = call.trailing_metadata() or ()
        signers = [value for key, value in metadata if key == SIGNATURE_KEY]
        status = Status(call.code(), call.details() or "")
        return cls(status, str(signers[0]) if signers else None)


class AgentConnection:
    """Calls to one agent.  Thread-safe.

    Attributes:
        trouble: why the agent cannot be relied on now: it has not said yet that it is this node, or
            it was away since; empty if it can.
    """

    def __init__(
        self, node_id: str, address: str, credentials: grpc.ChannelCredentials, agent_name: str
    ) -> None:
        """Connect at the first call; whoever answers must have a certificate for `agent_name`."""
        self.node_id = node_id
        self.address = address
        self.trouble = "it was not asked yet"
        options = (*_OPTIONS, ("grpc.ssl_target_name_override", agent_name))
        self._channel = grpc.secure_channel(address, credentials, options)
        self._callables: dict[str, grpc.UnaryUnaryMultiCallable[Message, Message]] = {}

    def __str__(self) -> str:
        """For messages."""
        return f"the agent of node {self.node_id} at {self.address}"

    def begin(
        self, method: Method[AnswerT], request: Message, timeout_s: float
    ) -> Pending[AnswerT]:
        """Send a request; whoever waits for the answer gets the error."""
        try:
            future = self._callable(method).future(
                request, timeout=timeout_s, metadata=self._metadata_of(method)
            )
        except ValueError:  # so says gRPC of a closed channel
            return Pending(self, None)
        return Pending(self, cast("grpc.Future[AnswerT]", future))

    def call(self, method: Method[AnswerT], request: Message, timeout_s: float) -> AnswerT:
        """Send a request and wait for the answer; raises as `Pending.answer`."""
        try:
            answer = self._callable(method)(
                request, timeout=timeout_s, metadata=self._metadata_of(method)
            )
            return cast("AnswerT", answer)
        except grpc.RpcError as exc:
            raise self.meaning_of(exc) from exc
        except ValueError as exc:
            raise self.closed() from exc

    def _metadata_of(self, method: Method[AnswerT]) -> tuple[tuple[str, str], ...]:
        # The address may be another pod's by now: gRPC connects anew and tells nobody.
        return ((SIGNATURE_KEY, self.node_id),) if method.is_for_node else ()

    def closed(self) -> AgentAwayError:
        """The error of a call that found the connection closed: nothing was sent."""
        return AgentAwayError(f"{self} is being connected anew: try again")

    def _callable(
        self, method: Method[AnswerT]
    ) -> "grpc.UnaryUnaryMultiCallable[Message, Message]":
        made = self._callables.get(method.path)
        if made is None:
            made = self._channel.unary_unary(
                method.path,
                request_serializer=_serialize,
                response_deserializer=method.answer_type.FromString,
            )
            self._callables[method.path] = made
        return made

    def meaning_of(self, exc: grpc.RpcError) -> Exception:
        """The error that a failure stands for: what the agent said, or that it said nothing."""
        error = self._meaning_of(exc)
        if isinstance(error, UnavailableError):
            # It was restarted, say, and comes back with other pools.
            self.trouble = str(error)
        return error

    def _meaning_of(self, exc: grpc.RpcError) -> Exception:
        refusal = Refusal.of(exc)
        code, details = refusal.status.code, refusal.status.details
        if refusal.signer is None:
            return self._unheard(code, details)
        if refusal.signer != self.node_id:
            return WrongAgentError(
                f"at {self.address} the cluster says is node {self.node_id}; {refusal.signer}"
                " answers there"
            )
        error = error_of(refusal.status)
        if isinstance(error, AccessDeniedError):
            return AgentAwayError(f"{self} refuses the router: {details}")
        return error or AgentBugError(f"{self} answered {code.name}: {details}")

    def _unheard(self, code: grpc.StatusCode, details: str) -> CsiZfsError:
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return AgentLateError(f"{self} did not answer in time: repeat the call to find out")
        return AgentAwayError(f"{self} does not answer: {details}")

    def close(self) -> None:
        """End the connection; calls that run are given up."""
        self._channel.close()


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()
