"""A workload that never stops writing."""

import itertools
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_WIDTH_BYTES = 8
_LIMIT_S = 20.0


class WriterStuckError(Exception):
    """The workload does not get on, or met an error."""


class CounterWriter:
    """Writes an increasing counter to each of its files in turn, each write synced.

    So at any instant no file is ahead of the one before it, nor more than one behind.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        """Write to these files, which are made; begins and ends with a `with` block."""
        self._paths = paths
        self._changed = threading.Condition()
        self._count = 0
        self._is_stopping = False
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def count(self) -> int:
        """How many rounds are done."""
        return self._count

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_stopping = True
        self._thread.join(_LIMIT_S)

    def wait_for_more(self, rounds: int) -> int:
        """Wait until it has done so many more rounds; returns the count.

        Raises `WriterStuckError` if it does not get on.
        """
        with self._changed:
            goal = self._count + rounds
            if not self._changed.wait_for(lambda: self._count >= goal or self._error, _LIMIT_S):
                raise WriterStuckError(f"the writer is stuck at {self._count}")
        if self._error is not None:
            raise WriterStuckError(f"the writer failed: {self._error}")
        return self._count

    def _run(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_DSYNC | os.O_CLOEXEC
        descriptors: list[int] = []
        try:
            descriptors += [os.open(path, flags, 0o600) for path in self._paths]
            while not self._is_stopping:
                data = (self._count + 1).to_bytes(_WIDTH_BYTES)
                for descriptor in descriptors:
                    os.pwrite(descriptor, data, 0)
                self._note(1)
        except OSError as exc:
            self._error = exc
            self._note(0)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _note(self, rounds: int) -> None:
        with self._changed:
            self._count += rounds
            self._changed.notify_all()


def read_counter(path: Path) -> int:
    """What a writer has written to one of its files."""
    return int.from_bytes(path.read_bytes())


def are_of_one_instant(counters: Sequence[int]) -> bool:
    """Whether the counters of a writer's files, in its order, can have stood so at one instant."""
    pairs = itertools.pairwise(counters)
    return all(first >= second for first, second in pairs) and counters[0] - counters[-1] <= 1
