"""The process that makes the calls: one that blocks, or an event loop with a connection for each.

It sends and takes bytes: what a request means is made and read elsewhere, before and after.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection

import grpc

_CALL_LIMIT_S = 60.0
_CONNECT_LIMIT_S = 10.0
# Else all channels to one socket share a connection.
_OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.default_authority", "localhost"))


@dataclass(frozen=True, slots=True)
class Job:
    """Calls of one method to make."""

    socket_path: str
    method: str
    requests: tuple[bytes, ...]
    clients: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job; `failure` says why it was given up."""

    answers: tuple[bytes, ...] = ()
    latencies_ns: tuple[int, ...] = ()
    seconds: float = 0.0
    failure: str = ""


def serve(connection: Connection) -> None:
    """Do jobs until there is a None; the body of the process."""
    worker = _Worker()
    with asyncio.Runner() as runner:
        # Between two jobs the loop has nothing to do, so it may stand still.
        while (job := connection.recv()) is not None:
            connection.send(worker.done(job, runner))


class _Worker:
    def __init__(self) -> None:
        self._channel = cache(_channel)
        self._aio_channel = cache(_aio_channel)

    def done(self, job: Job, runner: asyncio.Runner) -> Outcome:
        try:
            return runner.run(self._at_once(job)) if job.clients > 1 else self._in_turn(job)
        except (TimeoutError, grpc.FutureTimeoutError):
            return Outcome(failure="nobody listens")
        except grpc.RpcError as exc:
            return Outcome(failure=str(exc))
        except ExceptionGroup as group:
            return Outcome(failure=str(group.exceptions[0]))

    def _in_turn(self, job: Job) -> Outcome:
        """As a single client does: it waits for each answer, which costs least."""
        channel = self._channel(job.socket_path)
        grpc.channel_ready_future(channel).result(_CONNECT_LIMIT_S)
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(job.method)
        answers, latencies_ns = [], []
        for request in job.requests:
            begin_ns = time.perf_counter_ns()
            answers.append(call(request, timeout=_CALL_LIMIT_S))
            latencies_ns.append(time.perf_counter_ns() - begin_ns)
        return Outcome(tuple(answers), tuple(latencies_ns), sum(latencies_ns) / 1e9)

    async def _at_once(self, job: Job) -> Outcome:
        """Each client makes the next call as soon as its last one is answered."""
        channels = [await self._connected(job.socket_path, index) for index in range(job.clients)]
        answers, latencies_ns = [b""] * len(job.requests), [0] * len(job.requests)
        places = iter(range(len(job.requests)))

        async def client(channel: grpc.aio.Channel, mine: Iterator[int]) -> None:
            call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(job.method)
            for place in mine:
                begin_ns = time.perf_counter_ns()
                answers[place] = await call(job.requests[place], timeout=_CALL_LIMIT_S)
                latencies_ns[place] = time.perf_counter_ns() - begin_ns

        begin = time.perf_counter()
        async with asyncio.TaskGroup() as clients:
            for channel in channels:
                clients.create_task(client(channel, places))
        return Outcome(tuple(answers), tuple(latencies_ns), time.perf_counter() - begin)

    async def _connected(self, socket_path: str, index: int) -> grpc.aio.Channel:
        channel = self._aio_channel(socket_path, index)
        async with asyncio.timeout(_CONNECT_LIMIT_S):
            await channel.channel_ready()
        return channel


def _channel(socket_path: str) -> grpc.Channel:
    return grpc.insecure_channel(f"unix:{socket_path}", options=_OPTIONS)


def _aio_channel(socket_path: str, _index: int) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(f"unix:{socket_path}", options=_OPTIONS)
