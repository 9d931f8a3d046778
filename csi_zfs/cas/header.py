"""The object `store`: what a store is, readable before there is a key, and vouched for by it."""

from collections.abc import Mapping
from dataclasses import dataclass

from csi_zfs.cas import documents
from csi_zfs.cas.api import StoreCorruptError, UnknownFormatError
from csi_zfs.cas.documents import Document
from csi_zfs.cas.keys import StoreKey
from csi_zfs.system.digest import keyed_digest

HEADER_KEY = "store"
STORE_ID_BYTES = 16
MIN_CHUNK_BYTES = 64 << 10
MAX_CHUNK_BYTES = 4 << 20
DEFAULT_CHUNK_BYTES = 256 << 10
_MAC_BYTES = 32
_NAMES = frozenset({"format", "store_id", "created_ns", "chunk_bytes", "features", "mac"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What was decided when a store was made.  `chunk_bytes` is what images are cut into."""

    store_id: bytes
    created_ns: int
    chunk_bytes: int = DEFAULT_CHUNK_BYTES

    def encode(self, store_key: StoreKey) -> bytes:
        """The object `store`."""
        return vouched(store_key, HEADER_KEY, self._fields())

    def _fields(self) -> dict[str, object]:
        return {
            "store_id": self.store_id.hex(),
            "created_ns": self.created_ns,
            "chunk_bytes": self.chunk_bytes,
            "features": [],
        }


def parse_header(data: bytes) -> Header:
    """Read the header; `require_vouched` says later whether it is genuine.

    Raises `StoreCorruptError`; `UnknownFormatError` also for a feature that this program lacks.
    """
    document = documents.parse(HEADER_KEY, data, _NAMES)
    if features := document.texts("features"):
        named = ", ".join(features)
        raise UnknownFormatError(f"this store needs what this program does not know: {named}")
    chunk_bytes = document.number("chunk_bytes")
    if not is_chunk_size(chunk_bytes):
        raise document.damaged("its chunk_bytes is no size of chunks")
    return Header(
        store_id=document.raw("store_id", STORE_ID_BYTES),
        created_ns=document.number("created_ns"),
        chunk_bytes=chunk_bytes,
    )


def is_chunk_size(size_bytes: int) -> bool:
    """Whether images can be cut into chunks of this size: a power of two from 64 KiB to 4 MiB."""
    is_power = size_bytes & (size_bytes - 1) == 0
    return is_power and MIN_CHUNK_BYTES <= size_bytes <= MAX_CHUNK_BYTES


def vouched(store_key: StoreKey, key: str, fields: Mapping[str, object]) -> bytes:
    """A document in plain text whose field `mac` says that the store's key made it."""
    mac = _mac(store_key, key, fields)
    return documents.encode({**fields, "mac": mac.hex()})


def require_vouched(store_key: StoreKey, document: Document) -> None:
    """Check the `mac` of a document; raises `StoreCorruptError`."""
    fields = {name: value for name, value in document.fields.items() if name != "mac"}
    if document.raw("mac", _MAC_BYTES) != _mac(store_key, document.key, fields):
        raise StoreCorruptError(f"{document.key} is damaged: it is not what was written")


def require_genuine_header(store_key: StoreKey, data: bytes) -> None:
    """Check that the store's key made this header; raises `StoreCorruptError`."""
    require_vouched(store_key, documents.parse(HEADER_KEY, data, _NAMES))


def _mac(store_key: StoreKey, key: str, fields: Mapping[str, object]) -> bytes:
    return keyed_digest(store_key.plain_key(), key.encode() + b"\0" + documents.encode(fields))
