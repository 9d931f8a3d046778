"""Index objects: what the packs of one session hold, written once when it commits.

The payload (sealed, sealing.py) is one section for each pack: its id, its salt, its length, and its
entries as in a footer; docs/reference/formats.md has the bytes.  The packs' own footers are the
truth; an index saves reading them one by one.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from csi_zfs.cas.api import StoreCorruptError
from csi_zfs.cas.packs import ENTRY_BYTES, PACK_ID_BYTES
from csi_zfs.cas.sealing import SALT_BYTES

INDEXES = "indexes/"
_SECTION = struct.Struct(f"<{PACK_ID_BYTES}s{SALT_BYTES}sII")


@dataclass(frozen=True, slots=True)
class PackContent:
    """A pack and its entries, in the bytes that they have in a footer."""

    pack_id: bytes
    salt: bytes
    size_bytes: int
    entries: bytes

    @property
    def count(self) -> int:
        """The number of entries."""
        return len(self.entries) // ENTRY_BYTES


def encode_index(packs: Iterable[PackContent]) -> bytes:
    """The payload of an index object."""
    return b"".join(
        _SECTION.pack(pack.pack_id, pack.salt, pack.size_bytes, pack.count) + pack.entries
        for pack in packs
    )


def parse_index(key: str, payload: bytes) -> Iterator[PackContent]:
    """The packs in an index object; raises `StoreCorruptError`."""
    at = 0
    while at < len(payload):
        if len(payload) - at < _SECTION.size:
            raise StoreCorruptError(f"{key} is damaged: a section of it ends too early")
        pack_id, salt, size_bytes, count = _SECTION.unpack_from(payload, at)
        begin = at + _SECTION.size
        at = begin + count * ENTRY_BYTES
        if at > len(payload):
            raise StoreCorruptError(f"{key} is damaged: a section of it ends too early")
        yield PackContent(pack_id, salt, size_bytes, payload[begin:at])
