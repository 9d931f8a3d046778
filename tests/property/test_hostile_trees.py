"""Nodes with any bytes in them: they are refused or read, with errors of the store alone."""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from csi_zfs.cas.api import BlobKind
from csi_zfs.cas.file_tree import FileTree
from csi_zfs.cas.image_diff import diff_images
from csi_zfs.cas.image_tree import ImageTree, ImageTreeReader
from csi_zfs.cas.image_writer import ImageTreeWriter
from csi_zfs.cas.tree_diff import diff_trees
from csi_zfs.cas.tree_marking import file_tree_nodes
from csi_zfs.domain.errors import CorruptionError, UnsupportedError
from tests.support.file_trees import store_tree, unpack_tree
from tests.support.image_trees import digest_of, write_image
from tests.support.memory_chunks import MemoryChunks, first_time

# What reading a store may raise: what is stored is damaged, or of a version that comes later.
_EXPECTED = (CorruptionError, UnsupportedError)


@cache
def a_tree() -> tuple[MemoryChunks, bytes]:
    """A small tree with something of every kind in it."""
    with tempfile.TemporaryDirectory() as top:
        return make_tree(Path(top))


def make_tree(top: Path) -> tuple[MemoryChunks, bytes]:
    (top / "d" / "e").mkdir(parents=True)
    (top / "d" / "x").write_bytes(b"content")
    (top / "d" / "e" / "y").hardlink_to(top / "d" / "x")
    (top / "large").write_bytes(b"\1" * 1_200_000 + bytes(200_000))
    (top / "link").symlink_to("../outside")
    os.mkfifo(top / "pipe")
    os.setxattr(top / "d", "user.short", b"value")
    os.setxattr(top / "d" / "x", "user.long", b"x" * 2000)
    chunks = MemoryChunks()
    return chunks, store_tree(chunks, top).digest


@cache
def an_image() -> tuple[MemoryChunks, ImageTree]:
    """An image of four levels."""
    chunks = MemoryChunks()
    content = {index: digest_of(index + 1) for index in range(70)}
    return chunks, write_image(chunks, content, 100)


@st.composite
def damaged(draw: st.DrawFn, make: Callable[[], tuple[MemoryChunks, object]]) -> MemoryChunks:
    """A copy of some chunks of which one node has other bytes; digests are not checked."""
    chunks, copy = make()[0], MemoryChunks()
    copy.stored = dict(chunks.stored)
    places = sorted(place for place in chunks.stored if place[1] is BlobKind.TREE)
    place = draw(st.sampled_from(places))
    data = bytearray(chunks.stored[place])
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data) - 1))
        other = draw(st.one_of(st.binary(min_size=1, max_size=8), st.just(b"\xff" * 4)))
        data[start : start + len(other)] = other
    copy.stored[place] = bytes(data[: draw(st.one_of(st.just(len(data)), st.integers(0, 200)))])
    # One node in the place of another one.
    if draw(st.integers(0, 3)) == 0:
        copy.stored[place] = chunks.stored[draw(st.sampled_from(places))]
    return copy


@given(chunks=damaged(a_tree), salvage=st.booleans())
def test_damaged_tree_is_refused_or_unpacked_where_it_belongs(
    chunks: MemoryChunks, *, salvage: bool
) -> None:
    """C7: nothing is ever written beside the directory to unpack into."""
    with tempfile.TemporaryDirectory() as top:
        target = Path(top) / "a" / "target"
        target.mkdir(parents=True)
        (Path(top) / "a" / "outside").write_text("mine")
        with suppress(*_EXPECTED):
            unpack_tree(chunks, a_tree()[1], target, told=lambda _: None, salvage=salvage)
        beside = [path.name for path in Path(top).iterdir()]
        assert beside + sorted(path.name for path in target.parent.iterdir()) == [
            "a",
            "outside",
            "target",
        ]
        assert (target.parent / "outside").read_text() == "mine"
        assert (target.parent / "outside").stat().st_nlink == 1


@given(damaged(a_tree))
def test_damaged_tree_is_walked_compared_and_marked_with_errors_of_the_store(
    chunks: MemoryChunks,
) -> None:
    whole, digest = a_tree()
    with suppress(*_EXPECTED):
        list(file_tree_nodes(chunks, digest, first_time()))
    with suppress(*_EXPECTED):
        list(diff_trees(FileTree(whole, digest), FileTree(chunks, digest)))
    with suppress(*_EXPECTED):
        list(FileTree(chunks, digest).walk())


@given(damaged(an_image))
def test_damaged_image_is_read_compared_and_changed_with_errors_of_the_store(
    chunks: MemoryChunks,
) -> None:
    stored, image = an_image()
    reader, whole = ImageTreeReader(chunks, image), ImageTreeReader(stored, image)
    with suppress(*_EXPECTED):
        assert all(0 <= index < 100 for index, _ in reader.chunks())
        assert all(0 <= index < 100 for index, _, _ in diff_images(whole, reader))
        list(reader.nodes(first_time()))
        for count in (10, 400):
            writer = ImageTreeWriter(chunks, count, base=reader)
            writer.put(7, digest_of(9999))
            writer.finish()
