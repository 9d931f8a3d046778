"""Reading directories: what is told, what is left out, what costs nothing twice."""

import os
import random
import socket
import stat
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from csi_zfs.cas import walking
from csi_zfs.cas.api import ZERO_DIGEST, BlobKind, StorageFullError
from csi_zfs.cas.file_tree import FileTree
from csi_zfs.cas.known_files import FileState
from csi_zfs.cas.tree_entries import EntryKind
from csi_zfs.cas.tree_reports import Problem, ProblemKind
from csi_zfs.cas.walking import ReadingFailedError, StoredTree, TreeWalk
from tests.support.file_trees import IS_ROOT, descriptors, opened, refuse, store_tree, unpack_tree
from tests.support.memory_chunks import MemoryChunks
from tests.support.reflink import tmpfs

_KIB = 1024
_MIB = 1024 * _KIB


class BusyChunks(MemoryChunks):
    """Chunks that do something to the tree when the first content is put."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self._meanwhile: list[Callable[[], object]] = [meanwhile]

    def put(self, data: bytes | bytearray | memoryview, kind: BlobKind) -> bytes:
        if kind is BlobKind.DATA and self._meanwhile:
            self._meanwhile.pop()()
        return super().put(data, kind)


def paths_of(chunks: MemoryChunks, tree: StoredTree) -> list[bytes]:
    return [visit.path for visit in FileTree(chunks, tree.digest).walk()]


def store_while(
    directory: Path, meanwhile: Callable[[], object]
) -> tuple[list[bytes], list[tuple[bytes, ProblemKind]]]:
    """The paths that were stored and the problems told while something else goes on."""
    told: list[Problem] = []
    chunks = BusyChunks(meanwhile)
    tree = store_tree(chunks, directory, told.append)
    assert tree.totals.problems == len(told)
    return paths_of(chunks, tree), [(problem.path, problem.kind) for problem in told]


def test_order_of_creation_changes_nothing(tmp_path: Path) -> None:
    """I3: nor does what the directory's own order is."""
    digests = set()
    names = [f"{number:03d}" for number in range(300)]
    for seed in range(3):
        top = tmp_path / str(seed)
        top.mkdir()
        random.Random(seed).shuffle(names)
        for name in names:
            (top / name).write_text(name)
            os.utime(top / name, ns=(0, 0))
        os.utime(top, ns=(0, 0))
        digests.add(store_tree(MemoryChunks(), top).digest)
    assert len(digests) == 1


def test_totals_count_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    (tmp_path / "c").symlink_to("a")
    (tmp_path / "d").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "e"))
    chunks = MemoryChunks()
    tree = store_tree(chunks, tmp_path)
    totals = tree.totals
    assert (totals.files, totals.links, totals.others, totals.directories) == (1, 1, 1, 1)
    assert (totals.sockets, totals.size_bytes, totals.entries) == (1, 5, 4)
    root = FileTree(chunks, tree.digest).root
    assert (root.entry_count, root.size_bytes) == (4, 5)
    assert paths_of(chunks, tree) == [b"a", b"b", b"c", b"d"]


def test_second_reading_stores_nothing(tmp_path: Path) -> None:
    """I6."""
    for number in range(5):
        (tmp_path / str(number)).write_bytes(bytes([number + 1]) * number * 1000)
    chunks = MemoryChunks()
    store_tree(chunks, tmp_path)
    stored = dict(chunks.stored)
    store_tree(chunks, tmp_path)
    assert chunks.stored == stored


def test_zeros_and_holes_store_nothing(tmp_path: Path) -> None:
    """I7: whether they are on the disk or not."""
    (tmp_path / "small").write_bytes(bytes(5000))
    (tmp_path / "dense").write_bytes(bytes(3 * _MIB + 5))
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    chunks = MemoryChunks()
    tree = FileTree(chunks, store_tree(chunks, tmp_path).digest)
    entries = {entry.name: entry for entry in tree.entries(tree.root.top)}
    assert {entry.content for entry in entries.values()} == {ZERO_DIGEST}
    assert entries[b"sparse"].size == 1 << 40
    assert chunks.of_kind(BlobKind.DATA) == set()


def test_hole_and_zeros_on_the_disk_are_the_same_content(tmp_path: Path) -> None:
    data, length = random.Random(1).randbytes(700_000), 9 * _MIB + 12_345
    digests = set()
    for name, gap in (("sparse", b""), ("dense", bytes(length))):
        top = tmp_path / name
        top.mkdir()
        with (top / "file").open("wb") as file:
            file.write(data + gap)
            file.seek(len(data) + length)
            file.write(data)
        chunks = MemoryChunks()
        tree = FileTree(chunks, store_tree(chunks, top).digest)
        digests.add(tree.find(b"file").content)
        assert b"".join(tree.cat(b"file")) == data + bytes(length) + data
    assert len(digests) == 1


