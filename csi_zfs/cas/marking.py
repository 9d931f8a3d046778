"""Which chunks the manifests need: followed from their roots, each node once.

The marks are in a temporary file of SQLite, so that memory is bounded whatever there is.
"""

import sqlite3
from collections.abc import Container, Iterable, Iterator

from csi_zfs.cas.api import (
    ZERO_DIGEST,
    ChunkSource,
    CollectionFailedError,
    Manifest,
    ManifestKind,
)
from csi_zfs.cas.image_tree import ImageTreeReader, image_tree_of, split_digests
from csi_zfs.cas.places import Holding, Places
from csi_zfs.cas.tree_marking import file_tree_nodes
from csi_zfs.domain.errors import CorruptionError

_PAGE = 8192


class Marks:
    """The digests of all chunks that are needed.  One thread at a time."""

    def __init__(self) -> None:
        # Without a name: a file that goes when it is closed.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("pragma journal_mode = off")
        self._database.execute("create table marked (digest blob primary key) without rowid")

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def add(self, digest: bytes) -> bool:
        """Mark one; returns whether it was not marked before."""
        cursor = self._database.execute("insert or ignore into marked values (?)", (digest,))
        return cursor.rowcount == 1

    def add_all(self, digests: Iterable[tuple[bytes]]) -> None:
        """Mark many, each in a tuple of its own; zeros need no mark."""
        self._database.execute("begin")
        self._database.executemany("insert or ignore into marked values (?)", digests)
        self._database.execute("delete from marked where digest = ?", (ZERO_DIGEST,))
        self._database.execute("commit")

    def __iter__(self) -> Iterator[bytes]:
        """All of them, in their order."""
        after = b""
        query = "select digest from marked where digest > ? order by digest limit ?"
        while page := self._database.execute(query, (after, _PAGE)).fetchall():
            for (digest,) in page:
                yield digest
            after = page[-1][0]


def mark(source: ChunkSource, manifest: Manifest, marks: Marks) -> None:
    """Mark what a manifest needs; only what was not marked yet is read.

    Raises `CollectionFailedError`, naming the manifest, where a node cannot be read: what is below
    it is unknown, and so nothing may be deleted.
    """
    try:
        for chunks in references(source, manifest, marks):
            marks.add_all(chunks)
    except CorruptionError as exc:
        raise CollectionFailedError(
            f"manifest {manifest.manifest_id} cannot be read, so nothing is deleted: {exc};"
            " `csi-zfs store check` says what is damaged"
        ) from exc


def references(
    source: ChunkSource, manifest: Manifest, seen: Marks
) -> Iterator[Iterable[tuple[bytes]]]:
    """The chunks below each node of a manifest that was not seen, for one node after the other.

    The nodes themselves are marked as seen.
    """
    root = manifest.root
    if root.kind is ManifestKind.TREE:
        for node in file_tree_nodes(source, root.tree_digest, seen.add):
            yield [(digest,) for digest in node.chunks]
        return
    tree = ImageTreeReader(source, image_tree_of(root))
    for image_node in tree.nodes(seen.add):
        if image_node.level == 0:
            yield split_digests(image_node.digests)


def needed_places(
    marks: Marks, places: Places, there: Container[bytes] | None = None
) -> Iterator[tuple[bytes, list[Holding], bool]]:
    """Every chunk that has a place: its digest, the packs that have it, whether it is needed.

    Only the packs that are `there` count, if given, whatever the cache says.  Raises
    `CollectionFailedError` at one that is needed and has none.
    """
    marked = iter(marks)
    next_marked = next(marked, None)
    for digest, known in places.of_each():
        holdings = [one for one in known if there is None or one.pack_id in there]
        if not holdings:
            continue
        if next_marked is not None and next_marked < digest:
            break
        is_needed = digest == next_marked
        yield digest, holdings, is_needed
        if is_needed:
            next_marked = next(marked, None)
    if next_marked is not None:
        raise CollectionFailedError(
            f"chunk {next_marked.hex()} is needed and is in no pack, so nothing is deleted:"
            " `csi-zfs store check` says which manifests it is of"
        )
