"""Durable changes of files and directories.

A change is durable once the object *and* the directory that names it were synced.  Everything that
the embedded pool does to its disk goes through one `Files` object, so that the crash tests can stop
before and after each single effect.
"""

import ctypes
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from csi_zfs.system.opening import opened

_RENAME_NOREPLACE = 1
_AT_FDCWD = -100
_FICLONE = 0x40049409
_FALLOC_KEEP_SIZE = 0x01
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, path: Path) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))


class Files:
    """The effects on a disk, one method each; all raise plain `OSError`.  Thread-safe."""

    def make_directory(self, path: Path) -> None:
        """Make one directory, for its owner only."""
        path.mkdir(mode=0o700)

    def create_sparse(self, path: Path, size_bytes: int) -> None:
        """Make a new file of `size_bytes` without data."""
        with opened(path, os.O_RDWR | os.O_CREAT | os.O_EXCL) as descriptor:
            os.ftruncate(descriptor, size_bytes)

    def create_clone(self, source: Path, path: Path, size_bytes: int) -> None:
        """Make a new file that shares the data of `source` and is at least `size_bytes` long."""
        new = os.O_RDWR | os.O_CREAT | os.O_EXCL
        with opened(source, os.O_RDONLY) as origin, opened(path, new) as descriptor:
            fcntl.ioctl(descriptor, _FICLONE, origin)
            if os.fstat(descriptor).st_size < size_bytes:
                os.ftruncate(descriptor, size_bytes)

    def resize(self, path: Path, size_bytes: int) -> None:
        """Set the length of a file."""
        with opened(path, os.O_RDWR) as descriptor:
            os.ftruncate(descriptor, size_bytes)

    def allocate(self, path: Path, size_bytes: int) -> None:
        """Reserve blocks for the first `size_bytes` of a file; its length stays."""
        length = ctypes.c_longlong(size_bytes)
        with opened(path, os.O_RDWR) as descriptor:
            result = _libc.fallocate(descriptor, _FALLOC_KEEP_SIZE, ctypes.c_longlong(0), length)
            _checked(result, path)

    def create(self, path: Path, data: bytes | bytearray | memoryview) -> None:
        """Make a new file with `data`, synced (its name is not: sync the directory)."""
        with opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as descriptor:
            write_all(descriptor, data)
            os.fsync(descriptor)

    def sync(self, path: Path) -> None:
        """Sync one file or directory."""
        with opened(path, os.O_RDONLY) as descriptor:
            os.fsync(descriptor)

    def rename(self, path: Path, new_path: Path) -> None:
        """Rename over whatever is there."""
        path.rename(new_path)

    def rename_new(self, path: Path, new_path: Path) -> None:
        """Rename, and raise `FileExistsError` where the new name is taken."""
        old, new = os.fsencode(path), os.fsencode(new_path)
        result = _libc.renameat2(_AT_FDCWD, old, _AT_FDCWD, new, _RENAME_NOREPLACE)
        _checked(result, new_path)

    def link(self, path: Path, new_path: Path) -> None:
        """Give a file a second name, and raise `FileExistsError` where that is taken."""
        os.link(path, new_path, follow_symlinks=False)

    def unlink(self, path: Path) -> None:
        """Remove one file."""
        path.unlink()

    def remove_directory(self, path: Path) -> None:
        """Remove one empty directory."""
        path.rmdir()


def sync_filesystem(descriptor: int) -> None:
    """Make everything durable that was written to the file system of an open file or directory."""
    if _libc.syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def write_durably(files: Files, path: Path, data: bytes) -> None:
    """Replace the content of `path` so that a crash leaves the old content or the new.

    What an earlier crash left at the temporary name (`temporary_of`) is replaced; an error leaves
    nothing there.
    """
    temporary = temporary_of(path)
    remove_if_there(files.unlink, temporary)
    try:
        files.create(temporary, data)
        files.rename(temporary, path)
    except Exception:
        remove_if_there(files.unlink, temporary)
        raise
    files.sync(path.parent)


def temporary_of(path: Path) -> Path:
    """Where the new content of `path` is written before it is renamed."""
    return path.with_name(f".{path.name}.new")


def remove_if_there(remove: Callable[[Path], None], path: Path) -> None:
    """Call `remove` unless `path` is already gone."""
    try:
        path.lstat()
    except FileNotFoundError:
        return
    remove(path)


def write_all(descriptor: int, data: bytes | bytearray | memoryview) -> None:
    """Write all of `data`, over as many calls as the kernel wants; it is not copied."""
    view = memoryview(data).cast("B")
    while view:
        view = view[os.write(descriptor, view) :]
