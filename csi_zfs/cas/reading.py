"""Chunks out of packs: read in few requests, opened, unpacked and checked against their digests."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache

from csi_zfs.cas.api import (
    BlobKind,
    ChunkCorruptError,
    ChunkNotFoundError,
    ObjectNotFoundError,
    ObjectStorage,
    StoreCorruptError,
)
from csi_zfs.cas.compression import DecompressionError, decompressed
from csi_zfs.cas.keys import StoreKey
from csi_zfs.cas.loading import News
from csi_zfs.cas.packs import Entry, PackCipher, StoredChunk, pack_key
from csi_zfs.cas.places import Place, Places
from csi_zfs.system.digest import keyed_digest

# Blobs this near to each other are read in one go: a gap is cheaper than a request.
_GAP_BYTES = 256 << 10
# One request reads no more, or what is under way would take much memory.
_RUN_BYTES = 4 << 20
_CIPHERS = 256


@dataclass(frozen=True, slots=True)
class Wanted:
    """A chunk that is to be read from one of its places."""

    digest: bytes
    place: Place


class ChunkReader:
    """`ChunkSource` of one dedup domain.  Thread-safe."""

    def __init__(
        self,
        storage: ObjectStorage,
        places: Places,
        store_key: StoreKey,
        *,
        store_id: bytes,
        domain: str,
        executor: Executor,
        news: News,
    ) -> None:
        """Read through `executor` what is read ahead; it is the caller's to end.

        `news` are asked for before a chunk is said to be damaged or gone: it may have been written
        or repacked since.
        """
        self._storage = storage
        self._places = places
        self._keys = {kind: store_key.chunk_key(domain, kind) for kind in BlobKind}
        self._executor = executor
        self._news = news
        self._cipher = lru_cache(maxsize=_CIPHERS)(
            lambda pack_id, salt: PackCipher(store_key, store_id, pack_id, salt)
        )

    def get(self, digest: bytes, kind: BlobKind) -> bytes:
        """See `ChunkSource`; another place is tried where one is damaged."""
        try:
            return self._read_any(digest, kind)
        except (ChunkNotFoundError, ChunkCorruptError):
            if not self._news.ask():
                raise
        chunk = self._read_any(digest, kind)
        self._news.helped()
        return chunk

    def _read_any(self, digest: bytes, kind: BlobKind) -> bytes:
        failure: Exception | None = None
        for place in self._places.find(digest):
            try:
                return self._read_one(place, kind)
            except (StoreCorruptError, ObjectNotFoundError) as exc:
                failure = exc
        if failure is None:
            raise ChunkNotFoundError(f"chunk {digest.hex()} is in no pack of the store")
        raise ChunkCorruptError(f"chunk {digest.hex()} cannot be read: {failure}") from failure

    def get_many(self, digests: Sequence[bytes], kind: BlobKind) -> Iterator[bytes]:
        """See `ChunkSource`; all of them are held in memory, so ask for some MiB at a time."""
        found: dict[bytes, bytes] = {}
        for chunks in self._executor.map(
            lambda wanted: self.read_run(wanted, kind), self.runs(digests)
        ):
            found.update(chunks)
        for digest in digests:
            chunk = found.get(digest)
            yield chunk if chunk is not None else self.get(digest, kind)

    def runs(self, digests: Sequence[bytes]) -> list[list[Wanted]]:
        """The first place of each chunk, together with those that one request can read."""
        wanted = {digest: places[0] for digest in digests if (places := self._places.find(digest))}
        ordered = sorted(
            (Wanted(digest, place) for digest, place in wanted.items()),
            key=lambda one: (one.place.pack_id, one.place.entry.offset),
        )
        runs: list[list[Wanted]] = []
        for one in ordered:
            if runs and _is_near(runs[-1], one):
                runs[-1].append(one)
            else:
                runs.append([one])
        return runs

    def read_run(self, run: Sequence[Wanted], kind: BlobKind) -> dict[bytes, bytes]:
        """Read neighbours in a pack at once; what cannot be read or is damaged is left out."""
        begin, last = run[0].place.entry.offset, run[-1].place.entry
        length = last.offset + last.blob_bytes - begin
        key = pack_key(run[0].place.pack_id)
        try:
            (data,) = self._storage.get_ranges(key, [(begin, length)])
        except ObjectNotFoundError:
            return {}
        chunks: dict[bytes, bytes] = {}
        for one in run:
            entry = one.place.entry
            at = entry.offset - begin
            try:
                chunk = self._opened(one.place, data[at : at + entry.blob_bytes], kind)
            except StoreCorruptError:
                continue
            chunks[one.digest] = chunk
        return chunks

    def read_stored(self, run: Sequence[Wanted]) -> Iterator[StoredChunk]:
        """Neighbours in a pack as they are stored, opened and not unpacked.

        Raises `StoreCorruptError` at one that is damaged.
        """
        begin, last = run[0].place.entry.offset, run[-1].place.entry
        length = last.offset + last.blob_bytes - begin
        (data,) = self._storage.get_ranges(pack_key(run[0].place.pack_id), [(begin, length)])
        for one in run:
            entry, at = one.place.entry, one.place.entry.offset - begin
            cipher = self._cipher(one.place.pack_id, one.place.salt)
            stored, tag = cipher.open_blob(entry, data[at : at + entry.blob_bytes])
            yield StoredChunk(entry.digest, entry.kind, tag, entry.plain_bytes, entry.codec, stored)

    def _read_one(self, place: Place, kind: BlobKind) -> bytes:
        entry = place.entry
        key = pack_key(place.pack_id)
        (blob,) = self._storage.get_ranges(key, [(entry.offset, entry.blob_bytes)])
        return self._opened(place, blob, kind)

    def _opened(self, place: Place, blob: bytes, kind: BlobKind) -> bytes:
        cipher = self._cipher(place.pack_id, place.salt)
        stored, _ = cipher.open_blob(place.entry, blob)
        return unpacked(cipher, place.entry, stored, self._keys[kind])


def unpacked(cipher: PackCipher, entry: Entry, stored: bytes, chunk_key: bytes) -> bytes:
    """The chunk that is stored as `stored`, checked against its digest.

    Raises `StoreCorruptError`.
    """
    try:
        chunk = decompressed(entry.codec, stored, entry.plain_bytes)
    except DecompressionError as exc:
        raise cipher.damaged(f"the chunk at {entry.offset} cannot be unpacked") from exc
    if keyed_digest(chunk_key, chunk) != entry.digest:
        raise cipher.damaged(f"the chunk at {entry.offset} is not the one of its digest")
    return chunk


def _is_near(run: Sequence[Wanted], one: Wanted) -> bool:
    first, last = run[0].place, run[-1].place
    if first.pack_id != one.place.pack_id:
        return False
    gap = one.place.entry.offset - last.entry.offset - last.entry.blob_bytes
    length = one.place.entry.offset + one.place.entry.blob_bytes - first.entry.offset
    return gap <= _GAP_BYTES and length <= _RUN_BYTES
