"""Looking into trees: paths, listings, content, differences; and at what cost."""

from pathlib import Path

import pytest

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
