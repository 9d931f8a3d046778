"""Trees of files on a disk: what is there, read by other means than the store's."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from csi_zfs.cas.api import ZERO_DIGEST, BlobKind
from csi_zfs.cas.file_tree import FileTree
from csi_zfs.cas.tree_entries import Entry, EntryKind, encode_entry
from csi_zfs.cas.tree_nodes import Node, NodeType, encode_node
from csi_zfs.cas.tree_reports import Problem
from csi_zfs.cas.tree_root import TreeRoot, write_root
from csi_zfs.cas.unpacking import TreeUnpack
from csi_zfs.cas.walking import StoredTree, TreeWalk
from tests.support.memory_chunks import MemoryChunks

IS_ROOT = os.geteuid() == 0

# All that a tree keeps of one path; and the paths of the same file.
Seen = dict[bytes, tuple[object, ...]]


@contextmanager
def opened(directory: Path) -> Iterator[int]:
    """A descriptor of a directory."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def descriptors() -> int:
    """How many files this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def refuse(problem: Problem) -> None:
    """For trees about which nothing is to be told."""
    raise AssertionError(problem)


def store_tree(
    chunks: MemoryChunks, directory: Path, told: Callable[[Problem], None] = refuse
) -> StoredTree:
    """Read a directory into a store."""
    with opened(directory) as descriptor:
        return TreeWalk(chunks, told).read(descriptor)


def unpack_tree(
    chunks: MemoryChunks,
    digest: bytes,
    directory: Path,
    path: bytes = b"",
    *,
    told: Callable[[Problem], None] = refuse,
    owners: bool = IS_ROOT,
    salvage: bool = False,
) -> TreeUnpack:
    """Write a tree or a part of it into a directory; device nodes too."""
    unpack = TreeUnpack(FileTree(chunks, digest), told, owners, devices=True, salvage=salvage)
    with opened(directory) as descriptor:
        unpack.restore(descriptor, path)
    return unpack


def look(top: Path) -> Seen:
    """What there is in a directory: metadata, content and links of each path; the top is empty."""
    seen: Seen = {b"": _look_at(top)}
    inodes: dict[int, list[bytes]] = {}
    for path in sorted(top.rglob("*")):
        relative = os.fsencode(path.relative_to(top))
        seen[relative] = _look_at(path)
        if not stat.S_ISDIR(path.lstat().st_mode):
            inodes.setdefault(path.lstat().st_ino, []).append(relative)
    for number, paths in enumerate(sorted(inodes.values())):
        seen[b"\0links %d" % number] = tuple(paths)
    return seen


def _look_at(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    names = os.listxattr(path, follow_symlinks=False)
    attributes = {name: os.getxattr(path, name, follow_symlinks=False) for name in names}
    content: object = None
    if stat.S_ISREG(status.st_mode):
        content = path.read_bytes()
    elif stat.S_ISLNK(status.st_mode):
        content = path.readlink()
    owner = (status.st_uid, status.st_gid)
    return status.st_mode, owner, status.st_mtime_ns, status.st_rdev, content, attributes


def file_entry(name: bytes, digest: bytes = ZERO_DIGEST, size: int = 0) -> Entry:
    """An entry of a file, whose content is one chunk or zeros."""
    return Entry(name, EntryKind.FILE, 0o644, 0, 0, 0, size, digest)


def directory_entry(name: bytes, digest: bytes) -> Entry:
    """An entry of a directory."""
    return Entry(name, EntryKind.DIRECTORY, 0o755, 0, 0, 0, content=digest)


def put_directory(chunks: MemoryChunks, *entries: Entry) -> bytes:
    """A directory of one node, with entries that no writer would make or put in this order."""
    body = b"".join(encode_entry(entry) for entry in entries)
    return chunks.put(encode_node(Node(NodeType.DIRECTORY, 0, len(entries), body)), BlobKind.TREE)


def put_tree(
    chunks: MemoryChunks, directory: bytes, *, entry_count: int = 1000, size_bytes: int = 1 << 62
) -> bytes:
    """A tree whose uppermost directory is this one."""
    top = directory_entry(b"", directory)
    return write_root(chunks, TreeRoot(entry_count, size_bytes, top))
