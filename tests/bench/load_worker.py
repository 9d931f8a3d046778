"""The process that makes the calls: an event loop with one connection for each client.

It sends and takes bytes: what a request means is made and read elsewhere, before and after.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
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
    asyncio.run(_Worker().serve(connection))


class _Worker:
    def __init__(self) -> None:
        self._channels: dict[tuple[str, int], grpc.aio.Channel] = {}

    async def serve(self, connection: Connection) -> None:
        # Between two jobs the loop has nothing to do, so it may stand still.
        while (job := connection.recv()) is not None:
            try:
                outcome = await self._do(job)
            except TimeoutError:
                outcome = Outcome(failure="nobody listens")
            except ExceptionGroup as group:
                outcome = Outcome(failure=str(group.exceptions[0]))
            connection.send(outcome)

    async def _do(self, job: Job) -> Outcome:
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
        key = (socket_path, index)
        if key not in self._channels:
            self._channels[key] = grpc.aio.insecure_channel(f"unix:{socket_path}", options=_OPTIONS)
        async with asyncio.timeout(_CONNECT_LIMIT_S):
            await self._channels[key].channel_ready()
        return self._channels[key]
