"""Small objects of a store: encrypted, and bound to the store and to their own key there.

docs/reference/formats.md has the bytes: a prefix that a pack has too (magic, kind, version, salt),
then the sealed payload.  The associated data are the prefix, the store's id and the object's key in
the storage: an object that is put in another one's place, or comes from another store, does not
open.
"""

import enum
import os
from dataclasses import dataclass

from csi_zfs.cas.api import StoreCorruptError, UnknownFormatError
from csi_zfs.cas.crypto import TAG_BYTES, AuthenticationError, Cipher
from csi_zfs.cas.keys import StoreKey

MAGIC = b"CSIZFS"
SALT_BYTES = 32
PREFIX_BYTES = len(MAGIC) + 2 + SALT_BYTES
_VERSION = 1


class ObjectKind(enum.IntEnum):
    """What an object is, in its seventh byte."""

    PACK = ord("P")
    INDEX = ord("I")
    SESSION = ord("S")
    JOURNAL = ord("J")
    EPOCH = ord("E")
    MARKS = ord("M")


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals and opens the small objects of one store.  Thread-safe."""

    store_key: StoreKey
    store_id: bytes

    def seal(self, kind: ObjectKind, key: str, payload: bytes) -> bytes:
        """The object that is stored under `key`; no two are equal, even of one payload."""
        prefix = new_prefix(kind, _VERSION)
        return prefix + self._cipher(prefix).seal(0, payload, self._bound(prefix, key))

    def open(self, kind: ObjectKind, key: str, data: bytes) -> bytes:
        """The payload of the object under `key`.

        Raises `StoreCorruptError`, and `UnknownFormatError` for a version of the future.
        """
        require_prefix(kind, _VERSION, key, data)
        if len(data) < PREFIX_BYTES + TAG_BYTES:
            raise StoreCorruptError(f"{key} is damaged: it ends too early")
        prefix = data[:PREFIX_BYTES]
        try:
            sealed = memoryview(data)[PREFIX_BYTES:]
            return self._cipher(prefix).open(0, sealed, self._bound(prefix, key))
        except AuthenticationError as exc:
            raise StoreCorruptError(f"{key} is damaged: it is not what was written") from exc

    def _cipher(self, prefix: bytes) -> Cipher:
        return Cipher(self.store_key.object_key(prefix[-SALT_BYTES:]))

    def _bound(self, prefix: bytes, key: str) -> bytes:
        return prefix + self.store_id + key.encode()


def new_prefix(kind: ObjectKind, version: int) -> bytes:
    """The first bytes of a new object, with a salt of its own."""
    return MAGIC + bytes([kind, version]) + os.urandom(SALT_BYTES)


def require_prefix(kind: ObjectKind, version: int, key: str, data: bytes) -> None:
    """Check that `data` begins as an object of this kind and version.

    Raises `StoreCorruptError`, `UnknownFormatError`.
    """
    begin = MAGIC + bytes([kind])
    if len(data) < PREFIX_BYTES or not data.startswith(begin):
        raise StoreCorruptError(f"{key} is damaged: it does not begin as such an object does")
    found = data[len(begin)]
    if found > version:
        raise UnknownFormatError(
            f"{key} has version {found} of its format, and this program knows up to {version}:"
            " use a newer one"
        )
    if found != version:
        raise StoreCorruptError(f"{key} is damaged: there is no version {found} of its format")
