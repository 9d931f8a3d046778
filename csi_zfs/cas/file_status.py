"""What the kernel says of files and directories, as the entries of a tree need it."""

import os

from csi_zfs.cas.api import ZERO_DIGEST
from csi_zfs.cas.tree_entries import Entry, EntryKind

_MODE_MASK = 0o7777
# A pipe that took a file's place must not block.
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def names_in(descriptor: int) -> list[bytes]:
    """The names in an open directory, sorted: each with a NUL and `f`, `d` or `o` for its type.

    A name has no NUL, so that this sorts as the names do; one object for each is least memory.
    """
    with os.scandir(descriptor) as entries:
        return sorted(os.fsencode(entry.name) + _letter(entry) for entry in entries)


def _letter(entry: os.DirEntry[str]) -> bytes:
    if entry.is_file(follow_symlinks=False):
        return b"\0f"
    return b"\0d" if entry.is_dir(follow_symlinks=False) else b"\0o"


def open_file(directory: int, name: bytes) -> int:
    """Open a file to be read, its time of access left as it is where that is allowed."""
    try:
        return os.open(name, _OPEN_FILE | os.O_NOATIME, dir_fd=directory)
    except PermissionError:
        return os.open(name, _OPEN_FILE, dir_fd=directory)


def entry_of(
    name: bytes,
    kind: EntryKind,
    status: os.stat_result,
    attributes: tuple[bytes, bytes],
    *,
    content: tuple[int, bytes, bool] = (0, ZERO_DIGEST, False),
) -> Entry:
    """The entry of what has this status; `content` is its length, digest and whether a node."""
    return Entry(
        name,
        kind,
        status.st_mode & _MODE_MASK,
        status.st_uid,
        status.st_gid,
        status.st_mtime_ns,
        *content,
        *attributes,
    )


def status_of(descriptor: int) -> os.stat_result | None:
    """What the kernel says of an open file; none of one that a remote file system has lost."""
    try:
        return os.fstat(descriptor)
    except OSError:
        return None


def has_changed(before: os.stat_result, descriptor: int) -> bool:
    """Whether an open file is not as it was."""
    after = status_of(descriptor)
    return after is None or (before.st_mtime_ns, before.st_ctime_ns, before.st_size) != (
        after.st_mtime_ns,
        after.st_ctime_ns,
        after.st_size,
    )
