"""Making one entry of a tree on a disk: its bytes, and what the kernel keeps beside them."""

import errno
import os
import stat
from collections.abc import Callable, Iterable
from functools import partial

from csi_zfs.cas.file_attributes import Attributes
from csi_zfs.cas.tree_entries import DEVICES, Entry, EntryKind
from csi_zfs.domain.errors import NoSpaceError, UnavailableError
from csi_zfs.system.opening import open_below

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# The kernel takes 4096 bytes at once.
_LONGEST_PATH = 4000
_PAGE_BYTES = 4096
_ZERO_PAGE = bytes(_PAGE_BYTES)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FAILING = frozenset({errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
# Of another owner, these would give away rights.
_RIGHTS_OF_OWNER = stat.S_ISUID | stat.S_ISGID
# Names that a file's owner may set.
_OWNERS_ATTRIBUTES = (b"user.", b"system.posix_acl_")


class DestinationFullError(NoSpaceError):
    """There is no room for the tree; what was written before is whole."""


class DestinationFailedError(UnavailableError):
    """The place where the tree is written fails, or takes no writes."""


def raise_if_fatal(exc: OSError) -> None:
    """Raise for what every other entry would meet too."""
    if exc.errno in _FULL:
        raise DestinationFullError(f"no room is left where the tree is written: {exc}") from exc
    if exc.errno in _FAILING:
        raise DestinationFailedError(f"the tree cannot be written there: {exc}") from exc


def create_file(directory: int, name: bytes) -> int:
    """A new file in an open directory, for its owner only; raises `OSError` where there is one."""
    return os.open(name, _NEW_FILE, 0o600, dir_fd=directory)


def forget_default_acl(directory: int) -> None:
    """Let new files have the access control lists of the tree alone."""
    try:
        os.removexattr(directory, "system.posix_acl_default")
    except OSError as exc:
        if exc.errno not in {errno.ENODATA, errno.ENOTSUP}:
            raise


def make_special(directory: int, entry: Entry) -> None:
    """A new fifo or device node in an open directory."""
    mode, device = stat.S_IFIFO, 0
    if entry.kind in DEVICES:
        is_block = entry.kind is EntryKind.BLOCK_DEVICE
        mode = stat.S_IFBLK if is_block else stat.S_IFCHR
        device = os.makedev(entry.size >> 32, entry.size & 0xFFFFFFFF)
    os.mknod(entry.name, mode | 0o600, device, dir_fd=directory)


def open_deep(directory: int, path: bytes) -> int:
    """Open a directory below an open one, however long its path; links raise `OSError`."""
    descriptor = os.open(".", _OPEN_DIRECTORY, dir_fd=directory)
    while path:
        cut = path.rfind(b"/", 0, _LONGEST_PATH) if len(path) > _LONGEST_PATH else len(path)
        try:
            below = open_below(descriptor, os.fsdecode(path[:cut]), _OPEN_DIRECTORY)
        finally:
            os.close(descriptor)
        descriptor, path = below, path[cut + 1 :]
    return descriptor


def write_content(descriptor: int, size: int, pieces: Iterable[tuple[int, bytes]]) -> int:
    """Write a new file of this size; pages of zeros become holes.  Returns the bytes written."""
    end = written = 0
    for offset, data in pieces:
        for start, stop in _runs_of_data(offset, data):
            _write_at(descriptor, memoryview(data)[start:stop], offset + start)
            end = offset + stop
            written += stop - start
    if end < size:
        os.ftruncate(descriptor, size)
    return written


def dress(
    target: int | bytes, entry: Entry, attributes: Attributes, *, owners: bool
) -> list[tuple[str, OSError]]:
    """Give an open file, or a path, its metadata; of a symbolic link, to itself.

    Returns what the kernel refused.  Without `owners` it is as if somebody else unpacked: no owner,
    no set-user-ID, no attributes that only root may set.
    """
    follow = entry.kind is not EntryKind.SYMLINK
    times = (entry.mtime_ns, entry.mtime_ns)
    steps: list[tuple[str, Callable[[], None]]] = []
    if owners:
        # First: it takes away set-user-ID and the capabilities of a file.
        owner = partial(os.chown, target, entry.uid, entry.gid, follow_symlinks=follow)
        steps.append(("owner", owner))
    for name, value in attributes:
        if owners or name.startswith(_OWNERS_ATTRIBUTES):
            setting = partial(os.setxattr, target, name, value, follow_symlinks=follow)
            steps.append((f"attribute {name!r}", setting))
    if follow:
        mode = entry.mode if owners else entry.mode & ~_RIGHTS_OF_OWNER
        steps.append(("mode", partial(os.chmod, target, mode)))
    steps.append(("time", partial(os.utime, target, ns=times, follow_symlinks=follow)))
    return [(what, exc) for what, step in steps if (exc := _refusal(step)) is not None]


def _refusal(step: Callable[[], None]) -> OSError | None:
    try:
        step()
    except OSError as exc:
        return exc
    return None


def _runs_of_data(offset: int, data: bytes) -> Iterable[tuple[int, int]]:
    """Where there is something else than pages of zeros."""
    if len(data) < _PAGE_BYTES:
        return [(0, len(data))]
    runs, start = [], 0
    for page in range(-offset % _PAGE_BYTES, len(data) - _PAGE_BYTES + 1, _PAGE_BYTES):
        if data.startswith(_ZERO_PAGE, page):
            if page > start:
                runs.append((start, page))
            start = page + _PAGE_BYTES
    if start < len(data):
        runs.append((start, len(data)))
    return runs


def _write_at(descriptor: int, data: memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written
