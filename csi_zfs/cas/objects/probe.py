"""Whether the conditional writes of a storage are real, shown by writers that race.

Some servers take the headers of conditional writes and ignore them, others check and then write:
one writer alone never sees it.
"""

import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from csi_zfs.cas.api import (
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectStorage,
    UnsafeStorageError,
)

# Below it nothing else is kept; a probe that dies leaves a few small objects there.
PREFIX = "probe/"
_ROUNDS = 6
_WRITERS = 8
_CONTENT_BYTES = 2048
_START_LIMIT_S = 60.0


def require_conditional_writes(
    storage: ObjectStorage, *, rounds: int = _ROUNDS, writers: int = _WRITERS
) -> None:
    """Raise `UnsafeStorageError` where a storage is seen to let two conditional writes win.

    Checks one by one, then `rounds` races of `writers` threads to make one object, and as many to
    replace one: each must have one winner, whose bytes are there afterwards.  With the defaults a
    server sees some 220 small requests, 8 at a time, in about 50 round trips, on keys of the
    probe's own that it deletes: a sixth of a second on the same machine.

    A pass is no proof.  A storage that fails a share p of the races passes with the odds
    (1 - p) ** rounds, for each kind.  Of a server that checks and then writes, p was measured at
    0.8 for making and 1.0 for replacing (16 writers, nothing between them and the server): 6 rounds
    miss it less than once in 10,000 times by the first alone.  With p = 0.1 they miss it every
    second time, and one that fails only when it restarts or loses a replica is never found.

    Raises also what any call may raise, such as `StorageUnavailableError`: nothing is known then.
    """
    probe = _Probe(storage, writers)
    try:
        probe.check_alone()
        for number in range(rounds):
            probe.race_to_make(f"made-{number}")
            probe.race_to_replace(f"replaced-{number}")
    finally:
        storage.delete(probe.keys)


class _Probe:
    def __init__(self, storage: ObjectStorage, writers: int) -> None:
        self._storage = storage
        self._writers = writers
        self._prefix = f"{PREFIX}{secrets.token_hex(16)}/"
        self.keys: list[str] = []

    def check_alone(self) -> None:
        """A lone writer is enough to see a storage that ignores the condition."""
        key, storage = self._key("alone"), self._storage
        one, other, third = (_content() for _ in range(3))
        tag = storage.put_new(key, one)
        _require_refused(lambda: storage.put_new(key, other), "makes an object that is there")
        new_tag = storage.replace(key, other, tag)
        _require_refused(lambda: storage.replace(key, third, tag), "replaces what was not read")
        storage.delete([key])
        _require_refused(lambda: storage.replace(key, third, new_tag), "replaces what is gone")

    def race_to_make(self, name: str) -> None:
        key = self._key(name)
        self._race(key, lambda content: self._storage.put_new(key, content))

    def race_to_replace(self, name: str) -> None:
        key = self._key(name)
        tag = self._storage.put_new(key, _content())
        self._race(key, lambda content: self._storage.replace(key, content, tag))

    def _race(self, key: str, write: Callable[[bytes], str]) -> None:
        contents = [_content() for _ in range(self._writers)]
        winners = _winners(contents, write)
        if len(winners) != 1:
            raise UnsafeStorageError(
                f"of {self._writers} conditional writes of one object {len(winners)} were told that"
                " they succeeded: this storage is safe for one writer alone"
            )
        if self._content_of(key) != winners[0]:
            raise UnsafeStorageError(
                "what is there is not what the one conditional write that succeeded has written:"
                " this storage is safe for one writer alone"
            )

    def _content_of(self, key: str) -> bytes | None:
        try:
            return self._storage.get(key).data
        except ObjectNotFoundError:
            return None

    def _key(self, name: str) -> str:
        self.keys.append(f"{self._prefix}{name}")
        return self.keys[-1]


def _content() -> bytes:
    return secrets.token_bytes(_CONTENT_BYTES)


def _winners(contents: Sequence[bytes], write: Callable[[bytes], str]) -> list[bytes]:
    """The contents whose writers were told that they succeeded."""
    start = threading.Barrier(len(contents), timeout=_START_LIMIT_S)

    def attempt(content: bytes) -> bool:
        start.wait()
        return _is_written(lambda: write(content))

    with ThreadPoolExecutor(len(contents), thread_name_prefix="probe") as pool:
        outcomes = list(pool.map(attempt, contents))
    return [content for content, has_won in zip(contents, outcomes, strict=True) if has_won]


def _is_written(write: Callable[[], object]) -> bool:
    try:
        write()
    except (ObjectExistsError, ObjectChangedError):
        return False
    return True


def _require_refused(write: Callable[[], object], words: str) -> None:
    if _is_written(write):
        raise UnsafeStorageError(f"a conditional write {words}: this storage has none")
