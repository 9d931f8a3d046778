"""Targets below one root: reached without symbolic links (rules.md C1), removed with care (A1).

A target is opened once, from the root's descriptor, and what is mounted goes onto that descriptor:
whoever owns a directory on the way can swap it for a link, but cannot lead the driver elsewhere.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from csi_zfs.mount.api import TargetBusyError, TargetPathError, TargetRootError
from csi_zfs.mount.syscalls import closing_descriptor
from csi_zfs.system.opening import open_below

_DIRECTORY_MODE = 0o750
_FILE_MODE = 0o640
_DIRECTORY = os.O_PATH | os.O_DIRECTORY
_WRONG_PATH = {
    errno.ELOOP: "leads through a symbolic link",
    errno.EXDEV: "leads out of the root",
    errno.ENOTDIR: "leads to or through a file that is no directory",
    errno.ENAMETOOLONG: "is too long",
}


class TargetTree:
    """The directories and files below one root at which the driver mounts.

    Methods raise `TargetPathError`, and plain `OSError` for what else the kernel refuses.
    """

    def __init__(self, root: Path) -> None:
        """Resolve the root once; callers may use its given and its resolved spelling.

        Raises `TargetRootError`.
        """
        try:
            self._root = root.resolve(strict=True)
        except OSError as exc:
            msg = f"{root} cannot be used: {exc.strerror}; make it, or set kubelet_dir to another"
            raise TargetRootError(msg) from exc
        self._spellings = (root.absolute(), self._root)

    def mount_point_of(self, target: Path) -> str:
        """The target as mountinfo spells it.  Looks at no file."""
        return str(self._root / self._relative(target))

    @contextmanager
    def opened(self, target: Path, flags: int = os.O_PATH) -> Iterator[int]:
        """A descriptor of a target, or of what is mounted there; `FileNotFoundError` if missing."""
        with closing_descriptor(self._open(self._relative(target), flags)) as descriptor:
            yield descriptor

    @contextmanager
    def parent_of(self, target: Path) -> Iterator[int]:
        """A descriptor of the directory that names the target; `FileNotFoundError` if missing."""
        relative = self._relative(target)
        with closing_descriptor(self._open(relative.parent, _DIRECTORY)) as descriptor:
            yield descriptor

    @contextmanager
    def made_directory(self, target: Path) -> Iterator[int]:
        """A descriptor of a directory, made where it is missing, or of what is mounted there."""
        with closing_descriptor(self._make_directory(self._relative(target))) as descriptor:
            yield descriptor

    @contextmanager
    def made_file(self, target: Path) -> Iterator[int]:
        """A descriptor of an empty file, made where it is missing, or of the device bound to it."""
        relative = self._relative(target)
        with closing_descriptor(self._make_directory(relative.parent)) as parent:
            _make_file(relative.name, parent)
        with closing_descriptor(self._open(relative, os.O_PATH)) as descriptor:
            status = os.fstat(descriptor)
            if not (stat.S_ISBLK(status.st_mode) or _is_empty_file(status)):
                raise TargetPathError(f"{target} is neither a device nor an empty regular file")
            yield descriptor

    def remove(self, target: Path) -> None:
        """Remove an empty directory or an empty regular file, and nothing else (rules.md A1).

        A missing target is no error.  Raises `TargetBusyError` where there is more than that.
        """
        try:
            with self.parent_of(target) as parent:
                _remove_empty(target, parent)
        except FileNotFoundError:
            return
        except OSError as exc:
            if exc.errno in {errno.ENOTEMPTY, errno.EBUSY}:
                raise TargetBusyError(f"{target} is not removed: {exc.strerror}") from exc
            raise

    def _relative(self, target: Path) -> Path:
        for root in self._spellings:
            if target.is_relative_to(root) and target != root:
                relative = target.relative_to(root)
                # C would take what follows a NUL for nothing, and open another file.
                if ".." not in relative.parts and "\0" not in str(relative):
                    return relative
        raise TargetPathError(f"{str(target)!r} is not a path below {self._spellings[0]}")

    def _open(self, relative: Path, flags: int) -> int:
        with closing_descriptor(os.open(self._root, _DIRECTORY | os.O_CLOEXEC)) as root:
            try:
                return open_below(root, str(relative), flags)
            except OSError as exc:
                if exc.errno not in _WRONG_PATH:
                    raise
                msg = f"{self._spellings[0] / relative} {_WRONG_PATH[exc.errno]}"
                raise TargetPathError(msg) from exc

    def _make_directory(self, relative: Path) -> int:
        try:
            return self._open(relative, _DIRECTORY)
        except FileNotFoundError:
            if not relative.parts:
                raise
        with (
            closing_descriptor(self._make_directory(relative.parent)) as parent,
            suppress(FileExistsError),  # made by somebody else in between: the opening decides
        ):
            os.mkdir(relative.name, _DIRECTORY_MODE, dir_fd=parent)
        return self._open(relative, _DIRECTORY)


def _make_file(name: str, parent: int) -> None:
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
    with suppress(FileExistsError):
        os.close(os.open(name, flags, _FILE_MODE, dir_fd=parent))


def _remove_empty(target: Path, parent: int) -> None:
    status = os.stat(target.name, dir_fd=parent, follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):
        os.rmdir(target.name, dir_fd=parent)
    elif _is_empty_file(status):
        os.unlink(target.name, dir_fd=parent)
    else:
        raise TargetBusyError(f"{target} is not removed: it is not an empty regular file")


def _is_empty_file(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_size == 0
