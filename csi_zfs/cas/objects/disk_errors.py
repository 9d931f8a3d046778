"""What the errors of a disk mean to who keeps objects on it."""

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from csi_zfs.cas.api import (
    StorageDeniedError,
    StorageFullError,
    StorageUnavailableError,
    StoreCorruptError,
)
from csi_zfs.domain.errors import CsiZfsError

_MEANINGS: Mapping[int, type[CsiZfsError]] = MappingProxyType(
    {
        errno.ENOSPC: StorageFullError,
        errno.EDQUOT: StorageFullError,
        errno.EACCES: StorageDeniedError,
        errno.EPERM: StorageDeniedError,
        errno.EROFS: StorageDeniedError,
        # A link, a file or a directory where the storage never puts one.
        errno.ELOOP: StoreCorruptError,
        errno.ENOTDIR: StoreCorruptError,
        errno.EISDIR: StoreCorruptError,
    }
)


@contextmanager
def translating(what: str) -> Iterator[None]:
    """Turn the `OSError` of the block, which is about `what`, into an error of the storage.

    A missing file means nothing here: who proves an absence does so itself (rules.md A5).
    """
    try:
        yield
    except OSError as exc:
        meaning = _MEANINGS.get(exc.errno or 0, StorageUnavailableError)
        raise meaning(f"{what}: {exc.strerror or exc}") from exc
