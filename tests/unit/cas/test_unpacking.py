"""Unpacking trees: nothing outside, nothing over anything, and what goes wrong is told."""

import os
import random
import resource
import stat
from pathlib import Path

import pytest

from csi_zfs.cas.api import BlobKind, ChunkCorruptError, StoreCorruptError
from csi_zfs.cas.file_tree import FileTree, PathNotFoundError
from csi_zfs.cas.file_writing import DestinationFullError
from csi_zfs.cas.tree_entries import Entry, EntryKind
from csi_zfs.cas.tree_reports import Problem, ProblemKind
from csi_zfs.cas.unpacking import DestinationNotEmptyError, TreeUnpack
from tests.support.file_trees import (
    IS_ROOT,
    descriptors,
    directory_entry,
    file_entry,
    look,
    opened,
    put_directory,
    put_tree,
    refuse,
    store_tree,
    unpack_tree,
)
from tests.support.memory_chunks import MemoryChunks
from tests.support.reflink import tmpfs

_MIB = 1024 * 1024


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "target"
    path.mkdir()
    return path


def unpack_told(
    chunks: MemoryChunks, digest: bytes, directory: Path, *, salvage: bool = False
) -> list[tuple[bytes, ProblemKind]]:
    """What is told while a tree is unpacked as root would."""
    told: list[Problem] = []
    unpack_tree(chunks, digest, directory, told=told.append, salvage=salvage)
    return [(problem.path, problem.kind) for problem in told]


def small_tree(top: Path) -> Path:
    (top / "d" / "e").mkdir(parents=True)
    (top / "a").write_text("a")
    (top / "d" / "x").write_text("x")
    (top / "d" / "e" / "y").hardlink_to(top / "d" / "x")
    (top / "z").hardlink_to(top / "d" / "x")
    return top


