"""The key of a store, and the keys that are derived from it, one for each use.

The store's key is random and never leaves memory but wrapped (slots.py), so a new passphrase wraps
it again and touches no data.
"""

import os
from dataclasses import dataclass, field

from csi_zfs.cas.api import BlobKind
from csi_zfs.cas.crypto import KEY_BYTES
from csi_zfs.system.digest import derive_key

DEFAULT_DOMAIN = "default"
_CHUNK = "csi-zfs store 2026-11-21 digests of chunks"
_PACK = "csi-zfs store 2026-11-21 contents of packs"
_OBJECT = "csi-zfs store 2026-11-21 small objects"
_PLAIN = "csi-zfs store 2026-11-21 objects in plain text"
_TAG = "csi-zfs store 2026-11-21 tags of domains"
_TAG_BYTES = 8


@dataclass(frozen=True, slots=True)
class StoreKey:
    """The 32 random bytes that everything of a store is sealed with."""

    secret: bytes = field(repr=False)

    @classmethod
    def generate(cls) -> "StoreKey":
        """A new key."""
        return cls(os.urandom(KEY_BYTES))

    def chunk_key(self, domain: str, kind: BlobKind) -> bytes:
        """What the chunks of this kind in a dedup domain are digested with.

        Equal content in two domains has different digests, so nobody learns from one what the
        other has (rules.md C8); a node never has the digest of equal data.
        """
        return self._derived(_CHUNK, bytes([kind]) + domain.encode())

    def domain_tag(self, domain: str) -> bytes:
        """Eight bytes that stand for a domain where its name would be too long."""
        return self._derived(_TAG, domain.encode())[:_TAG_BYTES]

    def pack_key(self, salt: bytes) -> bytes:
        """The key of one pack, whose salt is random."""
        return self._derived(_PACK, salt)

    def object_key(self, salt: bytes) -> bytes:
        """The key of one small object, whose salt is random."""
        return self._derived(_OBJECT, salt)

    def plain_key(self) -> bytes:
        """What vouches for the objects that have to be read before there is a key."""
        return self._derived(_PLAIN, b"")

    def _derived(self, context: str, detail: bytes) -> bytes:
        return derive_key(context, self.secret + detail)
