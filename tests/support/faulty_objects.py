"""Faults of an object storage as data, and the points before and after each of its effects."""

import enum
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

from csi_zfs.cas.api import (
    ObjectChangedError,
    ObjectExistsError,
    ObjectInfo,
    ObjectStorage,
    StorageUnavailableError,
    StoredObject,
)

T = TypeVar("T")


class Fault(enum.StrEnum):
    """What happens to a call; of reads and listings only `BUSY` and `LOST`, which are the same."""

    OK = "ok"
    BUSY = "busy"  # 503, and nothing was done
    LOST = "lost"  # it was done, and the answer got lost
    TWICE = "twice"  # the request came twice, one behind the other
    LATE = "late"  # the request came twice, the second time just before the next write


def faults(words: str) -> list[Fault]:
    """Faults of calls one by one: `faults("ok lost busy")`."""
    return [Fault(word) for word in words.split()]


def nothing(_point: str) -> None:
    """Go on."""


class FaultyObjects:
    """Any `ObjectStorage`, with faults.  Thread-safe where `effects` is.

    `writes` and `reads` say what happens to the first calls of each kind; the later ones succeed.
    `effects` is called with "put:before", "put:after", "delete:before" and so on around each write,
    with the verb `read` around each read: it may count, raise (a crash) or wait (a stall).  A fault
    is inside of its points: the storage did it, or did not.
    """

    def __init__(
        self,
        storage: ObjectStorage,
        *,
        writes: Iterable[Fault] = (),
        reads: Iterable[Fault] = (),
        effects: Callable[[str], None] = nothing,
    ) -> None:
        """Put faults in front of `storage`."""
        self._storage = storage
        self._writes = iter(writes)
        self._reads = iter(reads)
        self._effects = effects
        self._lock = threading.Lock()
        self._late: list[Callable[[], object]] = []

    def put(self, key: str, data: bytes | bytearray | memoryview) -> None:
        """See `ObjectStorage`."""
        content = bytes(data)
        self._write("put", lambda: self._storage.put(key, content))

    def put_new(self, key: str, data: bytes) -> str:
        """See `ObjectStorage`."""
        return self._write("put_new", lambda: self._storage.put_new(key, data))

    def replace(self, key: str, data: bytes, tag: str) -> str:
        """See `ObjectStorage`."""
        return self._write("replace", lambda: self._storage.replace(key, data, tag))

    def get(self, key: str) -> StoredObject:
        """See `ObjectStorage`."""
        return self._read(lambda: self._storage.get(key))

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """See `ObjectStorage`."""
        return self._read(lambda: self._storage.get_ranges(key, ranges))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `ObjectStorage`; the whole of it is one read."""
        yield from self._read(lambda: list(self._storage.list(prefix)))

    def delete(self, keys: Iterable[str]) -> None:
        """See `ObjectStorage`."""
        named = list(keys)
        self._write("delete", lambda: self._storage.delete(named))

    def _read(self, act: Callable[[], T]) -> T:
        self._effects("read:before")
        if self._next(self._reads) is not Fault.OK:
            raise StorageUnavailableError("503, try again")
        answer = act()
        self._effects("read:after")
        return answer

    def _write(self, verb: str, act: Callable[[], T]) -> T:
        self._effects(f"{verb}:before")
        fault = self._next(self._writes)
        if fault is Fault.BUSY:
            raise StorageUnavailableError("503, try again")
        self._deliver()
        answer = act()
        if fault is Fault.TWICE:
            _again(act)
        if fault is Fault.LATE:
            with self._lock:
                self._late.append(act)
        self._effects(f"{verb}:after")
        if fault is Fault.LOST:
            raise StorageUnavailableError("the connection was closed before an answer came")
        return answer

    def _next(self, plan: Iterator[Fault]) -> Fault:
        with self._lock:
            return next(plan, Fault.OK)

    def _deliver(self) -> None:
        """Let the requests arrive that are late."""
        with self._lock:
            late, self._late = self._late, []
        for act in late:
            _again(act)


def _again(act: Callable[[], object]) -> None:
    """Do it once more, with nobody to hear the answer."""
    with suppress(ObjectExistsError, ObjectChangedError):
        act()
