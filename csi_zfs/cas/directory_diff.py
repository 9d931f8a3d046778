"""What differs between two directories, without reading the nodes that they share."""

from collections.abc import Iterator
from typing import NamedTuple

from csi_zfs.cas.api import ZERO_DIGEST, BlobKind, ChunkSource, StoreCorruptError
from csi_zfs.cas.tree_entries import Entry, decode_entries
from csi_zfs.cas.tree_nodes import NodeType, decode_references, expect

# An entry before and after; at least one of them is there.
EntryPair = tuple[Entry | None, Entry | None]
_UPPERMOST = 1 << 8


class _Below(NamedTuple):
    """A node that was not read yet: the first name there, and the level that it must have."""

    name: bytes
    digest: bytes
    level: int | None


class _Side:
    """One directory as what comes next in it: entries, or nodes with more of them."""

    def __init__(self, source: ChunkSource, digest: bytes) -> None:
        self._source = source
        self._last = b""
        # The next one last.
        self._rest: list[_Below | Entry] = []
        if digest != ZERO_DIGEST:
            self._rest.append(_Below(b"", digest, None))

    def head(self) -> _Below | Entry | None:
        """What comes next."""
        return self._rest[-1] if self._rest else None

    def skip(self) -> None:
        """Go on after what comes next."""
        head = self._rest.pop()
        if isinstance(head, Entry):
            if head.name <= self._last:
                raise StoreCorruptError(f"a directory has {head.name!r} after {self._last!r}")
            self._last = head.name

    def open(self, node: _Below) -> None:
        """Put what is in the node that comes next in its place."""
        data = self._source.get(node.digest, BlobKind.TREE)
        found = expect(data, NodeType.DIRECTORY, node.level)
        below: list[_Below | Entry] = []
        if found.level:
            references = decode_references(found)
            below += [_Below(name, digest, found.level - 1) for name, digest in references]
        else:
            below += decode_entries(found.body, found.record_count)
        if node.name not in {b"", below[0].name}:
            raise StoreCorruptError(f"a directory's node begins with another than {node.name!r}")
        self._rest.pop()
        self._rest += reversed(below)


def diff_directories(
    old: tuple[ChunkSource, bytes], new: tuple[ChunkSource, bytes]
) -> Iterator[EntryPair]:
    """The entries of two directories by their names, without those of the nodes that both have.

    Each directory is given by its source and its digest.
    """
    left, right = _Side(*old), _Side(*new)
    while True:
        one, other = left.head(), right.head()
        if one is None and other is None:
            return
        if isinstance(one, _Below) or isinstance(other, _Below):
            _descend(left, right)
            continue
        if one is not None and other is not None and one.name != other.name:
            one, other = (one, None) if one.name < other.name else (None, other)
        if one is not None:
            left.skip()
        if other is not None:
            right.skip()
        yield one, other


def _descend(left: _Side, right: _Side) -> None:
    """Skip the node that both have next, or open the higher one of two."""
    one, other = left.head(), right.head()
    if isinstance(one, _Below) and isinstance(other, _Below) and one.digest == other.digest:
        left.skip()
        right.skip()
    elif isinstance(one, _Below) and _height(one) >= _height(other):
        left.open(one)
    elif isinstance(other, _Below):
        right.open(other)


def _height(item: _Below | Entry | None) -> int:
    """Of the uppermost node nothing is known: it is opened first."""
    if not isinstance(item, _Below):
        return -1
    return _UPPERMOST if item.level is None else item.level
