"""Chunks in a dictionary: what trees are written to and read from in tests."""

import threading
from collections.abc import Callable, Iterator, Sequence

from csi_zfs.cas.api import BlobKind, ChunkCorruptError, ChunkNotFoundError
from csi_zfs.system.digest import keyed_digest

_KEYS = {BlobKind.DATA: b"d" * 32, BlobKind.TREE: b"t" * 32}


class MemoryChunks:
    """A `ChunkSink` and `ChunkSource` that counts and can be damaged.  Thread-safe."""

    def __init__(self) -> None:
        """Begin without chunks."""
        self.stored: dict[tuple[bytes, BlobKind], bytes] = {}
        self.damaged: set[bytes] = set()
        # What was put, with repeats, and what was read.
        self.puts: list[tuple[bytes, BlobKind]] = []
        self.reads: list[tuple[bytes, BlobKind]] = []
        self._lock = threading.Lock()

    def put(self, data: bytes | bytearray | memoryview, kind: BlobKind) -> bytes:
        """See `ChunkSink`; a chunk of zeros or without bytes is the caller's mistake."""
        copy = bytes(data)
        if not copy.strip(b"\0"):
            raise AssertionError("zeros are not put")
        digest = keyed_digest(_KEYS[kind], copy)
        with self._lock:
            self.stored[digest, kind] = copy
            self.puts.append((digest, kind))
        return digest

    def get(self, digest: bytes, kind: BlobKind) -> bytes:
        """See `ChunkSource`."""
        with self._lock:
            self.reads.append((digest, kind))
        if digest in self.damaged:
            raise ChunkCorruptError(f"chunk {digest.hex()} was damaged by the test")
        try:
            return self.stored[digest, kind]
        except KeyError:
            raise ChunkNotFoundError(f"chunk {digest.hex()} is in no pack") from None

    def get_many(self, digests: Sequence[bytes], kind: BlobKind) -> Iterator[bytes]:
        """See `ChunkSource`."""
        return (self.get(digest, kind) for digest in digests)

    def has(self, digest: bytes, kind: BlobKind) -> bool:
        """Whether there is a chunk that was not damaged."""
        return (digest, kind) in self.stored and digest not in self.damaged

    def of_kind(self, kind: BlobKind) -> set[bytes]:
        """The digests of all chunks of a kind."""
        return {digest for digest, found in self.stored if found is kind}

    def plain_bytes(self, kind: BlobKind) -> int:
        """The length of all chunks of a kind together."""
        return sum(len(data) for (_, found), data in self.stored.items() if found is kind)


def first_time() -> Callable[[bytes], bool]:
    """Says of each digest whether it is asked about for the first time, as a collector does."""
    seen: set[bytes] = set()

    def is_new(digest: bytes) -> bool:
        known = digest in seen
        seen.add(digest)
        return not known

    return is_new
