"""Keyed locks that refuse instead of waiting.

A handler that waits would pin a thread of the server past its caller's deadline; the caller repeats
anyway.  All services share one key space, the dataset names below a pool's parent, because a create
knows a name where a delete knows an id; the paths on the node are in it too.
A key is held by one writer or by any number of readers: a snapshot reads its source, a delete
writes it.  See docs/explanation/concurrency.md.
"""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from csi_zfs.domain.errors import OperationPendingError

_WRITER = -1


class LockTakenError(OperationPendingError):
    """Another call is working on the same thing."""


class KeyedLocks:
    """Try-locks by name.  Thread-safe; not reentrant."""

    def __init__(self) -> None:
        """Start with nothing held."""
        self._guard = threading.Lock()
        self._holders: dict[str, int] = {}

    @contextmanager
    def hold(self, *, exclusive: Iterable[str] = (), shared: Iterable[str] = ()) -> Iterator[None]:
        """Hold all keys for the length of a `with` block, or none.

        A key in both lists is held exclusively.  Raises `LockTakenError` at once if one of them is
        taken.
        """
        wanted = dict.fromkeys(shared, 1) | dict.fromkeys(exclusive, _WRITER)
        self._take(wanted)
        try:
            yield
        finally:
            self._give_back(wanted)

    def _take(self, wanted: dict[str, int]) -> None:
        with self._guard:
            for key, kind in wanted.items():
                holders = self._holders.get(key, 0)
                if holders == _WRITER or (kind == _WRITER and holders):
                    msg = f"another call is working on {key}: repeat this one later"
                    raise LockTakenError(msg)
            for key, kind in wanted.items():
                self._holders[key] = _WRITER if kind == _WRITER else self._holders.get(key, 0) + 1

    def _give_back(self, wanted: dict[str, int]) -> None:
        with self._guard:
            for key in wanted:
                readers = self._holders[key] - 1
                if readers > 0:
                    self._holders[key] = readers
                else:
                    del self._holders[key]
