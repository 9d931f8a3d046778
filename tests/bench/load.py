"""Sends calls to a server, from a process of its own.

All clients live in that one process: one alone blocks, many share an event loop, each with a
connection of its own.  That sends several times what a server in Python can answer, and leaves it a
core.
"""

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.bench.figures import Batch
from tests.bench.load_worker import Job, Outcome, serve

_JOB_LIMIT_S = 300
_END_LIMIT_S = 10


class LoadError(Exception):
    """A call failed, or the process that makes them did."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back: the answers, in the order of the requests, and how long they took."""

    answers: Sequence[bytes]
    batch: Batch


class Load:
    """The process that makes the calls; for a `with` block."""

    def __init__(self) -> None:
        """Start nothing yet."""
        # Never forked: gRPC's threads in this process would be missing in the child.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs,), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.is_alive():
            self._connection.send(None)
        self._process.join(_END_LIMIT_S)

    def run(
        self, socket_path: Path, method: str, requests: Sequence[bytes], *, clients: int = 1
    ) -> Answered:
        """Make these calls, each client the next one as soon as its last is answered.

        Raises `LoadError` at the first one that fails.
        """
        outcome = self._ask(Job(str(socket_path), method, tuple(requests), clients))
        if outcome.failure:
            raise LoadError(f"{method}: {outcome.failure}")
        return Answered(outcome.answers, Batch(outcome.latencies_ns, outcome.seconds))

    def _ask(self, job: Job) -> Outcome:
        self._connection.send(job)
        if not self._connection.poll(_JOB_LIMIT_S):
            raise LoadError(f"{job.method}: no end after {_JOB_LIMIT_S} s")
        try:
            outcome: Outcome = self._connection.recv()
        except (EOFError, OSError) as exc:
            raise LoadError(f"{job.method}: the process that makes the calls ended") from exc
        return outcome