def test_change_in_a_large_file_stores_what_is_around_it(tmp_path: Path) -> None:
    file, data = tmp_path / "file", random.Random(2).randbytes(12 * _MIB)
    chunks = MemoryChunks()
    file.write_bytes(data)
    store_tree(chunks, tmp_path)
    before = chunks.plain_bytes(BlobKind.DATA)
    file.write_bytes(data[: 5 * _MIB] + b"inserted" + data[5 * _MIB :])
    store_tree(chunks, tmp_path)
    assert 0 < chunks.plain_bytes(BlobKind.DATA) - before <= 3 * _MIB


def test_file_that_vanishes_is_told(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_text(name)
    paths, told = store_while(tmp_path, (tmp_path / "b").unlink)
    assert paths == [b"a", b"c"]
    assert told == [(b"b", ProblemKind.VANISHED), (b"", ProblemKind.CHANGED)]


def test_directory_that_vanishes_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").mkdir()
    paths, told = store_while(tmp_path, (tmp_path / "b").rmdir)
    assert (paths, told[0]) == ([b"a"], (b"b", ProblemKind.VANISHED))


def test_large_file_that_changes_is_told_and_kept_as_it_was_read(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(random.Random(3).randbytes(10 * _MIB))
    paths, told = store_while(tmp_path, lambda: os.utime(file, ns=(0, 0)))
    assert (paths, told) == ([b"a"], [(b"a", ProblemKind.CHANGED)])


def test_large_file_that_shrinks_is_as_long_as_what_was_read(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(random.Random(4).randbytes(20 * _MIB))
    told: list[Problem] = []
    chunks = BusyChunks(lambda: os.truncate(file, 9 * _MIB))
    tree = FileTree(chunks, store_tree(chunks, tmp_path, told.append).digest)
    assert [problem.kind for problem in told] == [ProblemKind.CHANGED]
    size = tree.find(b"a").size
    assert 8 * _MIB <= size < 20 * _MIB
    assert sum(len(data) for data in tree.cat(b"a")) == size


@pytest.mark.parametrize("kind", ["link", "fifo", "directory"])
def test_file_whose_place_is_taken_is_told_and_not_followed(tmp_path: Path, kind: str) -> None:
    """A fifo does not block, and a link does not lead out."""
    (tmp_path / "secret").write_text("outside")
    top = tmp_path / "top"
    top.mkdir()
    (top / "a").write_text("a")
    (top / "b").write_text("b")

    def replace() -> None:
        (top / "b").unlink()
        if kind == "link":
            (top / "b").symlink_to("../secret")
        elif kind == "fifo":
            os.mkfifo(top / "b")
        else:
            (top / "b").mkdir()

    paths, told = store_while(top, replace)
    assert paths == [b"a"]
    assert told[0][0] == b"b"


def test_directory_whose_place_a_link_takes_is_told_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").mkdir()

    def replace() -> None:
        (tmp_path / "b").rmdir()
        (tmp_path / "b").symlink_to("/etc")

    paths, told = store_while(tmp_path, replace)
    assert (paths, told[0]) == ([b"a"], (b"b", ProblemKind.UNREADABLE))


@pytest.mark.skipif(IS_ROOT, reason="root may read every file")
def test_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "a").chmod(0)
    (tmp_path / "b").mkdir(mode=0)
    told: list[Problem] = []
    chunks = MemoryChunks()
    assert paths_of(chunks, store_tree(chunks, tmp_path, told.append)) == []
    assert [problem.kind for problem in told] == [ProblemKind.UNREADABLE] * 2


def test_what_the_sink_raises_ends_the_walk_and_closes_everything(tmp_path: Path) -> None:
    def fill() -> None:
        raise StorageFullError("full")

    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a").write_text("a")
    before = descriptors()
    with pytest.raises(StorageFullError):
        store_while(tmp_path, fill)
    assert descriptors() == before


def test_what_the_sink_raises_in_another_thread_ends_the_walk(tmp_path: Path) -> None:
    def fill() -> None:
        raise StorageFullError("full")

    (tmp_path / "large").write_bytes(random.Random(5).randbytes(3 * _MIB))
    with ThreadPoolExecutor(2) as executor, opened(tmp_path) as descriptor:
        walk = TreeWalk(BusyChunks(fill), refuse, executor=executor)
        with pytest.raises(StorageFullError):
            walk.read(descriptor)


def test_lack_of_descriptors_ends_the_walk_instead_of_leaving_files_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("a")
    monkeypatch.setattr(walking, "_EXHAUSTED", frozenset({2}))
    (tmp_path / "b").write_text("b")
    with pytest.raises(ReadingFailedError):
        store_while(tmp_path, (tmp_path / "b").unlink)


def test_directories_are_read_to_the_deepest_level_that_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "MOST_LEVELS", 3)
    (tmp_path / "1" / "2" / "3").mkdir(parents=True)
    told: list[Problem] = []
    chunks = MemoryChunks()
    assert paths_of(chunks, store_tree(chunks, tmp_path, told.append)) == [b"1", b"1/2"]
    assert [(problem.path, problem.kind) for problem in told] == [(b"1/2/3", ProblemKind.TOO_DEEP)]


def test_hard_links_are_entries_of_one_file(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x").write_text("content")
    for name in ("e", "f"):
        (tmp_path / name).hardlink_to(tmp_path / "d" / "x")
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.hardlink_to(tmp_path / "d" / "x")
    chunks = MemoryChunks()
    tree = store_tree(chunks, tmp_path)
    links = {visit.path: visit.entry.link_to for visit in FileTree(chunks, tree.digest).walk()}
    assert links == {b"d": b"", b"d/x": b"", b"e": b"d/x", b"f": b"d/x"}
    assert tree.totals.read_bytes == len("content")


def test_content_that_is_known_is_not_read_again(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text(name)
    chunks = MemoryChunks()
    first = store_tree(chunks, tmp_path)
    known = FileTree(chunks, first.digest)
    asked: list[bytes] = []

    def take_over(state: FileState) -> tuple[bytes, bool] | None:
        asked.append(state.path)
        entry = known.find(state.path)
        return (entry.content, entry.has_content_node) if state.path == b"a" else None

    with opened(tmp_path) as descriptor:
        second = TreeWalk(chunks, refuse, take_over=take_over).read(descriptor)
    assert (second.digest, second.totals.read_bytes) == (first.digest, 1)
    assert asked == [b"a", b"b"]


def test_long_attributes_are_shared(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text("")
        os.setxattr(tmp_path / name, "user.long", b"x" * 2000)
    chunks = MemoryChunks()
    tree = FileTree(chunks, store_tree(chunks, tmp_path).digest)
    digests = {entry.attributes_digest for entry in tree.entries(tree.root.top)}
    assert len(digests) == 1
    assert digests != {b""}


def test_top_that_is_no_directory_raises(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    try:
        with pytest.raises(NotADirectoryError):
            TreeWalk(MemoryChunks(), refuse).read(descriptor)
    finally:
        os.close(descriptor)


@pytest.mark.root
@pytest.mark.parametrize("one_file_system", [False, True])
def test_other_file_system_is_left_out_where_that_is_asked_for(
    tmp_path: Path, *, one_file_system: bool
) -> None:
    (tmp_path / "mounted").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "here").write_text("")
    chunks = MemoryChunks()
    with tmpfs(tmp_path / "mounted", "1m") as mounted, opened(tmp_path) as descriptor:
        (mounted / "there").write_text("")
        walk = TreeWalk(chunks, refuse, one_file_system=one_file_system)
        tree = walk.read(descriptor)
    there = [] if one_file_system else [b"mounted/there"]
    assert paths_of(chunks, tree) == [b"mounted", *there, b"other", b"other/here"]


@pytest.mark.deep
def test_directory_of_100_000_files_needs_little_memory(tmp_path: Path) -> None:
    """I15: its names are held, 100 bytes for each; unpacking holds some nodes."""
    origin, copy = tmp_path / "origin", tmp_path / "copy"
    origin.mkdir()
    copy.mkdir()
    for number in range(100_000):
        (origin / f"a name that is not short {number:07d}").touch()
    chunks = MemoryChunks()
    tracemalloc.start()
    tree = store_tree(chunks, origin)
    read_peak = tracemalloc.get_traced_memory()[1] - chunks.plain_bytes(BlobKind.TREE)
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    unpack_tree(chunks, tree.digest, copy)
    unpack_peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert tree.totals.files == 100_000
    assert store_tree(MemoryChunks(), copy).digest == tree.digest
    assert read_peak < 20_000_000
    assert unpack_peak < 2_000_000


@pytest.mark.root
def test_devices_keep_their_numbers(tmp_path: Path) -> None:
    os.mknod(tmp_path / "b", stat.S_IFBLK | 0o600, os.makedev(8, 300_000))
    os.mknod(tmp_path / "c", stat.S_IFCHR | 0o600, os.makedev(4000, 1))
    chunks = MemoryChunks()
    tree = FileTree(chunks, store_tree(chunks, tmp_path).digest)
    block, character = tree.entries(tree.root.top)
    assert (block.kind, block.size) == (EntryKind.BLOCK_DEVICE, 8 << 32 | 300_000)
    assert (character.kind, character.size) == (EntryKind.CHARACTER_DEVICE, 4000 << 32 | 1)
