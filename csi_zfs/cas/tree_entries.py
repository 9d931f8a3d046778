"""An entry of a directory as bytes: docs/reference/formats.md has them.

A head of fixed length, then name, attributes, target and link, each of the length that the head
says, then the digests that kind, size and flags ask for.  A file without data (length 0, or zeros
alone) and an empty directory have the digest of zeros, or none where the length is 0.  A hard link
repeats the whole entry of its file.
"""

import enum
import struct
from typing import NamedTuple

from csi_zfs.cas.api import DIGEST_BYTES, ZERO_DIGEST, StoreCorruptError, UnknownFormatError

LONGEST_NAME = 1024
_HEAD = struct.Struct("<IBBHIIqIQHHHI")
_ATTRIBUTE = struct.Struct("<HI")
_HAS_CONTENT_NODE = 1
_HAS_ATTRIBUTES_NODE = 2
_KNOWN_FLAGS = _HAS_CONTENT_NODE | _HAS_ATTRIBUTES_NODE
_MODE_MASK = 0o7777
_LARGEST_FILE = 2**63 - 1
# To the kernel it means "as it is".
_NO_OWNER = 2**32 - 1
_NS_PER_S = 1_000_000_000


class EntryKind(enum.IntEnum):
    """What an entry is."""

    FILE = 1
    DIRECTORY = 2
    SYMLINK = 3
    CHARACTER_DEVICE = 4
    BLOCK_DEVICE = 5
    FIFO = 6


# As plain numbers: a comparison of these is made for every entry.
_FILE, _DIRECTORY = int(EntryKind.FILE), int(EntryKind.DIRECTORY)
DEVICES = frozenset({EntryKind.CHARACTER_DEVICE, EntryKind.BLOCK_DEVICE})
_KINDS = {int(kind): kind for kind in EntryKind}


class Entry(NamedTuple):
    """A name and what it stands for; `content` of a file without length is that of zeros.

    `attributes` are encoded; they are in a node of their own where `attributes_digest` is set.
    `link_to` is the path of the first of several hard links, and empty for that one itself.
    """

    name: bytes
    kind: EntryKind
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int = 0
    content: bytes = ZERO_DIGEST
    has_content_node: bool = False
    attributes: bytes = b""
    attributes_digest: bytes = b""
    target: bytes = b""
    link_to: bytes = b""

    @property
    def is_directory(self) -> bool:
        """Whether there are entries below."""
        return self.kind is EntryKind.DIRECTORY


def encode_entry(entry: Entry) -> bytes:
    """The bytes of an entry."""
    name, kind, mode, uid, gid, mtime_ns, size, content, is_node, *rest = entry
    attributes, attributes_digest, target, link_to = rest
    seconds, ns = divmod(mtime_ns, _NS_PER_S)
    flags = _HAS_CONTENT_NODE if is_node else 0
    if attributes_digest:
        flags |= _HAS_ATTRIBUTES_NODE
    tail = content if _has_content(kind, size) else b""
    body = b"".join((name, attributes, target, link_to, tail, attributes_digest))
    head = _HEAD.pack(
        _HEAD.size + len(body),
        kind,
        flags,
        mode,
        uid,
        gid,
        seconds,
        ns,
        size,
        len(name),
        len(attributes),
        len(target),
        len(link_to),
    )
    return head + body


def decode_entries(body: bytes, count: int) -> list[Entry]:
    """So many entries, their names rising, and nothing after them.

    Raises `UnknownFormatError` for kinds and flags of a later version, else `StoreCorruptError`.
    """
    entries, at, last = [], 0, b""
    for _ in range(count):
        entry, length = _decode(body, at)
        if entry.name <= last or entry.name in {b".", b".."} or b"/" in entry.name:
            raise StoreCorruptError(f"a directory has an entry {entry.name!r} after {last!r}")
        entries.append(entry)
        at, last = at + length, entry.name
    if at != len(body):
        raise StoreCorruptError("a directory node's length is not that of its entries")
    return entries


