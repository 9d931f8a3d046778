"""The fake object storage: a dictionary; and one that checks, then writes, as bad servers do."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from csi_zfs.cas.api import (
    ObjectChangedError,
    ObjectExistsError,
    ObjectInfo,
    ObjectNotFoundError,
    StoredObject,
)
from csi_zfs.cas.objects.grammar import require_key, require_prefix
from csi_zfs.system.clock import Clock
from csi_zfs.system.digest import hex_digest_of
from tests.support.clock import FakeClock

_NS_PER_S = 1_000_000_000
_MEETING_S = 0.05


@dataclass(slots=True)
class Kept:
    """An object of the fake; a test may change it to play damage."""

    data: bytes
    changed_s: float

    @property
    def tag(self) -> str:
        """Of its content alone, as the tags of S3 are: the same content has the same one again."""
        return hex_digest_of(self.data)


class MemoryObjects:
    """An `ObjectStorage` in memory.  Thread-safe."""

    def __init__(self, clock: Clock | None = None) -> None:
        """Begin empty; `kept` is what is there, for tests that look or damage."""
        self.kept: dict[str, Kept] = {}
        self._clock = clock or FakeClock()
        self._lock = threading.Lock()

    def put(self, key: str, data: bytes | bytearray | memoryview) -> None:
        """See `ObjectStorage`."""
        require_key(key)
        with self._lock:
            self._keep(key, bytes(data))

    def put_new(self, key: str, data: bytes) -> str:
        """See `ObjectStorage`."""
        require_key(key)
        with self._lock:
            there = self.kept.get(key)
            if there is not None and there.data != data:
                raise ObjectExistsError(f"object {key} has other content")
            return there.tag if there is not None else self._keep(key, data)

    def replace(self, key: str, data: bytes, tag: str) -> str:
        """See `ObjectStorage`."""
        require_key(key)
        with self._lock:
            there = self.kept.get(key)
            if there is None:
                raise ObjectChangedError(f"object {key} was deleted")
            if there.data == data:
                return there.tag
            if there.tag != tag:
                raise ObjectChangedError(f"object {key} has other content")
            return self._keep(key, data)

    def get(self, key: str) -> StoredObject:
        """See `ObjectStorage`."""
        there = self._there(key)
        return StoredObject(there.data, there.tag)

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """See `ObjectStorage`."""
        data = self._there(key).data
        return [data[offset : offset + length] for offset, length in ranges]

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `ObjectStorage`."""
        require_prefix(prefix)
        with self._lock:
            found = [(key, kept) for key, kept in self.kept.items() if key.startswith(prefix)]
        for key, kept in sorted(found, key=lambda item: item[0]):
            yield ObjectInfo(key, len(kept.data), kept.changed_s)

    def delete(self, keys: Iterable[str]) -> None:
        """See `ObjectStorage`."""
        for key in [require_key(key) for key in keys]:
            with self._lock:
                self.kept.pop(key, None)

    def _there(self, key: str) -> Kept:
        require_key(key)
        with self._lock:
            if (there := self.kept.get(key)) is None:
                raise ObjectNotFoundError(f"there is no object {key}")
            return there

    def _keep(self, key: str, data: bytes) -> str:
        self.kept[key] = Kept(data, self._clock.now_ns() / _NS_PER_S)
        return self.kept[key].tag


class CheckingObjects(MemoryObjects):
    """A storage that checks, and then writes: the control that the probe has to refuse.

    Between the two a writer lets others check as well, for a moment; then it writes whatever they
    have done, as a server does that looks for the file and then renames another one over it.
    """

    def __init__(self) -> None:
        """Begin empty."""
        super().__init__()
        self._checked = 0
        self._met = threading.Condition()

    def put_new(self, key: str, data: bytes) -> str:
        """As promised only while nobody else writes."""
        if (there := self.kept.get(key)) is not None and there.data != data:
            raise ObjectExistsError(f"object {key} has other content")
        return self._write(key, data)

    def replace(self, key: str, data: bytes, tag: str) -> str:
        """As promised only while nobody else writes."""
        if (there := self.kept.get(key)) is None or there.tag != tag:
            raise ObjectChangedError(f"object {key} has other content")
        return self._write(key, data)

    def _write(self, key: str, data: bytes) -> str:
        self._meet()
        super().put(key, data)
        return hex_digest_of(data)

    def _meet(self) -> None:
        with self._met:
            self._checked += 1
            self._met.notify_all()
            self._met.wait_for(lambda: self._checked > 1, timeout=_MEETING_S)
            self._checked = max(0, self._checked - 2)
