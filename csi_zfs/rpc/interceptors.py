"""What is done around each call: deadline, errors, metrics, log.

Handlers are wrapped once, when the server is made: gRPC's own interceptors would look the chain up
anew for each call.  Messages are parsed in here, not in gRPC, so that bytes that are no message are
the caller's mistake (INVALID_ARGUMENT) and not ours (INTERNAL).
"""

import itertools
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError, Message

from csi_zfs.domain.errors import InvalidRequestError, OutcomeUnknownError, UnavailableError
from csi_zfs.rpc.access_log import AccessLog
from csi_zfs.rpc.metrics import MethodMetrics, Metrics
from csi_zfs.rpc.status import Status, status_for

Handler = Callable[[Any, grpc.ServicerContext], Message]

_OK = grpc.StatusCode.OK.name
_NO_CALL: Mapping[str, str] = MappingProxyType({})
_current_call: ContextVar[Mapping[str, str]] = ContextVar("current_call", default=_NO_CALL)


class CallExpiredError(OutcomeUnknownError):
    """The caller no longer waits; nothing was begun."""


class DriverStartingError(UnavailableError):
    """The pools are still being read, and what a crash left is being finished: try again."""


class MalformedMessageError(InvalidRequestError):
    """The bytes of the request are no message of the method's type."""


def fields_of_call() -> Mapping[str, str]:
    """The method and request id of the call that this thread works on, for every log line of it."""
    return _current_call.get()


def _admit_all(_context: grpc.ServicerContext) -> None:
    """Whoever reaches a socket that is root's alone may call."""


@dataclass(frozen=True, slots=True)
class Door:
    """How a server meets its callers.

    Attributes:
        admit: raises where the peer of a call may not call; a domain error, as handlers do.
        signature: what goes along with each refusal, so that the caller can tell it from one that
            its own end of the connection made up.
    """

    admit: Callable[[grpc.ServicerContext], None] = _admit_all
    signature: tuple[tuple[str, str], ...] = ()


OPEN = Door()


class InFlight:
    """Counts what is inside its `with` blocks.  Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    @property
    def count(self) -> int:
        """How many there are now."""
        return self._count

    def __enter__(self) -> None:
        with self._lock:
            self._count += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._count -= 1


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of a call: an answer or a failure."""

    messages: tuple[Message | None, Message | None] = (None, None)
    answer: bytes = b""
    failure: Status | None = None


class InterceptedMethod:
    """One method of a service, from bytes to bytes.  Thread-safe.

    Whoever has a servicer sets `handler`; before that, calls are refused.
    """

    # Under this name gRPC looks for threads that serve the method instead of the server's own.
    experimental_thread_pool: ThreadPoolExecutor | None = None

    def __init__(
        self, name: str, request_type: type[Message], door: Door, *, shared: "Interceptor"
    ) -> None:
        self.handler: Handler = _refuse_early
        self._name = name
        self._request_type = request_type
        self._door = door
        # INTERNAL tells callers that nothing was made (rules.md B10), which nobody knows after a
        # surprise.
        self._is_making = name.rpartition("/")[2].startswith("Create")
        self._log = AccessLog(name)
        self._metrics: MethodMetrics = shared.metrics.of_method(name)
        self._shared = shared

    def __call__(self, data: bytes, context: grpc.ServicerContext) -> bytes:
        """Answer one call, or abort it with the status of its error."""
        begun_s = self._shared.monotonic_s()
        call = {"method": self._name, "request_id": self._shared.next_request_id()}
        _current_call.set(call)
        with self._shared.in_flight:
            outcome = self._run(data, context, call)
        seconds = self._shared.monotonic_s() - begun_s
        failure = outcome.failure
        self._metrics.observe(_OK if failure is None else failure.code.name, seconds)
        self._log.ended(outcome.messages, call, failure=failure, seconds=seconds)
        if failure is not None:
            if self._door.signature:
                context.set_trailing_metadata(self._door.signature)
            # Not where errors are caught: to abort is to raise a bare Exception.
            context.abort(failure.code, failure.details)
        return outcome.answer

    def _run(self, data: bytes, context: grpc.ServicerContext, call: Mapping[str, str]) -> _Outcome:
        request = None
        try:
            _refuse_expired(context)
            self._door.admit(context)
            request = _parse(self._request_type, data)
            self._log.begun(request, call)
            reply = self.handler(request, context)
            return _Outcome((request, reply), reply.SerializeToString())
        except Exception as exc:  # noqa: BLE001 - the one place where any error becomes a status
            failure = status_for(exc)
            if failure.code is grpc.StatusCode.INTERNAL:
                self._log.surprised(call)
                if self._is_making:
                    failure = Status(grpc.StatusCode.DEADLINE_EXCEEDED, failure.details)
            return _Outcome((request, None), failure=failure)


class Interceptor:
    """What the methods of one server share.  Thread-safe."""

    def __init__(
        self, metrics: Metrics, *, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self.metrics = metrics
        self.monotonic_s = monotonic_s
        self.in_flight = InFlight()
        self._prefix = secrets.token_hex(4)
        self._numbers = itertools.count(1)
        metrics.watch_in_flight(lambda: self.in_flight.count)

    def intercept(
        self, name: str, request_type: type[Message], door: Door = OPEN
    ) -> InterceptedMethod:
        """The method with everything around it."""
        return InterceptedMethod(name, request_type, door, shared=self)

    def next_request_id(self) -> str:
        """An id that no other call of any driver process has."""
        return f"{self._prefix}-{next(self._numbers)}"


def _refuse_early(_request: Message, _context: grpc.ServicerContext) -> NoReturn:
    raise DriverStartingError("the driver is starting and reads its pools: try again in a moment")


def _refuse_expired(context: grpc.ServicerContext) -> None:
    if not context.is_active() or context.time_remaining() <= 0:
        raise CallExpiredError("the deadline of the call has passed: nothing was begun")


def _parse(request_type: type[Message], data: bytes) -> Message:
    try:
        return request_type.FromString(data)
    except DecodeError as exc:
        raise MalformedMessageError("the request is not a message of this method") from exc
