"""Looking into trees: paths, listings, content, differences; and at what cost."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from csi_zfs.cas import nodes_ahead
from csi_zfs.cas.api import BlobKind, StoreCorruptError
from csi_zfs.cas.directories import DirectoryWriter
from csi_zfs.cas.directory_diff import diff_directories
from csi_zfs.cas.file_tree import FileTree, NotAFileError, PathNotFoundError
from csi_zfs.cas.tree_diff import ChangeKind, diff_trees
from csi_zfs.cas.tree_marking import file_tree_nodes
from csi_zfs.cas.tree_nodes import Node, NodeType, encode_node, encode_reference
from tests.support.file_trees import (
    directory_entry,
    file_entry,
    put_directory,
    put_tree,
    store_tree,
)
from tests.support.memory_chunks import MemoryChunks, first_time

_A = b"a" * 32


def large_directory(chunks: MemoryChunks, *, changed: int = -1, without: int = -1) -> bytes:
    writer = DirectoryWriter(chunks)
    for number in range(20_000):
        if number != without:
            writer.add(file_entry(b"%05d" % number, size=number == changed))
    return writer.finish()


@pytest.fixture
def tree(tmp_path: Path) -> FileTree:
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "b" / "file").write_text("content")
    (tmp_path / "b-").write_text("")
    (tmp_path / "link").symlink_to("b")
    chunks = MemoryChunks()
    return FileTree(chunks, store_tree(chunks, tmp_path).digest)


def test_walk_goes_into_a_directory_after_its_entry(tree: FileTree) -> None:
    assert [(visit.level, visit.path) for visit in tree.walk()] == [
        (1, b"b"),
        (2, b"b/c"),
        (2, b"b/file"),
        (1, b"b-"),
        (1, b"link"),
    ]
    assert [visit.path for visit in tree.walk(b"b")] == [b"b/c", b"b/file"]
    assert list(tree.walk(b"b/file")) == []


class CountingChunks(MemoryChunks):
    """Counts how often something is asked for, not how much."""

    requests = 0

    def get(self, digest: bytes, kind: BlobKind) -> bytes:
        self.requests += 1
        return super().get(digest, kind)

    def get_many(self, digests: Sequence[bytes], kind: BlobKind) -> Iterator[bytes]:
        self.requests += 1
        return (MemoryChunks.get(self, digest, kind) for digest in digests)


def wide_tree(chunks: MemoryChunks, width: int) -> bytes:
    """Directories with a file of another name in each."""
    outer = DirectoryWriter(chunks)
    for number in range(width):
        inner = put_directory(chunks, file_entry(b"%d" % number))
        outer.add(directory_entry(b"%05d" % number, inner))
    return put_tree(chunks, outer.finish(), entry_count=2 * width)


def test_walk_asks_for_many_directories_at_once() -> None:
    chunks = CountingChunks()
    tree = FileTree(chunks, wide_tree(chunks, 1000))
    chunks.requests = 0
    assert sum(1 for _ in tree.walk()) == 2000
    assert chunks.requests <= 10


def test_walk_keeps_little_of_what_it_reads_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes_ahead, "_MOST_BYTES", 500)
    chunks = CountingChunks()
    tree = FileTree(chunks, wide_tree(chunks, 200))
    chunks.requests = 0
    assert sum(1 for _ in tree.walk()) == 400
    assert chunks.requests > 150


def test_damaged_directory_is_lost_alone() -> None:
    """Neither those that were asked for with it, nor what comes before a damaged node."""
    chunks = MemoryChunks()
    tree = FileTree(chunks, wide_tree(chunks, 1000))
    chunks.damaged = {tree.find(b"00123").content}
    lost: list[bytes] = []
    found = [visit.path for visit in tree.walk(lost=lambda path, _: lost.append(path))]
    assert lost == [b"00123"]
    assert len(found) == 1999
    leaves = [digest for digest, _ in chunks.puts[-5:-2]]
    chunks.damaged = {leaves[-1]}
    lost.clear()
    found = [visit.path for visit in tree.walk(lost=lambda path, _: lost.append(path))]
    assert lost == [b""]
    assert 1000 < len(found) < 2000
    assert found[-1].endswith(b"/%d" % (len(found) // 2 - 1))


def test_path_is_found_without_following_links(tree: FileTree) -> None:
    assert tree.find(b"").is_directory
    assert tree.find(b"b/file").size == len("content")
    assert tree.find(b"link").target == b"b"
    with pytest.raises(PathNotFoundError, match="link/file"):
        tree.find(b"link/file")


def test_content_of_a_file_is_printed(tree: FileTree) -> None:
    assert b"".join(tree.cat(b"b/file")) == b"content"
    assert b"".join(tree.cat(b"b-")) == b""


@pytest.mark.parametrize(
    ("path", "kind"), [(b"b", "directory"), (b"link", "symlink"), (b"", "directory")]
)
def test_what_is_no_file_is_not_printed(tree: FileTree, path: bytes, kind: str) -> None:
    with pytest.raises(NotAFileError, match=kind):
        tree.cat(path)


def test_tree_that_is_no_tree_is_corrupt() -> None:
    chunks = MemoryChunks()
    with pytest.raises(StoreCorruptError, match="not ROOT"):
        FileTree(chunks, put_directory(chunks, file_entry(b"x")))


def test_entry_of_a_large_directory_is_found_in_one_node_of_each_level() -> None:
    chunks = MemoryChunks()
    tree = FileTree(chunks, put_tree(chunks, large_directory(chunks)))
    chunks.reads.clear()
    assert tree.find(b"12345").name == b"12345"
    assert len(chunks.reads) == 2


@pytest.mark.parametrize("what", ["changed", "without"])
def test_change_in_a_large_directory_writes_and_reads_few_nodes(what: str) -> None:
    chunks = MemoryChunks()
    old = put_tree(chunks, large_directory(chunks))
    before = len(chunks.stored)
    new = put_tree(chunks, large_directory(chunks, **{what: 12_345}))
    assert len(chunks.stored) - before <= 5
    chunks.reads.clear()
    changes = list(diff_trees(FileTree(chunks, old), FileTree(chunks, new)))
    kind = ChangeKind.CONTENT if what == "changed" else ChangeKind.REMOVED
    assert [(change.path, change.kind) for change in changes] == [(b"12345", kind)]
    assert len(chunks.reads) <= 12


def test_equal_trees_are_not_read() -> None:
    chunks = MemoryChunks()
    digest = put_tree(chunks, large_directory(chunks))
    old, new = FileTree(chunks, digest), FileTree(chunks, digest)
    chunks.reads.clear()
    assert list(diff_trees(old, new)) == []
    assert chunks.reads == []


def test_whole_directories_that_came_and_went_are_told_path_by_path() -> None:
    chunks = MemoryChunks()
    inner = put_directory(chunks, file_entry(b"x"))
    old = put_tree(chunks, put_directory(chunks, directory_entry(b"a", inner), file_entry(b"b")))
    new = put_tree(chunks, put_directory(chunks, file_entry(b"a"), directory_entry(b"b", inner)))
    changes = list(diff_trees(FileTree(chunks, old), FileTree(chunks, new)))
    assert [(change.path, str(change.kind)) for change in changes] == [
        (b"a", "removed"),
        (b"a", "added"),
        (b"a/x", "removed"),
        (b"b", "removed"),
        (b"b", "added"),
        (b"b/x", "added"),
    ]


def test_diff_of_directories_in_one_another_without_end_is_refused() -> None:
    chunks = MemoryChunks()
    digest = bytes(32)
    for _ in range(600):
        digest = put_directory(chunks, directory_entry(b"d", digest))
    deep = FileTree(chunks, put_tree(chunks, digest))
    flat = FileTree(chunks, put_tree(chunks, bytes(32)))
    with pytest.raises(StoreCorruptError, match="too deep"):
        list(diff_trees(flat, deep))


def put_upper(chunks: MemoryChunks, *references: tuple[bytes, bytes]) -> bytes:
    body = b"".join(encode_reference(name, digest) for name, digest in references)
    node = Node(NodeType.DIRECTORY, 1, len(references), body)
    return chunks.put(encode_node(node), BlobKind.TREE)


def test_diff_with_a_directory_out_of_order_is_refused() -> None:
    chunks = MemoryChunks()
    one = put_directory(chunks, file_entry(b"a"), file_entry(b"z"))
    two = put_directory(chunks, file_entry(b"c"))
    other = put_directory(chunks, file_entry(b"y"))
    for hostile, words in (
        (put_upper(chunks, (b"a", one), (b"c", two)), "after b'z'"),
        (put_upper(chunks, (b"b", one)), "another than b'b'"),
        (put_upper(chunks, (b"a", put_upper(chunks, (b"a", one)))), "not DIRECTORY"),
    ):
        with pytest.raises(StoreCorruptError, match=words):
            list(diff_directories((chunks, hostile), (chunks, other)))


def test_marking_ends_at_what_was_seen_before() -> None:
    chunks = MemoryChunks()
    is_new = first_time()
    data = chunks.put(b"data", BlobKind.DATA)
    first = put_tree(chunks, put_directory(chunks, file_entry(b"x", data, 4)))
    second = put_tree(chunks, put_directory(chunks, file_entry(b"x", data, 4)), entry_count=7)
    assert [node.chunks for node in file_tree_nodes(chunks, first, is_new)] == [[], [data]]
    assert [node.digest for node in file_tree_nodes(chunks, second, is_new)] == [second]
    assert list(file_tree_nodes(chunks, second, is_new)) == []