@pytest.mark.parametrize("name", [b"..", b".", b"", b"/etc/x", b"../outside", b"a/b", b"a\0b"])
def test_hostile_name_is_refused_and_nothing_is_written(
    tmp_path: Path, target: Path, name: bytes
) -> None:
    """C7: in a node with good entries before it too."""
    chunks = MemoryChunks()
    data = chunks.put(b"data", BlobKind.DATA)
    bad = put_directory(chunks, file_entry(name, data, 4))
    digest = put_tree(chunks, put_directory(chunks, directory_entry(b"d", bad)))
    with pytest.raises(StoreCorruptError):
        unpack_tree(chunks, digest, target)
    assert [os.fsdecode(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] in (
        ["target"],
        ["target", "target/d"],
    )


def test_entry_behind_a_link_is_not_written_through_it(tmp_path: Path, target: Path) -> None:
    """C7: a name cannot come twice, first as a link and then as a directory."""
    chunks = MemoryChunks()
    outside = tmp_path / "outside"
    outside.mkdir()
    data = chunks.put(b"data", BlobKind.DATA)
    link = Entry(b"d", EntryKind.SYMLINK, 0o777, 0, 0, 0, target=os.fsencode(outside))
    inner = put_directory(chunks, file_entry(b"x", data, 4))
    digest = put_tree(chunks, put_directory(chunks, link, directory_entry(b"d", inner)))
    with pytest.raises(StoreCorruptError):
        unpack_tree(chunks, digest, target)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("link_to", [b"d/secret", b"d"])
def test_hard_link_leads_to_nothing_outside_nor_to_directories(
    tmp_path: Path, target: Path, link_to: bytes
) -> None:
    """C7: not through a symbolic link either, which the tree made before."""
    (tmp_path / "secret").write_text("secret")
    chunks = MemoryChunks()
    link = Entry(b"d", EntryKind.SYMLINK, 0o777, 0, 0, 0, target=b"..")
    entries = [file_entry(b"x")._replace(link_to=link_to)]
    entries.insert(0, directory_entry(b"d", bytes(32)) if link_to == b"d" else link)
    digest = put_tree(chunks, put_directory(chunks, *entries))
    assert unpack_told(chunks, digest, target) == [(b"x", ProblemKind.LEFT_OUT)]
    assert [path.name for path in target.iterdir()] == ["d"]
    assert (tmp_path / "secret").stat().st_nlink == 1


@pytest.mark.parametrize("link_to", [b"b", b"absent", b"absent/b"])
def test_hard_link_whose_file_is_not_there_is_the_file(target: Path, link_to: bytes) -> None:
    chunks = MemoryChunks()
    data = chunks.put(b"data", BlobKind.DATA)
    entries = [file_entry(name, data, 4)._replace(link_to=link_to) for name in (b"a", b"c")]
    entries.insert(1, file_entry(b"b", data, 4))
    digest = put_tree(chunks, put_directory(chunks, *entries))
    assert unpack_told(chunks, digest, target) == []
    assert {path.name: path.read_text() for path in target.iterdir()} == dict.fromkeys(
        "abc", "data"
    )
    assert (target / "a").samefile(target / "c")
    assert not (target / "a").samefile(target / "b")


def test_depth_bomb_is_refused(target: Path) -> None:
    """Directories in one another without end are few bytes in a store."""
    chunks = MemoryChunks()
    digest = bytes(32)
    for _ in range(600):
        digest = put_directory(chunks, directory_entry(b"d", digest))
    with pytest.raises(StoreCorruptError, match="more in it"):
        unpack_tree(chunks, put_tree(chunks, digest), target)


def test_tree_that_is_wider_than_it_says_is_refused(target: Path) -> None:
    """The same node ten times on each of many levels is few bytes in a store."""
    chunks = MemoryChunks()
    digest = bytes(32)
    for _ in range(12):
        entries = [directory_entry(b"%d" % number, digest) for number in range(10)]
        digest = put_directory(chunks, *entries)
    with pytest.raises(StoreCorruptError, match="more in it"):
        unpack_tree(chunks, put_tree(chunks, digest, entry_count=50), target)
    assert sum(1 for _ in target.rglob("*")) <= 50


def test_tree_with_more_bytes_than_it_says_is_refused(target: Path) -> None:
    chunks = MemoryChunks()
    data = chunks.put(b"data", BlobKind.DATA)
    entries = [file_entry(b"%d" % number, data, 4) for number in range(3)]
    digest = put_tree(chunks, put_directory(chunks, *entries), size_bytes=11)
    with pytest.raises(StoreCorruptError, match="more bytes"):
        unpack_tree(chunks, digest, target)


def test_content_of_another_length_than_said_is_refused(target: Path) -> None:
    chunks = MemoryChunks()
    data = chunks.put(b"data", BlobKind.DATA)
    digest = put_tree(chunks, put_directory(chunks, file_entry(b"x", data, 3)))
    with pytest.raises(StoreCorruptError, match="has 4 bytes, not 3"):
        unpack_tree(chunks, digest, target)


def test_directory_with_something_in_it_is_left_as_it_is(tmp_path: Path, target: Path) -> None:
    chunks = MemoryChunks()
    tree = store_tree(chunks, small_tree(tmp_path / "origin"))
    (target / "mine").write_text("mine")
    before = look(target)
    with pytest.raises(DestinationNotEmptyError):
        unpack_tree(chunks, tree.digest, target)
    assert look(target) == before


def test_new_file_system_counts_as_empty(tmp_path: Path, target: Path) -> None:
    origin = tmp_path / "origin"
    (origin / "lost+found").mkdir(parents=True)
    (origin / "lost+found" / "#1").write_text("found")
    (target / "lost+found").mkdir()
    chunks = MemoryChunks()
    unpack_tree(chunks, store_tree(chunks, origin).digest, target)
    assert look(target) == look(origin)


def test_file_that_is_there_is_not_written_over(tmp_path: Path, target: Path) -> None:
    chunks = MemoryChunks()
    tree = store_tree(chunks, small_tree(tmp_path / "origin"))
    (target / "a").write_text("mine")
    told: list[Problem] = []
    unpack_tree(chunks, tree.digest, target, b"a", told=told.append)
    assert [problem.kind for problem in told] == [ProblemKind.LEFT_OUT]
    assert (target / "a").read_text() == "mine"


def test_one_directory_is_unpacked_with_links_to_files_outside(
    tmp_path: Path, target: Path
) -> None:
    origin = tmp_path / "origin"
    (origin / "b").mkdir(parents=True)
    (origin / "a").write_text("content")
    for name in ("1", "2"):
        (origin / "b" / name).hardlink_to(origin / "a")
    chunks = MemoryChunks()
    tree = store_tree(chunks, origin)
    unpack_tree(chunks, tree.digest, target, b"b")
    assert (target / "1").read_text() == "content"
    assert (target / "1").samefile(target / "2")
    assert (target / "1").stat().st_nlink == 2


def test_one_file_is_unpacked_alone(tmp_path: Path, target: Path) -> None:
    chunks = MemoryChunks()
    tree = store_tree(chunks, small_tree(tmp_path / "origin"))
    unpack_tree(chunks, tree.digest, target, b"z")
    assert {path.name: path.read_text() for path in target.iterdir()} == {"z": "x"}


def test_links_within_a_directory_that_is_unpacked_alone_stay_links(
    tmp_path: Path, target: Path
) -> None:
    chunks = MemoryChunks()
    tree = store_tree(chunks, small_tree(tmp_path / "origin"))
    unpack_tree(chunks, tree.digest, target, b"d")
    assert (target / "e" / "y").samefile(target / "x")


@pytest.mark.parametrize("path", [b"absent", b"a/b", b"d/absent", b"/", b"d/", b".."])
def test_path_that_is_not_there_is_not_found(tmp_path: Path, target: Path, path: bytes) -> None:
    chunks = MemoryChunks()
    tree = store_tree(chunks, small_tree(tmp_path / "origin"))
    with pytest.raises(PathNotFoundError):
        unpack_tree(chunks, tree.digest, target, path)


def test_holes_are_kept_and_zeros_become_holes(tmp_path: Path, target: Path) -> None:
    origin = tmp_path / "origin"
    origin.mkdir()
    with (origin / "sparse").open("wb") as file:
        file.seek(64 * _MIB)
        file.write(b"end")
        file.truncate(128 * _MIB)
    (origin / "dense").write_bytes(b"x" * 4096 + bytes(500_000) + b"y")
    chunks = MemoryChunks()
    unpack_tree(chunks, store_tree(chunks, origin).digest, target)
    assert look(target) == look(origin)
    assert (target / "sparse").stat().st_blocks * 512 < _MIB
    assert (target / "dense").stat().st_blocks * 512 < 100_000


def test_large_file_comes_back(tmp_path: Path, target: Path) -> None:
    origin = tmp_path / "origin"
    origin.mkdir()
    parts = [random.Random(1).randbytes(3 * _MIB + 1), bytes(300_000), b"end"]
    (origin / "file").write_bytes(b"".join(parts))
    chunks = MemoryChunks()
    unpack_tree(chunks, store_tree(chunks, origin).digest, target)
    assert look(target) == look(origin)


def test_damaged_chunk_raises_unless_the_caller_salvages(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    origin.mkdir()
    data = random.Random(2).randbytes(4 * _MIB)
    (origin / "large").write_bytes(data)
    (origin / "small").write_bytes(b"small")
    (origin / "whole").write_bytes(b"whole")
    chunks = MemoryChunks()
    tree = store_tree(chunks, origin)
    of_data = [digest for digest, kind in chunks.puts if kind is BlobKind.DATA]
    chunks.damaged = {of_data[1], of_data[-2]}
    for name in ("strict", "salvaged"):
        (tmp_path / name).mkdir()
    with pytest.raises(ChunkCorruptError):
        unpack_tree(chunks, tree.digest, tmp_path / "strict")
    told = unpack_told(chunks, tree.digest, tmp_path / "salvaged", salvage=True)
    assert told == [(b"large", ProblemKind.DAMAGED), (b"small", ProblemKind.DAMAGED)]
    lost = len(chunks.stored[of_data[1], BlobKind.DATA])
    start = len(chunks.stored[of_data[0], BlobKind.DATA])
    salvaged = (tmp_path / "salvaged" / "large").read_bytes()
    assert salvaged == data[:start] + bytes(lost) + data[start + lost :]
    assert (tmp_path / "salvaged" / "small").read_bytes() == bytes(5)
    assert (tmp_path / "salvaged" / "whole").read_bytes() == b"whole"


def test_damaged_directory_is_told_where_the_caller_salvages(tmp_path: Path, target: Path) -> None:
    chunks = MemoryChunks()
    tree = store_tree(chunks, small_tree(tmp_path / "origin"))
    chunks.damaged = {FileTree(chunks, tree.digest).find(b"d/e").content}
    assert unpack_told(chunks, tree.digest, target, salvage=True) == [(b"d/e", ProblemKind.DAMAGED)]
    assert sorted(path.name for path in target.rglob("*")) == ["a", "d", "e", "x", "z"]
    assert (target / "d" / "x").read_text() == "x"
    assert (target / "d" / "x").samefile(target / "z")


def test_without_roots_rights_nobody_gets_an_owner_or_set_user_id(
    tmp_path: Path, target: Path
) -> None:
    chunks = MemoryChunks()
    entry = file_entry(b"x")._replace(mode=0o6755, uid=12345, gid=12345)
    digest = put_tree(chunks, put_directory(chunks, entry))
    unpack_tree(chunks, digest, target, owners=False)
    status = (target / "x").stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (os.geteuid(), 0o755)


def test_devices_are_left_out_unless_they_are_asked_for(target: Path) -> None:
    """C7."""
    chunks = MemoryChunks()
    device = Entry(b"null", EntryKind.CHARACTER_DEVICE, 0o666, 0, 0, 0, 1 << 32 | 3)
    digest = put_tree(
        chunks, put_directory(chunks, device, device._replace(name=b"zero", link_to=b"null"))
    )
    told: list[Problem] = []
    with opened(target) as descriptor:
        TreeUnpack(FileTree(chunks, digest), told.append, IS_ROOT).restore(descriptor)
    assert [(problem.path, problem.kind) for problem in told] == [
        (b"null", ProblemKind.LEFT_OUT),
        (b"zero", ProblemKind.LEFT_OUT),
    ]
    assert list(target.iterdir()) == []


def test_what_is_below_a_directory_that_cannot_be_made_is_left_out(target: Path) -> None:
    """A name that is too long for the file system."""
    chunks = MemoryChunks()
    inner = put_directory(chunks, file_entry(b"x"), directory_entry(b"y", bytes(32)))
    digest = put_tree(
        chunks,
        put_directory(chunks, directory_entry(b"d" * 300, inner), file_entry(b"e")),
    )
    assert unpack_told(chunks, digest, target) == [(b"d" * 300, ProblemKind.LEFT_OUT)]
    assert [path.name for path in target.iterdir()] == ["e"]


def test_file_that_cannot_be_written_whole_is_left_out_whole(tmp_path: Path, target: Path) -> None:
    origin = tmp_path / "origin"
    origin.mkdir()
    (origin / "large").write_bytes(random.Random(1).randbytes(3 * _MIB))
    (origin / "small").write_bytes(b"small")
    chunks = MemoryChunks()
    tree = store_tree(chunks, origin)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * _MIB, limits[1]))
    try:
        told = unpack_told(chunks, tree.digest, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert told == [(b"large", ProblemKind.LEFT_OUT)]
    assert [path.name for path in target.iterdir()] == ["small"]


def test_directory_that_nobody_may_write_to_is_filled_before(tmp_path: Path, target: Path) -> None:
    origin = small_tree(tmp_path / "origin")
    (origin / "d").chmod(0o555)
    os.utime(origin / "d", ns=(1, 1))
    chunks = MemoryChunks()
    unpack_tree(chunks, store_tree(chunks, origin).digest, target)
    assert look(target) == look(origin)


def test_path_of_any_length_comes_back(tmp_path: Path, target: Path) -> None:
    """Longer than the kernel takes at once, with a hard link at its end."""
    origin = tmp_path / "origin"
    origin.mkdir()
    names = [letter * 250 for letter in "abcdefghijklmnopqrstuvw"]
    descriptors = [os.open(origin, os.O_RDONLY)]
    for name in names:
        os.mkdir(name, dir_fd=descriptors[-1])
        descriptors.append(os.open(name, os.O_RDONLY, dir_fd=descriptors[-1]))
    for name in ("x", "y"):
        os.close(os.open(f"file-{name}", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=descriptors[-1]))
    os.link("file-x", "file-z", src_dir_fd=descriptors[-1], dst_dir_fd=descriptors[-1])
    chunks = MemoryChunks()
    tree = store_tree(chunks, origin)
    unpack_tree(chunks, tree.digest, target)
    assert store_tree(MemoryChunks(), target).digest == tree.digest
    for descriptor in descriptors:
        os.close(descriptor)


@pytest.mark.root
def test_lists_of_access_and_capabilities_come_back(tmp_path: Path, target: Path) -> None:
    """Those of the tree alone: not those that the target hands down."""
    origin = small_tree(tmp_path / "origin")
    acl = bytes.fromhex(
        "0200000001000600ffffffff02000600e803000004000400ffffffff10000600ffffffff20000400ffffffff"
    )
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    os.setxattr(origin / "a", "system.posix_acl_access", acl)
    os.setxattr(origin / "d", "system.posix_acl_default", acl)
    os.setxattr(origin / "d" / "x", "security.capability", capability)
    os.setxattr(origin / "d" / "x", "trusted.note", b"note")
    os.setxattr(target, "system.posix_acl_default", acl)
    chunks = MemoryChunks()
    unpack_tree(chunks, store_tree(chunks, origin).digest, target)
    assert look(target) == look(origin)


@pytest.mark.root
def test_no_room_ends_the_work_with_words(tmp_path: Path, target: Path) -> None:
    origin = tmp_path / "origin"
    origin.mkdir()
    for number in range(4):
        (origin / str(number)).write_bytes(random.Random(number).randbytes(_MIB))
    chunks = MemoryChunks()
    tree = store_tree(chunks, origin)
    before = descriptors()
    with tmpfs(target, "2m"), pytest.raises(DestinationFullError, match="no room"):
        unpack_tree(chunks, tree.digest, target, told=refuse)
    assert descriptors() == before
