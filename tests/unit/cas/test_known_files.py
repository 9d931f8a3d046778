"""Files that need not be read again: only what surely did not change."""

import os
import random
import time
from pathlib import Path

import pytest

from csi_zfs.cas.api import BlobKind
from csi_zfs.cas.file_tree import FileTree
from csi_zfs.cas.known_files import FileState, KnownFiles
from csi_zfs.cas.walking import StoredTree, TreeWalk
from tests.support.file_trees import (
    directory_entry,
    file_entry,
    opened,
    put_directory,
    put_tree,
    refuse,
    store_tree,
)
from tests.support.memory_chunks import MemoryChunks

# As if the older tree were begun to be read a minute from now: nothing changed since.
_LATER_NS = 60_000_000_000


def read_again(
    chunks: MemoryChunks, directory: Path, older: StoredTree, begun_ns: int
) -> StoredTree:
    """Read a directory of which there is an older tree."""
    known = KnownFiles(FileTree(chunks, older.digest), begun_ns, chunks.has)
    with opened(directory) as descriptor:
        return TreeWalk(chunks, refuse, take_over=known).read(descriptor)


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """Ten bytes in each of seven files."""
    for name in ("a", "b/c/d", "b/c/e", "b/f", "b-/g", "b0", "z/y/x"):
        path = tmp_path / "origin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name:>10}")
    return tmp_path / "origin"


def test_unchanged_files_are_not_read(origin: Path) -> None:
    chunks = MemoryChunks()
    older = store_tree(chunks, origin)
    newer = read_again(chunks, origin, older, time.time_ns() + _LATER_NS)
    assert (newer.digest, newer.totals.read_bytes) == (older.digest, 0)
    assert newer.totals.size_bytes == 70


def test_file_of_another_length_or_time_is_read(origin: Path) -> None:
    chunks = MemoryChunks()
    older = store_tree(chunks, origin)
    status = (origin / "a").stat()
    (origin / "a").write_text("longer than before")
    os.utime(origin / "a", ns=(status.st_mtime_ns, status.st_mtime_ns))
    os.utime(origin / "b" / "f", ns=(1, 1))
    (origin / "b" / "c" / "new").write_text("new")
    newer = read_again(chunks, origin, older, time.time_ns() + _LATER_NS)
    assert newer.totals.read_bytes == len("longer than before") + 10 + len("new")
    assert newer.digest == store_tree(MemoryChunks(), origin).digest


def test_file_that_changed_since_is_read_whatever_its_time_says(origin: Path) -> None:
    """Its time of modification can be set back; that of its inode cannot."""
    chunks = MemoryChunks()
    older = store_tree(chunks, origin)
    status = (origin / "a").stat()
    (origin / "a").write_text("0123456789")
    os.utime(origin / "a", ns=(status.st_mtime_ns, status.st_mtime_ns))
    newer = read_again(chunks, origin, older, time.time_ns() - _LATER_NS)
    assert newer.digest == store_tree(MemoryChunks(), origin).digest


def test_directory_that_came_to_another_ones_place_is_read() -> None:
    """Its files have kept the times of their inodes: that of the directory is what tells."""
    chunks = MemoryChunks()
    entry_time = 1_000
    known = KnownFiles(tree_with_file(chunks, entry_time), 10_000_000_000, chunks.has)
    path = b"d/x"
    assert known(FileState(path, 4, entry_time, 5_000_000_000)) is not None
    assert known(FileState(path, 4, entry_time, 8_000_000_000)) is None


def test_walk_tells_the_latest_change_on_the_way(origin: Path) -> None:
    states: dict[bytes, FileState] = {}

    def note(state: FileState) -> None:
        states[state.path] = state

    (origin / "b").rename(origin / "moved")
    (origin / "moved").rename(origin / "b")
    with opened(origin) as descriptor:
        TreeWalk(MemoryChunks(), refuse, take_over=note).read(descriptor)
    moved_ns = (origin / "b").stat().st_ctime_ns
    assert states[b"b/c/d"].changed_ns == states[b"b/f"].changed_ns == moved_ns
    assert states[b"a"].changed_ns == (origin / "a").stat().st_ctime_ns


def test_damaged_older_tree_is_read_again(origin: Path) -> None:
    chunks = MemoryChunks()
    older = store_tree(chunks, origin)
    chunks.damaged = {FileTree(chunks, older.digest).find(b"b/c").content}
    newer = read_again(chunks, origin, older, time.time_ns() + _LATER_NS)
    assert newer.digest == older.digest
    assert newer.totals.read_bytes == 60


@pytest.mark.parametrize("place", [0, -1])
def test_damaged_content_is_read_again(tmp_path: Path, place: int) -> None:
    """Of a large file each chunk counts, and each node."""
    origin = tmp_path / "origin"
    origin.mkdir()
    (origin / "large").write_bytes(random.Random(1).randbytes(2_000_000))
    (origin / "small").write_text("small")
    chunks = MemoryChunks()
    older = store_tree(chunks, origin)
    large = FileTree(chunks, older.digest).find(b"large")
    content = [chunk for chunk, kind in chunks.puts if kind is BlobKind.DATA]
    later_ns = time.time_ns() + _LATER_NS
    for damaged, read in (
        (content[place], 5 if place else 2_000_000),
        (large.content, 2_000_000),
        (b"", 0),
    ):
        chunks.damaged = {damaged}
        newer = read_again(chunks, origin, older, later_ns)
        assert (newer.digest, newer.totals.read_bytes) == (older.digest, read)


def test_older_tree_is_read_once(origin: Path) -> None:
    chunks = MemoryChunks()
    older = store_tree(chunks, origin)
    chunks.reads.clear()
    read_again(chunks, origin, older, time.time_ns() + _LATER_NS)
    assert len(chunks.reads) == len(set(chunks.reads)) == len(chunks.of_kind(BlobKind.TREE))


def tree_with_file(chunks: MemoryChunks, mtime_ns: int) -> FileTree:
    """A tree with the file `d/x` of four bytes."""
    data = chunks.put(b"data", BlobKind.DATA)
    entry = file_entry(b"x", data, 4)._replace(mtime_ns=mtime_ns)
    inner = put_directory(chunks, entry)
    return FileTree(chunks, put_tree(chunks, put_directory(chunks, directory_entry(b"d", inner))))
