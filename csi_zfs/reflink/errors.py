"""What an errno from the pool's file system means, said once for the whole engine."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from csi_zfs.datasets.api import PoolFullError, PoolUnavailableError, RecordCorruptError
from csi_zfs.domain.errors import CsiZfsError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DAMAGED_OBJECT = {errno.ELOOP, errno.ENOTDIR, errno.EISDIR}
# The file system is broken, shut down, read-only or gone; or this process is short of what it needs
# to reach it.  XFS reports damage of its own as EUCLEAN or EBADMSG, and EIO once it has shut down;
# the block layer has words of its own for lost paths, bad media and failed integrity checks.
_UNAVAILABLE = {
    errno.EIO,
    errno.EROFS,
    errno.ESHUTDOWN,
    errno.EUCLEAN,
    errno.EBADMSG,
    errno.ENODEV,
    errno.ENXIO,
    errno.ESTALE,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ETIMEDOUT,
    errno.ENOLINK,
    errno.EREMOTEIO,
    errno.EILSEQ,
    errno.ENODATA,
}


@contextmanager
def translating(pool_name: str) -> Iterator[None]:
    """Turn an `OSError` from the pool into a typed error; ENOENT and what is not known here pass.

    Raises:
        PoolFullError: there is no room on the file system.
        PoolUnavailableError: the file system cannot be used now.
        RecordCorruptError: where a file or directory of ours should be, there is something else.
    """
    try:
        yield
    except OSError as exc:
        error = _meaning_of(exc, pool_name)
        if error is None:
            raise
        raise error from exc


def _meaning_of(exc: OSError, pool_name: str) -> CsiZfsError | None:
    if exc.errno in _FULL:
        return PoolFullError(f"pool {pool_name} is full: {exc.strerror}")
    if exc.errno in _UNAVAILABLE:
        return PoolUnavailableError(f"pool {pool_name} cannot be used: {exc.strerror}")
    if exc.errno in _DAMAGED_OBJECT:
        return RecordCorruptError(f"{exc.filename} is not what the driver made: {exc.strerror}")
    return None
