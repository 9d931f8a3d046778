"""What each errno of the pool's file system becomes."""

import errno
import os

import pytest

from csi_zfs.datasets.api import PoolFullError, PoolUnavailableError, RecordCorruptError
from csi_zfs.domain.errors import CsiZfsError
from csi_zfs.reflink.errors import translating

MEANINGS: dict[type[CsiZfsError], set[str]] = {
    PoolFullError: {"ENOSPC", "EDQUOT", "EFBIG"},
    PoolUnavailableError: {
        *("EIO", "EROFS", "ESHUTDOWN", "EUCLEAN", "EBADMSG", "ENODEV", "ENXIO", "ESTALE"),
        *("EMFILE", "ENFILE", "ENOMEM"),
        *("ETIMEDOUT", "ENOLINK", "EREMOTEIO", "EILSEQ", "ENODATA"),
    },
    RecordCorruptError: {"ELOOP", "ENOTDIR", "EISDIR"},
}
ROWS = [(name, error) for error, names in MEANINGS.items() for name in sorted(names)]
KNOWN = {getattr(errno, name) for name, _ in ROWS}


def failing(number: int) -> None:
    with translating("pool-1"):
        raise OSError(number, os.strerror(number), "/pool/v/a/image")


@pytest.mark.parametrize(("name", "error"), ROWS)
def test_translating_gives_each_errno_its_meaning(name: str, error: type[CsiZfsError]) -> None:
    """rules.md A5, A13: neither an ill pool nor a full one is "not found" or a bug."""
    number = getattr(errno, name)
    with pytest.raises(error, match=r"pool-1|image") as raised:
        failing(number)
    assert os.strerror(number) in str(raised.value)
    assert isinstance(raised.value.__cause__, OSError)


@pytest.mark.parametrize("number", sorted(set(errno.errorcode) - KNOWN))
def test_translating_lets_every_other_errno_pass(number: int) -> None:
    """ENOENT is judged by who knows what is missing; what nobody expects is a bug, and shows."""
    with pytest.raises(OSError, match=r".") as raised:
        failing(number)
    assert raised.value.errno == number


def test_translating_lets_our_own_errors_pass() -> None:
    with pytest.raises(PoolFullError, match="as it is"), translating("pool-1"):
        raise PoolFullError("as it is")
