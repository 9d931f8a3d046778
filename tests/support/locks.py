"""Locks for tests of what happens just before a lock is taken."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from csi_zfs.services.locks import KeyedLocks


class LateLocks(KeyedLocks):
    """Locks that are taken only after something else has happened."""

    def __init__(self, act: Callable[[], None]) -> None:
        """Call `act` each time before the keys are taken."""
        super().__init__()
        self._act = act

    @contextmanager
    def hold(self, *, exclusive: Iterable[str] = (), shared: Iterable[str] = ()) -> Iterator[None]:
        """See `KeyedLocks`."""
        self._act()
        with super().hold(exclusive=exclusive, shared=shared):
            yield
