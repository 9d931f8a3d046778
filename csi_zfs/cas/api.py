"""What the chunk store is built on, `ObjectStorage`, and what it promises, `ChunkStore`.

A *chunk* is a run of bytes, named by its *digest*: keyed BLAKE3-256 of the plain bytes, 32 raw
bytes here and 64 hex digits in text.  A *pack* is an object with many chunks, a *manifest* an image
or a tree of files as digests, all the way up to one root.
"""

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from csi_zfs.domain.errors import (
    AccessDeniedError,
    CorruptionError,
    IncompatibleError,
    InUseError,
    NoSpaceError,
    NotFoundError,
    OperationPendingError,
    UnavailableError,
    UnsupportedError,
)

DIGEST_BYTES = 32
# Of a chunk of zeros, whatever its length: it is never stored and never computed.
ZERO_DIGEST = bytes(DIGEST_BYTES)


class ObjectNotFoundError(NotFoundError):
    """There is no object of this key; the storage said so itself."""


class ObjectExistsError(IncompatibleError):
    """The key is taken by an object with other bytes."""


class ObjectChangedError(OperationPendingError):
    """The object is not the one that was read before: read it again."""


class StorageUnavailableError(UnavailableError):
    """The storage does not answer, or answers that it cannot now; repeat later."""


class StorageFullError(NoSpaceError):
    """The storage takes no more; what it had is whole."""


class StorageDeniedError(AccessDeniedError):
    """The storage lets this caller not do this: the credentials or the permissions are wrong."""


class UnsafeStorageError(UnsupportedError):
    """The storage has no conditional writes, or only pretends to: one writer alone may use it."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object that was read, and what tells it from every other one under its key."""

    data: bytes
    tag: str


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a listing tells of an object; `changed_s` is Unix seconds by the storage's clock."""

    key: str
    size_bytes: int
    changed_s: float


class ObjectStorage(Protocol):
    """Objects by key, each written and replaced as a whole.  Thread-safe.

    A key is words of `[a-z0-9._-]` with `/` between them.  What a call wrote is durable and seen by
    every reader when the call returns.  A call may be repeated: writing what is there already is a
    success, so an answer that got lost changes nothing.  Every call may raise
    `StorageUnavailableError`, `StorageDeniedError`; every write `StorageFullError`.
    """

    def put(self, key: str, data: bytes | bytearray | memoryview) -> None:
        """Write an object whose key nobody else uses, such as a random one."""

    def put_new(self, key: str, data: bytes) -> str:
        """Write an object unless there is one; returns its tag.

        Raises `ObjectExistsError` where there is one with other bytes.  Of several callers with
        different bytes exactly one succeeds.
        """

    def replace(self, key: str, data: bytes, tag: str) -> str:
        """Replace the object that was read with this tag; returns the new tag.

        Raises `ObjectChangedError` where it was replaced or deleted since.
        """

    def get(self, key: str) -> StoredObject:
        """Read an object.  Raises `ObjectNotFoundError`."""

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Read parts, each given as offset and length; one beyond the end is cut there.

        Raises `ObjectNotFoundError`.
        """

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """The objects below `prefix` (which ends with `/`), in the order of their keys.

        What is written or deleted meanwhile may be in it or not.
        """

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are gone already are no error."""


class ManifestNotFoundError(NotFoundError):
    """There is no manifest of this id in the store."""


class ChunkNotFoundError(CorruptionError):
    """A chunk that a manifest needs is in no pack of the store."""


class ChunkCorruptError(CorruptionError):
    """What is stored for a chunk is not what was written: it is never returned as data."""


class StoreCorruptError(CorruptionError):
    """An object of the store fails its own check; the text names it."""


class WrongKeyError(AccessDeniedError):
    """No key slot of the store opens with this passphrase or key."""


class StoreNotFoundError(NotFoundError):
    """There is no store at this place; `csi-zfs store init` makes one."""


class StoreExistsError(IncompatibleError):
    """There is a store at this place already."""


class UnknownFormatError(UnsupportedError):
    """An object is of a version or needs a feature that this program does not know; named."""


class SessionFencedError(OperationPendingError):
    """A collector has ended this session, since it seemed dead: begin again."""


class CollectionFailedError(InUseError):
    """The collection ended without deleting anything more: something it needs cannot be read."""


class BlobKind(enum.IntEnum):
    """What a chunk is: content, or a node of a manifest's tree."""

    DATA = 1
    TREE = 2


class ManifestKind(enum.StrEnum):
    """What a manifest describes."""

    IMAGE = "image"
    TREE = "tree"


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """What a manifest is made of, as its author states it.

    `tree_digest` is a pure function of content, chunk size and key.  `depth` is the number of
    levels of an image's tree; `chunk_bytes` is 0 for trees of files.
    """

    kind: ManifestKind
    size_bytes: int
    tree_digest: bytes
    chunk_bytes: int = 0
    depth: int = 0
    parent_id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    zfs_guid: str = ""
    zfs_createtxg: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A committed root; `manifest_id` has 32 hex digits, `domain` is its dedup domain."""

    manifest_id: str
    domain: str
    created_ns: int
    root: Root


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a session has put: all that it was given, and what of that was new to the store."""

    chunks: int = 0
    plain_bytes: int = 0
    new_chunks: int = 0
    new_plain_bytes: int = 0
    stored_bytes: int = 0


class ChunkSource(Protocol):
    """Where chunks are read from.  Thread-safe."""

    def get(self, digest: bytes, kind: BlobKind) -> bytes:
        """The chunk, checked.  Raises `ChunkNotFoundError`, `ChunkCorruptError`."""

    def get_many(self, digests: Sequence[bytes], kind: BlobKind) -> Iterator[bytes]:
        """The chunks in this order, read in as few requests as there can be."""


class ChunkSink(Protocol):
    """Where chunks are put.  Thread-safe."""

    def put(self, data: bytes | bytearray | memoryview, kind: BlobKind) -> bytes:
        """Store a chunk unless the store has it; returns its digest.

        Durable when the session's `commit` returns.  Zeros must be left out by the caller
        (`ZERO_DIGEST` stands for them).
        """