def decode_top(body: bytes) -> Entry:
    """The entry of the uppermost directory, which has no name."""
    entry, length = _decode(body, 0)
    if entry.name or not entry.is_directory or length != len(body):
        raise StoreCorruptError("the uppermost entry is not a directory without a name")
    return entry


def encode_attributes(attributes: list[tuple[bytes, bytes]]) -> bytes:
    """Extended attributes as records, sorted by name."""
    return b"".join(
        _ATTRIBUTE.pack(len(name), len(value)) + name + value for name, value in sorted(attributes)
    )


def decode_attributes(body: bytes) -> list[tuple[bytes, bytes]]:
    """Extended attributes from their records."""
    attributes, at, last = [], 0, b""
    while at < len(body):
        if len(body) - at < _ATTRIBUTE.size:
            raise StoreCorruptError("an extended attribute is cut off")
        name_length, value_length = _ATTRIBUTE.unpack_from(body, at)
        start = at + _ATTRIBUTE.size
        at = start + name_length + value_length
        name = body[start : start + name_length]
        if at > len(body) or name <= last or b"\0" in name:
            raise StoreCorruptError("extended attributes are cut off or out of order")
        attributes.append((name, body[start + name_length : at]))
        last = name
    return attributes


def _has_content(kind: int, size: int) -> bool:
    return kind == _DIRECTORY or (kind == _FILE and size > 0)


def _decode(body: bytes, at: int) -> tuple[Entry, int]:
    if len(body) - at < _HEAD.size:
        raise StoreCorruptError("an entry is cut off")
    head = _HEAD.unpack_from(body, at)
    length, number, flags, mode, uid, gid, seconds, ns, size, *lengths = head
    if number not in _KINDS or flags & ~_KNOWN_FLAGS:
        raise UnknownFormatError(f"an entry of a directory has kind {number} and flags {flags}")
    kind = _KINDS[number]
    lengths.append(DIGEST_BYTES if _has_content(kind, size) else 0)
    lengths.append(DIGEST_BYTES if flags & _HAS_ATTRIBUTES_NODE else 0)
    if length != _HEAD.size + sum(lengths) or length > len(body) - at or ns >= _NS_PER_S:
        raise StoreCorruptError("an entry's length is not that of its parts")
    parts, start = [], at + _HEAD.size
    for part in lengths:
        parts.append(body[start : start + part])
        start += part
    name, attributes, target, link_to, content, attributes_digest = parts
    entry = Entry(
        name,
        kind,
        mode,
        uid,
        gid,
        seconds * _NS_PER_S + ns,
        size,
        content or ZERO_DIGEST,
        bool(flags & _HAS_CONTENT_NODE),
        attributes,
        attributes_digest,
        target,
        link_to,
    )
    _check(entry)
    return entry, length


def _check(entry: Entry) -> None:
    """Refuse what no writer makes of one entry alone."""
    kind = entry.kind
    wrong = (
        len(entry.name) > LONGEST_NAME
        or b"\0" in entry.name
        or b"\0" in entry.target
        or entry.mode > _MODE_MASK
        or _NO_OWNER in (entry.uid, entry.gid)
        or (kind is EntryKind.FILE and entry.size > _LARGEST_FILE)
        or bool(entry.target) != (kind is EntryKind.SYMLINK)
        or (entry.size and kind is not EntryKind.FILE and kind not in DEVICES)
        or (entry.has_content_node and (kind is not EntryKind.FILE or entry.content == ZERO_DIGEST))
        or (entry.attributes and entry.attributes_digest)
        or (entry.link_to and (entry.is_directory or not is_path(entry.link_to)))
    )
    if wrong:
        raise StoreCorruptError(f"an entry {entry.name!r} of a directory contradicts itself")


def is_path(path: bytes) -> bool:
    """Whether this is a path from the top of a tree that leads nowhere else."""
    names = path.split(b"/")
    return b"\0" not in path and not any(name in {b"", b".", b".."} for name in names)
