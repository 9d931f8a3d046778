"""What an errno of OpenZFS means, said once for the whole engine.

The meanings are those of OpenZFS 2.3's sources (zfs_ioctl.c, dsl_*.c, zcp.c); e2e/zfs/test_lzc.py
holds the ones that can be had against a real pool.
"""

import errno
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from csi_zfs.datasets.api import (
    DatasetBusyError,
    DatasetExistsError,
    DatasetNotFoundError,
    HasDependentsError,
    PoolFullError,
    PoolUnavailableError,
    RecordCorruptError,
    UnsupportedFeatureError,
)
from csi_zfs.datasets.changes import UnrelatedSnapshotsError
from csi_zfs.datasets.keys import KeyNotLoadedError, LineageChangedError, WrongKeyError
from csi_zfs.domain.errors import (
    InUseError,
    OutcomeUnknownError,
    UnavailableError,
)
from csi_zfs.zfs.lzc import LzcError, ZfsErrno


class PoolSuspendedError(PoolUnavailableError):
    """The pool has stopped all I/O until somebody repairs its disks and runs `zpool clear`.

    `is_outcome_unknown`: the call was made, and may take effect when the pool goes on.
    """

    def __init__(self, message: str, *, is_outcome_unknown: bool = False) -> None:
        """Keep whether the call was made."""
        super().__init__(message)
        self.is_outcome_unknown = is_outcome_unknown


class ModuleVersionError(UnavailableError):
    """The kernel's OpenZFS is not one that the driver's libraries work with."""


class ProgramFailedError(OutcomeUnknownError):
    """A channel program ended half-way, and what it had changed stays."""


class KeyLoadedError(InUseError):
    """The key was loaded already; a wrong one is a `WrongKeyError` instead."""


Meaning = Callable[[str], Exception]


def _says(error: type[Exception], words: str) -> Meaning:
    return lambda name: error(words.format(name=name))


_SUSPENDED = _says(PoolSuspendedError, "the pool of {name} is suspended: see `zpool status`")
_AWAY = _says(
    PoolUnavailableError, "{name} cannot be reached: its pool is not imported, or changed"
)
_IO = _says(PoolUnavailableError, "the pool of {name} has I/O errors: see `zpool status`")
_FULL = _says(PoolFullError, "there is no room for {name} in its pool")
_EXISTS = _says(DatasetExistsError, "{name} exists")
_BUSY = _says(DatasetBusyError, "{name} is in use")
_UNSUPPORTED = _says(UnsupportedFeatureError, "the pool of {name} has no such feature or property")
_MISMATCH = _says(ModuleVersionError, "the kernel's OpenZFS does not know this call for {name}")
_HALFWAY = _says(ProgramFailedError, "a change of {name} was cut short")
_MOVED = _says(LineageChangedError, "{name} is no longer the root of its encryption: try again")
_UNRELATED = _says(UnrelatedSnapshotsError, "{name} is not younger than, or no kin of, the other")
_NO_LIBRARY = _says(PoolUnavailableError, "OpenZFS is not loaded on this machine; about {name}")

