"""Chunks into packs: digested, found or compressed, sealed, and uploaded pack by pack.

Whoever calls `put` does the work of its chunk in its own thread; the lock is held only to choose a
place.  A pack goes to the storage when it is full, in a thread of the executor; at most `BUFFERS`
packs are in memory, and who needs one more waits.
"""

import os
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field

from csi_zfs.cas.api import BlobKind, ObjectStorage, Written
from csi_zfs.cas.compression import compressed
from csi_zfs.cas.header import MAX_CHUNK_BYTES
from csi_zfs.cas.indexes import PackContent
from csi_zfs.cas.keys import StoreKey
from csi_zfs.cas.packs import (
    PACK_BYTES,
    PACK_ID_BYTES,
    OpenPack,
    PackCipher,
    StoredChunk,
    pack_key,
)
from csi_zfs.cas.places import Places
from csi_zfs.cas.sealing import SALT_BYTES
from csi_zfs.system.digest import keyed_digest

BUFFERS = 4


@dataclass(slots=True)
class _Filling:
    """A pack and how many of its chunks are not written into its buffer yet."""

    pack: OpenPack
    buffer: bytearray
    unfilled: int = 0
    is_closed: bool = False


@dataclass(slots=True)
class _Counts:
    chunks: int = 0
    plain_bytes: int = 0
    new_chunks: int = 0
    new_plain_bytes: int = 0
    stored_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Inks:
    """What a writer seals with: the keys of one dedup domain of one store."""

    store_key: StoreKey = field(repr=False)
    store_id: bytes
    domain: str


