"""Trees of files against the disk and against dictionaries: I2, I3 and I5 of the chunk store."""

import random
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from csi_zfs.cas.api import BlobKind
from csi_zfs.cas.directories import DirectoryWriter, find_entry, read_directory
from csi_zfs.cas.file_content import ContentWriter, read_content
from csi_zfs.cas.file_tree import FileTree
from csi_zfs.cas.tree_diff import ChangeKind, diff_trees
from csi_zfs.cas.tree_entries import Entry
from csi_zfs.cas.tree_marking import file_tree_nodes
from tests.support.file_trees import (
    directory_entry,
    file_entry,
    look,
    put_tree,
    store_tree,
    unpack_tree,
)
from tests.support.memory_chunks import MemoryChunks, first_time
from tests.support.random_trees import change_directory, fill_directory

_KIB = 1024
_MIB = 1024 * _KIB


@contextmanager
def directories(count: int) -> Iterator[list[Path]]:
    """New directories, for one example."""
    with tempfile.TemporaryDirectory() as top:
        paths = [Path(top) / str(number) for number in range(count)]
        for path in paths:
            path.mkdir()
        yield paths


@given(st.data())
def test_tree_that_is_unpacked_is_the_one_that_was_read(data: st.DataObject) -> None:
    """I2: to every byte, link, time, owner and attribute; and its digest is the same (I3)."""
    chunks = MemoryChunks()
    with directories(2) as (origin, copy):
        fill_directory(origin, data, [])
        tree = store_tree(chunks, origin)
        unpacked = unpack_tree(chunks, tree.digest, copy).totals
        assert look(copy) == look(origin)
        assert store_tree(MemoryChunks(), copy).digest == tree.digest
        assert store_tree(MemoryChunks(), origin).digest == tree.digest
        assert unpacked.entries == tree.totals.entries
        assert unpacked.size_bytes == tree.totals.size_bytes


@given(st.data())
def test_marking_finds_all_that_was_stored_once(data: st.DataObject) -> None:
    chunks = MemoryChunks()
    with directories(1) as (origin,):
        fill_directory(origin, data, [])
        tree = store_tree(chunks, origin)
    nodes = list(file_tree_nodes(chunks, tree.digest, first_time()))
    assert sorted(node.digest for node in nodes) == sorted(chunks.of_kind(BlobKind.TREE))
    assert {chunk for node in nodes for chunk in node.chunks} == chunks.of_kind(BlobKind.DATA)


@given(st.data())
def test_diff_of_trees_is_what_differs_path_by_path(data: st.DataObject) -> None:
    """I5: against the walks of both trees as dictionaries."""
    chunks = MemoryChunks()
    with directories(1) as (origin,):
        fill_directory(origin, data, [])
        old = FileTree(chunks, store_tree(chunks, origin).digest)
        change_directory(origin, data)
        new = FileTree(chunks, store_tree(chunks, origin).digest)
    olds = {visit.path: visit.entry for visit in old.walk()} | {b"": old.root.top}
    news = {visit.path: visit.entry for visit in new.walk()} | {b"": new.root.top}
    expected = sorted(
        (path, kind)
        for path in olds.keys() | news.keys()
        for kind in kinds_of(olds.get(path), news.get(path))
    )
    assert sorted((change.path, change.kind) for change in diff_trees(old, new)) == expected


def kinds_of(old: Entry | None, new: Entry | None) -> list[ChangeKind]:
    """How a path differs, said once more."""
    if old is None or new is None or old.kind != new.kind:
        removed = [ChangeKind.REMOVED] if old is not None else []
        return removed + ([ChangeKind.ADDED] if new is not None else [])
    if not old.is_directory:
        contents = [(entry.size, entry.content, entry.target) for entry in (old, new)]
        if contents[0] != contents[1]:
            return [ChangeKind.CONTENT]
    same = old._replace(content=b"") == new._replace(content=b"")
    return [] if same else [ChangeKind.METADATA]


@settings(max_examples=settings().max_examples // 4)
@given(st.integers(0, 3000), st.randoms(use_true_random=False), st.data())
def test_directory_of_any_size_is_read_searched_and_changed(
    count: int, rng: random.Random, data: st.DataObject
) -> None:
    names = sorted({b"%d" % rng.randrange(100_000) for _ in range(count)})
    chunks = MemoryChunks()
    writer = DirectoryWriter(chunks)
    for name in names:
        writer.add(file_entry(name))
    digest = writer.finish()
    assert [entry.name for entry in read_directory(chunks, digest)] == names
    for name in [*names[:3], *names[-3:], *rng.sample(names, min(len(names), 20))]:
        found = find_entry(chunks, digest, name)
        assert found is not None
        assert found.name == name
    assert find_entry(chunks, digest, b"absent") is None
    if names:
        gone = data.draw(st.sampled_from(names))
        nodes = len(chunks.stored)
        less = DirectoryWriter(chunks)
        for name in names:
            if name != gone:
                less.add(file_entry(name))
        less.finish()
        assert len(chunks.stored) - nodes <= 2 + nodes // 2


_RUNS = st.lists(
    st.tuples(st.booleans(), st.integers(1, 40)).map(
        lambda run: (bytes if run[0] else random.Random(run[1]).randbytes)(run[1] * 50_000)
    ),
    max_size=4,
).map(b"".join)


@settings(max_examples=settings().max_examples // 4)
@given(_RUNS, st.sampled_from([64 * _KIB, 192 * _KIB, 4 * _MIB]))
def test_content_of_a_file_depends_on_its_bytes_alone(content: bytes, step: int) -> None:
    """In whatever pieces it is read and by how many threads, zeros as holes or as bytes."""
    chunks = MemoryChunks()
    with ThreadPoolExecutor(2) as executor:
        whole, pieces = ContentWriter(chunks), ContentWriter(chunks, executor)
        digest = write_both(whole, pieces, content, step)
    is_node = any(content)
    entry = file_entry(b"x", digest, len(content))._replace(has_content_node=is_node)
    read = bytearray(len(content))
    for offset, data in read_content(chunks, entry):
        read[offset : offset + len(data)] = data
    assert read == content
    top = put_directory_with(chunks, entry)
    assert b"".join(FileTree(chunks, top).cat(b"d/x")) == content


def write_both(whole: ContentWriter, pieces: ContentWriter, content: bytes, step: int) -> bytes:
    """Write a file in one piece and in several; the digest of both."""
    if content:
        whole.add(content)
    for start in range(0, len(content), step):
        piece = content[start : start + step]
        if not any(piece):
            pieces.add_zeros(len(piece))
        else:
            pieces.add(piece)
    digest = whole.finish()
    assert pieces.finish() == digest
    return digest


def put_directory_with(chunks: MemoryChunks, entry: Entry) -> bytes:
    """A tree with one directory, `d`, that has this entry."""
    inner, outer = DirectoryWriter(chunks), DirectoryWriter(chunks)
    inner.add(entry)
    outer.add(directory_entry(b"d", inner.finish()))
    return put_tree(chunks, outer.finish())