# The same whatever the call is.
_OF_ERRNO: Mapping[int, Meaning] = {
    errno.ENOENT: _AWAY,
    errno.EAGAIN: _SUSPENDED,  # the ioctl was refused at its door
    errno.EIO: _IO,
    errno.ENXIO: _IO,
    errno.EROFS: _says(PoolUnavailableError, "the pool of {name} is imported read-only"),
    errno.ENOMEM: _says(PoolUnavailableError, "the machine is out of memory; about {name}"),
    ZfsErrno.EXPORT_IN_PROGRESS: _AWAY,
    ZfsErrno.WRONG_PARENT: _says(PoolUnavailableError, "{name} is below a zvol, not a file system"),
    errno.EEXIST: _EXISTS,
    errno.EBUSY: _BUSY,
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EACCES: _says(KeyNotLoadedError, "{name} is encrypted, and its key is not loaded"),
    errno.EOPNOTSUPP: _UNSUPPORTED,
    errno.ERANGE: _UNSUPPORTED,
    ZfsErrno.BADPROP: _UNSUPPORTED,
    ZfsErrno.CRYPTO_NOTSUP: _UNSUPPORTED,
    ZfsErrno.IOC_CMD_UNAVAIL: _MISMATCH,
    ZfsErrno.IOC_ARG_UNAVAIL: _MISMATCH,
    ZfsErrno.IOC_ARG_REQUIRED: _MISMATCH,
    ZfsErrno.IOC_ARG_BADTYPE: _MISMATCH,
    # OpenZFS's ECKSUM, for a block that no copy is good of.
    errno.EBADE: lambda name: RecordCorruptError(f"{name} is damaged on disk", name=name),
}
# What the same errno means to one call only; None: it is a mistake of the driver's.
_OF_CALL: Mapping[tuple[str, int], Meaning | None] = {
    ("destroy", errno.EEXIST): _says(HasDependentsError, "{name} has datasets below it"),
    ("destroy_snapshots", errno.EEXIST): _says(HasDependentsError, "clones need {name}"),
    ("load_key", errno.EEXIST): _says(KeyLoadedError, "the key of {name} is loaded already"),
    ("load_key", errno.EACCES): _says(WrongKeyError, "this is not the key of {name}"),
    # The root was asked for, and meanwhile another dataset became it.
    ("load_key", errno.EINVAL): _MOVED,
    ("change_key", errno.EINVAL): _MOVED,
    ("send", errno.EXDEV): _UNRELATED,
    ("rename", errno.EACCES): None,  # an encrypted clone cannot leave its parent
    ("run_program", errno.ENOSPC): _HALFWAY,  # the limit on its memory, not the pool
    ("run_program", errno.ECHRNG): _HALFWAY,
    ("run_program", errno.ETIME): _HALFWAY,
    ("run_program", errno.EINTR): _HALFWAY,
    ("read_program", errno.ENOSPC): None,
    ("read_program", errno.ECHRNG): _says(PoolUnavailableError, "{name} cannot be read"),
}


def error_of_errno(number: int, name: str) -> Exception:
    """The error for what a channel program says that OpenZFS answered it about `name`.

    ENOENT is `PoolUnavailableError`: only a second look can prove an absence.
    """
    meaning = _OF_ERRNO.get(number)
    return meaning(name) if meaning else LzcError("run_program", number, (name,))


@contextmanager
def translating(
    name: str,
    *,
    prove_absent: Callable[[str], bool] | None = None,
    explain_busy: Callable[[], Exception] | None = None,
) -> Iterator[None]:
    """Turn an `LzcError` of a `with` block into the error that it means; others pass.

    An ENOENT may also come from an exported pool.  So `prove_absent` looks a second time: it gets
    the whole name of a dataset or snapshot that the call needs, returns whether it is absent, and
    raises `PoolUnavailableError` where it cannot tell (rules.md A5).  Without it, nothing is ever
    said to be absent.  An EBUSY does not say why either: `explain_busy` looks, and returns the
    error with the words (rules.md B4).

    Args:
        name: what the error's text is about, in the caller's words.
        prove_absent: looks whether something that was asked for is absent.
        explain_busy: looks why something is in use.
    """
    try:
        yield
    except LzcError as exc:
        if exc.errno == errno.ENOENT and prove_absent is not None:
            error = _absence(exc, name, prove_absent)
        elif exc.errno == errno.EBUSY and explain_busy is not None:
            error = explain_busy()
        else:
            error = _meaning_of(exc, name)
        if error is exc:
            raise
        raise error from exc


def _meaning_of(exc: LzcError, name: str) -> Exception:
    meaning = _OF_CALL.get((exc.call, exc.errno), _OF_ERRNO.get(exc.errno))
    if exc.call == "initialize":  # the library found no /dev/zfs
        meaning = _NO_LIBRARY
    if meaning is None:
        return exc
    return meaning(f"{name} ({exc.detail})" if exc.detail else name)


def _absence(exc: LzcError, name: str, prove_absent: Callable[[str], bool]) -> Exception:
    missing = [wanted for wanted in _wanted(exc) if prove_absent(wanted)]
    if missing:
        return DatasetNotFoundError(f"{', '.join(missing)} does not exist")
    return _AWAY(name)


def _wanted(exc: LzcError) -> Sequence[str]:
    """Which of the names had to exist; the parent of a new one is the pool's affair."""
    match exc.call:
        case "create" | "initialize" | "run_program" | "read_program":
            return ()
        case "snapshot":
            return [name.partition("@")[0] for name in exc.names]
        case "clone" | "receive":  # the new name, and its origin where there is one
            return exc.names[1:]
        case "rename":
            return exc.names[:1]
        case _:
            return exc.names
