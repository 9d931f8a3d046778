"""Whether a directory's file system has reflinks: tried, not guessed."""

import errno
import os
from pathlib import Path

from csi_zfs.domain.errors import UnsupportedError
from csi_zfs.system.files import Files, remove_if_there

_SOURCE = ".probe-source"
_CLONE = ".probe-clone"
PROBES = frozenset({_SOURCE, _CLONE})
_DATA = b"reflink?" * 512
_NO_REFLINKS = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EXDEV}


class ReflinkMissingError(UnsupportedError):
    """The file system cannot share data between files."""


def require_reflinks(directory: Path, files: Files) -> None:
    """Share one block between two files; raises `ReflinkMissingError`.

    The two files are removed in every case; what a crash left of them is removed first.
    """
    source, clone = directory / _SOURCE, directory / _CLONE
    _remove(files, source, clone)
    try:
        files.create(source, _DATA)
        files.create_clone(source, clone, len(_DATA))
    except OSError as exc:
        if exc.errno in _NO_REFLINKS:
            raise ReflinkMissingError(
                f"the file system of {directory} has no reflinks ({os.strerror(exc.errno)}):"
                " give the pool a size, so that it gets a file system of its own"
            ) from exc
        raise
    finally:
        _remove(files, source, clone)


def _remove(files: Files, *paths: Path) -> None:
    for path in paths:
        remove_if_there(files.unlink, path)