class ChunkWriter:
    """`ChunkSink` of one session.  Thread-safe.  After an error nothing more can be put."""

    def __init__(
        self,
        storage: ObjectStorage,
        places: Places,
        inks: Inks,
        *,
        within: Collection[bytes],
        executor: Executor,
        on_pack: Callable[[], None],
    ) -> None:
        """Write to `storage`.

        Args:
            storage: where packs go.
            places: what the store has.
            inks: what everything is sealed with.
            within: the ids of the packs whose chunks count as there.
            executor: uploads packs.
            on_pack: called when a pack is durable.
        """
        self._storage = storage
        self._places = places
        self._inks = inks
        self._there = set(within)
        self._own: set[bytes] = set()
        self._executor = executor
        self._on_pack = on_pack
        self._keys = {kind: inks.store_key.chunk_key(inks.domain, kind) for kind in BlobKind}
        self._tag = inks.store_key.domain_tag(inks.domain)
        self._changed = threading.Condition()
        # What is on its way into a pack; what is in one, the cache knows.
        self._seen: set[bytes] = set()
        self._open: dict[BlobKind, _Filling] = {}
        self._buffers: list[bytearray] = []
        self._made_buffers = 0
        self._uploads: list[Future[None]] = []
        self._contents: list[PackContent] = []
        self._counts = _Counts()
        self._failure: BaseException | None = None

    def put(self, data: bytes | bytearray | memoryview, kind: BlobKind) -> bytes:
        """See `ChunkSink`; raises what an upload raised, from then on at every call."""
        if not 0 < len(data) <= MAX_CHUNK_BYTES:
            raise ValueError(f"a chunk of {len(data)} bytes: no reader would take its pack")
        digest = keyed_digest(self._keys[kind], data)
        with self._changed:
            self._require_sound()
            self._counts.chunks += 1
            self._counts.plain_bytes += len(data)
            if digest in self._seen:
                return digest
            self._seen.add(digest)
        with self._failing():
            if self._places.has(digest, self._there):
                self._forget([digest])
            else:
                codec, stored = compressed(data)
                self._store(StoredChunk(digest, kind, self._tag, len(data), codec, stored))
        return digest

    def copy(self, chunk: StoredChunk) -> None:
        """Store a chunk as it came out of another pack."""
        with self._changed:
            self._require_sound()
            if chunk.digest in self._seen:
                return
            self._seen.add(chunk.digest)
        with self._failing():
            if self._places.has(chunk.digest, self._own):
                self._forget([chunk.digest])
            else:
                self._store(chunk)

    def finish(self) -> list[PackContent]:
        """Upload what is left; returns what was written, all of it durable.

        Nobody may call `put` any more.
        """
        with self._failing(), self._changed:
            self._require_sound()
            for filling in self._open.values():
                self._close(filling)
            self._open.clear()
            uploads = list(self._uploads)
        for upload in uploads:
            upload.result()
        return list(self._contents)

    @property
    def written(self) -> Written:
        """What was put until now."""
        with self._changed:
            counts = self._counts
            return Written(
                chunks=counts.chunks,
                plain_bytes=counts.plain_bytes,
                new_chunks=counts.new_chunks,
                new_plain_bytes=counts.new_plain_bytes,
                stored_bytes=counts.stored_bytes,
            )

    def _store(self, chunk: StoredChunk) -> None:
        with self._changed:
            filling = self._filling_for(chunk)
            ordinal = filling.pack.reserve(chunk)
            filling.unfilled += 1
            self._counts.new_chunks += 1
            self._counts.new_plain_bytes += chunk.plain_bytes
            self._counts.stored_bytes += len(chunk.stored)
        filling.pack.fill(ordinal, chunk)
        with self._changed:
            filling.unfilled -= 1
            self._upload_if_whole(filling)

    def _filling_for(self, chunk: StoredChunk) -> _Filling:
        """The pack that takes this chunk; waits for a buffer where a new one is needed."""
        while True:
            self._require_sound()
            filling = self._open.get(chunk.kind)
            if filling is not None and filling.pack.has_room_for(len(chunk.stored)):
                return filling
            if filling is not None:
                self._close(filling)
                del self._open[chunk.kind]
            buffer = self._free_buffer()
            if buffer is not None:
                self._open[chunk.kind] = self._begun(buffer)
            else:
                self._changed.wait()

    def _begun(self, buffer: bytearray) -> _Filling:
        pack_id, salt = os.urandom(PACK_ID_BYTES), os.urandom(SALT_BYTES)
        cipher = PackCipher(self._inks.store_key, self._inks.store_id, pack_id, salt)
        return _Filling(OpenPack(cipher, buffer), buffer)

    def _free_buffer(self) -> bytearray | None:
        if self._buffers:
            return self._buffers.pop()
        if self._made_buffers == BUFFERS:
            return None
        self._made_buffers += 1
        return bytearray(PACK_BYTES)

    def _close(self, filling: _Filling) -> None:
        filling.is_closed = True
        self._upload_if_whole(filling)

    def _upload_if_whole(self, filling: _Filling) -> None:
        if filling.is_closed and filling.unfilled == 0:
            self._uploads.append(self._executor.submit(self._upload, filling))

    def _upload(self, filling: _Filling) -> None:
        pack = filling.pack
        with self._failing():
            data = pack.finish()
            self._storage.put(pack_key(pack.pack_id), data)
            entries = b"".join(entry.encode() for entry in pack.entries)
            content = PackContent(pack.pack_id, pack.salt, len(data), entries)
            self._places.add([content])
            self._own.add(pack.pack_id)
            self._there.add(pack.pack_id)
            self._forget(entry.digest for entry in pack.entries)
            self._on_pack()
        with self._changed:
            self._contents.append(content)
            self._buffers.append(filling.buffer)
            self._changed.notify_all()

    def _forget(self, digests: Iterable[bytes]) -> None:
        with self._changed:
            self._seen.difference_update(digests)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """End the writer where the block raises: a chunk counts as seen, and may not be stored."""
        try:
            yield
        except BaseException as exc:
            with self._changed:
                self._failure = exc
                self._changed.notify_all()
            raise

    def _require_sound(self) -> None:
        if self._failure is not None:
            raise self._failure
