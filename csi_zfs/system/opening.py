"""Opening files by path: never through a link at the end, or through none at all."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The same on every architecture (asm-generic/unistd.h, Linux 5.6).
_OPENAT2 = ctypes.c_long(437)
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08

_libc = ctypes.CDLL(None, use_errno=True)
_openat2 = _libc.syscall
_openat2.restype = ctypes.c_long


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


@contextmanager
def opened(path: Path | str, flags: int) -> Iterator[int]:
    """A descriptor of `path` for the length of a `with` block.

    The last component is never followed where it is a symbolic link; a new file is for its owner
    only.
    """
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_below(directory: int, relative: str, flags: int) -> int:
    """Open a path below an open directory; a symbolic link or a way out raises (ELOOP, EXDEV)."""
    resolve = _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_MAGICLINKS
    how = _OpenHow(flags | os.O_CLOEXEC, 0, resolve)
    path, size = os.fsencode(relative), ctypes.c_size_t(ctypes.sizeof(how))
    descriptor: int = _openat2(_OPENAT2, ctypes.c_long(directory), path, ctypes.byref(how), size)
    if descriptor < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), relative)
    return descriptor
