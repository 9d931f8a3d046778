"""Packs: many chunks in one object, each sealed on its own.

A prefix (sealing.py), the blobs, a sealed footer that lists them, and a trailer that says how long
the footer is: docs/reference/formats.md has the bytes.  A blob says of itself what its entry in the
footer says.  A pack is written once and never changed; its name is random and never used again.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from csi_zfs.cas.api import BlobKind, StoreCorruptError
from csi_zfs.cas.compression import Codec
from csi_zfs.cas.crypto import TAG_BYTES, AuthenticationError, Cipher
from csi_zfs.cas.header import MAX_CHUNK_BYTES
from csi_zfs.cas.keys import StoreKey
from csi_zfs.cas.sealing import MAGIC, PREFIX_BYTES, SALT_BYTES, ObjectKind, require_prefix

PACKS = "packs/"
PACK_ID_BYTES = 16
PACK_BYTES = 32 << 20
# Nothing that claims to be longer is read.
MAX_PACK_BYTES = 64 << 20
_VERSION = 1
_BLOB = struct.Struct("<4sBBHIII8s32s")
_BLOB_MAGIC = b"blob"
_ENTRY = struct.Struct("<32sIIIBBH")
_TRAILER = struct.Struct("<4sIII")
_TRAILER_MAGIC = b"pack"
_FOOTER_NONCE = 0xFFFFFFFF
BLOB_HEADER_BYTES = _BLOB.size
TRAILER_BYTES = _TRAILER.size
ENTRY_BYTES = _ENTRY.size


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a chunk is in its pack."""

    digest: bytes
    offset: int
    plain_bytes: int
    sealed_bytes: int
    kind: BlobKind
    codec: Codec

    @property
    def blob_bytes(self) -> int:
        """The length of the whole blob."""
        return BLOB_HEADER_BYTES + self.sealed_bytes

    def encode(self) -> bytes:
        """The entry in a footer or an index."""
        return _ENTRY.pack(
            self.digest,
            self.offset,
            self.plain_bytes,
            self.sealed_bytes,
            self.kind,
            self.codec,
            0,
        )


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk as it goes into a pack: `stored` is what the codec made of it."""

    digest: bytes
    kind: BlobKind
    domain_tag: bytes
    plain_bytes: int
    codec: Codec
    stored: bytes


def pack_key(pack_id: bytes) -> str:
    """The key of a pack in the storage."""
    name = pack_id.hex()
    return f"{PACKS}{name[:2]}/{name}"


def parse_pack_key(key: str) -> bytes | None:
    """The id of the pack under a key, or nothing where no pack is named like that."""
    name = key.rpartition("/")[2]
    try:
        pack_id = bytes.fromhex(name)
    except ValueError:
        return None
    return pack_id if len(pack_id) == PACK_ID_BYTES and pack_key(pack_id) == key else None


class PackCipher:
    """Seals and opens what is in one pack.  Thread-safe."""

    def __init__(self, store_key: StoreKey, store_id: bytes, pack_id: bytes, salt: bytes) -> None:
        self.pack_id = pack_id
        self.salt = salt
        self.prefix = MAGIC + bytes([ObjectKind.PACK, _VERSION]) + salt
        self._cipher = Cipher(store_key.pack_key(salt))
        self._bound = self.prefix + store_id + pack_key(pack_id).encode()

    def seal_blob(self, header: bytes, ordinal: int, stored: bytes, into: memoryview) -> None:
        """Write the sealed bytes of a blob."""
        self._cipher.seal_into(ordinal, stored, self._bound + header, into)

    def open_blob(self, entry: Entry, blob: bytes) -> tuple[bytes, bytes]:
        """The stored bytes of a blob, and its domain's tag.

        Raises `StoreCorruptError` where the blob is not the one that the entry names.
        """
        header = blob[:BLOB_HEADER_BYTES]
        found, ordinal, tag = parse_blob_header(header, entry.offset)
        if found != entry or len(blob) != entry.blob_bytes:
            raise self.damaged(f"at {entry.offset} there is another blob than its index says")
        return self._opened(ordinal, memoryview(blob)[BLOB_HEADER_BYTES:], header), tag

    def seal_footer(self, entries: Sequence[Entry]) -> bytes:
        """The footer and the last bytes of a pack."""
        plain = b"".join(entry.encode() for entry in entries)
        trailer = _TRAILER.pack(_TRAILER_MAGIC, len(entries), len(plain) + TAG_BYTES, 0)
        return self._cipher.seal(_FOOTER_NONCE, plain, self._bound + trailer) + trailer

    def open_footer(self, footer: bytes, trailer: bytes) -> list[Entry]:
        """The entries of a pack; raises `StoreCorruptError`."""
        plain = self._opened(_FOOTER_NONCE, memoryview(footer), trailer)
        return parse_entries(plain, pack_key(self.pack_id))

    def _opened(self, counter: int, sealed: memoryview, associated: bytes) -> bytes:
        try:
            return self._cipher.open(counter, sealed, self._bound + associated)
        except AuthenticationError as exc:
            raise self.damaged("it is not what was written") from exc

    def damaged(self, why: str) -> StoreCorruptError:
        """The error that names this pack."""
        return StoreCorruptError(f"{pack_key(self.pack_id)} is damaged: {why}")


class OpenPack:
    """A pack that is being filled, in a buffer that the caller owns.

    `reserve` is for one caller at a time; `fill` may run in any thread, so that sealing, the work,
    needs no lock.
    """

    def __init__(self, cipher: PackCipher, buffer: bytearray) -> None:
        self._cipher = cipher
        self._buffer = memoryview(buffer)
        self._entries: list[Entry] = []
        self._buffer[:PREFIX_BYTES] = cipher.prefix
        self._end = PREFIX_BYTES

    @property
    def pack_id(self) -> bytes:
        """Its name."""
        return self._cipher.pack_id

    @property
    def salt(self) -> bytes:
        """What its key is derived from."""
        return self._cipher.salt

    @property
    def entries(self) -> Sequence[Entry]:
        """What was reserved."""
        return self._entries

    def has_room_for(self, stored_bytes: int) -> bool:
        """Whether a chunk of so many stored bytes fits, with the footer behind it."""
        footer = (len(self._entries) + 1) * ENTRY_BYTES + TAG_BYTES + TRAILER_BYTES
        blob = BLOB_HEADER_BYTES + stored_bytes + TAG_BYTES
        return self._end + blob + footer <= len(self._buffer)

    def reserve(self, chunk: StoredChunk) -> int:
        """Set room aside for a chunk; returns its ordinal."""
        ordinal = len(self._entries)
        entry = Entry(
            chunk.digest,
            self._end,
            chunk.plain_bytes,
            len(chunk.stored) + TAG_BYTES,
            chunk.kind,
            chunk.codec,
        )
        self._entries.append(entry)
        self._end += entry.blob_bytes
        return ordinal

    def fill(self, ordinal: int, chunk: StoredChunk) -> None:
        """Write the chunk that room was set aside for."""
        entry = self._entries[ordinal]
        begin = entry.offset + BLOB_HEADER_BYTES
        header = _encode_blob_header(entry, ordinal, chunk.domain_tag)
        self._buffer[entry.offset : begin] = header
        into = self._buffer[begin : begin + entry.sealed_bytes]
        self._cipher.seal_blob(header, ordinal, chunk.stored, into)

    def finish(self) -> memoryview:
        """The whole pack, once everything that was reserved is filled."""
        end = self._cipher.seal_footer(self._entries)
        begin, self._end = self._end, self._end + len(end)
        self._buffer[begin : self._end] = end
        return self._buffer[: self._end]


def parse_pack_prefix(key: str, data: bytes) -> bytes:
    """The salt in the first bytes of a pack; raises `StoreCorruptError`, `UnknownFormatError`."""
    require_prefix(ObjectKind.PACK, _VERSION, key, data)
    return data[PREFIX_BYTES - SALT_BYTES : PREFIX_BYTES]


def parse_trailer(key: str, trailer: bytes) -> int:
    """The bytes of the footer before the last bytes of a pack; raises `StoreCorruptError`."""
    if len(trailer) == TRAILER_BYTES:
        magic, count, footer_bytes, zero = _TRAILER.unpack(trailer)
        expected = int(count) * ENTRY_BYTES + TAG_BYTES
        if magic == _TRAILER_MAGIC and footer_bytes == expected and zero == 0:
            return expected
    raise StoreCorruptError(f"{key} is damaged: it does not end as a pack does")


def parse_entries(plain: bytes, key: str) -> list[Entry]:
    """The entries of a footer or of an index; raises `StoreCorruptError`."""
    if len(plain) % ENTRY_BYTES:
        raise StoreCorruptError(f"{key} is damaged: its entries end too early")
    try:
        return [
            _checked(Entry(digest, offset, plain_bytes, sealed, BlobKind(kind), Codec(codec)), zero)
            for digest, offset, plain_bytes, sealed, kind, codec, zero in _ENTRY.iter_unpack(plain)
        ]
    except ValueError as exc:
        raise StoreCorruptError(f"{key} is damaged: it has an entry that cannot be") from exc


def blob_bytes(rest: bytes) -> int:
    """The length of a blob, from its entry without the digest."""
    return BLOB_HEADER_BYTES + int.from_bytes(rest[8:12], "little")


def plain_bytes(rest: bytes) -> int:
    """The length of a chunk, from its entry without the digest."""
    return int.from_bytes(rest[4:8], "little")


def parse_blob_header(header: bytes, offset: int) -> tuple[Entry, int, bytes]:
    """The entry, the ordinal and the domain's tag that a blob itself states.

    Raises `StoreCorruptError`.  Nothing of it is proved until the blob was opened.
    """
    try:
        magic, kind, codec, zero, ordinal, plain, sealed, tag, digest = _BLOB.unpack(header)
        entry = _checked(Entry(digest, offset, plain, sealed, BlobKind(kind), Codec(codec)), zero)
    except (struct.error, ValueError) as exc:
        raise StoreCorruptError(f"there is no blob at {offset} of the pack") from exc
    if magic != _BLOB_MAGIC:
        raise StoreCorruptError(f"there is no blob at {offset} of the pack")
    return entry, ordinal, tag


def _encode_blob_header(entry: Entry, ordinal: int, domain_tag: bytes) -> bytes:
    return _BLOB.pack(
        _BLOB_MAGIC,
        entry.kind,
        entry.codec,
        0,
        ordinal,
        entry.plain_bytes,
        entry.sealed_bytes,
        domain_tag,
        entry.digest,
    )


def _checked(entry: Entry, zero: int) -> Entry:
    """Refuse what no writer writes, so that a reader needs no bounds of its own."""
    fits = PREFIX_BYTES <= entry.offset <= MAX_PACK_BYTES - entry.blob_bytes
    # What does not get smaller is stored as it is.
    has_length = TAG_BYTES < entry.sealed_bytes <= entry.plain_bytes + TAG_BYTES
    if zero or not fits or not has_length or entry.plain_bytes > MAX_CHUNK_BYTES:
        raise ValueError
    return entry
