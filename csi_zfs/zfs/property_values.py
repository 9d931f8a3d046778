"""The values of native properties: the words that people write, and the kernel's numbers for them.

libzfs_core hands numbers to the kernel as they are, and the kernel checks little: it takes a
`recordsize` of 1234.  So these tables are the only check.  They are OpenZFS 2.3's: the words from
module/zcommon/zfs_prop.c, the numbers from sys/fs/zfs.h, zio.h, zio_compress.h, zfs_ioctl.h and
u8_textprep.h.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from csi_zfs.domain.sizes import GIB, KIB, MAX_BYTES, MIB, TIB


class PropertyValues(Protocol):
    """Which values a property can have."""

    def number_of(self, text: str) -> int | None:
        """The kernel's number for what somebody wrote; None where the property cannot be that."""

    def text_of(self, number: int) -> str:
        """The canonical text for a number: what `zfs get -p` prints."""

    @property
    def words(self) -> tuple[str, ...]:
        """The words that can be written, for a near match."""

    @property
    def grammar(self) -> str:
        """What can be written, for people."""


@dataclass(frozen=True, slots=True)
class Words:
    """One of some words; the first of those with the same number is the canonical one."""

    numbers: Mapping[str, int]

    def number_of(self, text: str) -> int | None:
        """See `PropertyValues`."""
        return self.numbers.get(text)

    def text_of(self, number: int) -> str:
        """See `PropertyValues`."""
        return next(word for word, known in self.numbers.items() if known == number)

    @property
    def words(self) -> tuple[str, ...]:
        """See `PropertyValues`."""
        return tuple(self.numbers)

    @property
    def grammar(self) -> str:
        """See `PropertyValues`."""
        return f"one of {' '.join(self.numbers)}"


# As `zfs` reads sizes, and not as Kubernetes does: K and KB are 1024 bytes too.
_UNITS = {"": 1, "K": KIB, "M": MIB, "G": GIB, "T": TIB}
_SIZE = re.compile(r"(?P<number>[0-9]{1,19})(?:(?P<unit>[KMGTkmgt])[Ii]?[Bb]?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Sizes:
    """A number of bytes, with ZFS's units; `zero_words` stand for 0, which is then allowed."""

    minimum_bytes: int
    maximum_bytes: int
    is_power_of_two: bool = True
    zero_words: tuple[str, ...] = ()

    def number_of(self, text: str) -> int | None:
        """See `PropertyValues`."""
        if text in self.zero_words:
            return 0
        size_bytes = _size_in(text)
        if size_bytes is None or not self.minimum_bytes <= size_bytes <= self.maximum_bytes:
            return None
        if self.is_power_of_two and size_bytes.bit_count() != 1:
            return None
        return size_bytes

    def text_of(self, number: int) -> str:
        """See `PropertyValues`."""
        return str(number)

    @property
    def words(self) -> tuple[str, ...]:
        """See `PropertyValues`."""
        return self.zero_words

    @property
    def grammar(self) -> str:
        """See `PropertyValues`."""
        what = "a power of two" if self.is_power_of_two else "a size"
        zero = f"{' or '.join(self.zero_words)}, or " if self.zero_words else ""
        return f"{zero}{what} from {self.minimum_bytes} to {self.maximum_bytes} bytes, such as 64K"


def _size_in(text: str) -> int | None:
    match = _SIZE.fullmatch(text)
    return int(match["number"]) * _UNITS[(match["unit"] or "").upper()] if match else None


def _zstd(level: int) -> int:
    """The level lies above the seven bits of the method."""
    return 16 | level << 7


_FAST_LEVELS = (*range(1, 11), *range(20, 101, 10), 500, 1000)
_VERIFY = 1 << 8

ON_OFF = Words({"on": 1, "off": 0})
COMPRESSION = Words(
    {"on": 1, "off": 2, "lzjb": 3, "gzip": 10}
    | {f"gzip-{level}": 4 + level for level in range(1, 10)}
    | {"zle": 14, "lz4": 15, "zstd": 16, "zstd-fast": _zstd(103)}
    | {f"zstd-{level}": _zstd(level) for level in range(1, 20)}
    | {f"zstd-fast-{level}": _zstd(103 + place) for place, level in enumerate(_FAST_LEVELS)}
)
# Without `noparity`, which leaves out the parity of user data too.
CHECKSUM = Words(
    {"on": 1, "off": 2, "fletcher2": 6, "fletcher4": 7, "sha256": 8}
    | {"sha512": 11, "skein": 12, "edonr": 13, "blake3": 14}
)
DEDUP = Words(
    {"on": 1, "off": 2, "verify": 1 | _VERIFY, "edonr,verify": 13 | _VERIFY}
    | {"sha256": 8, "sha512": 11, "skein": 12, "blake3": 14}
    | {"sha256,verify": 8 | _VERIFY, "sha512,verify": 11 | _VERIFY}
    | {"skein,verify": 12 | _VERIFY, "blake3,verify": 14 | _VERIFY}
)
ENCRYPTION = Words({"aes-256-gcm": 8})
CACHE = Words({"none": 0, "metadata": 1, "all": 2})
COPIES = Words({"1": 1, "2": 2, "3": 3})
LOGBIAS = Words({"latency": 0, "throughput": 1})
SYNC = Words({"standard": 0, "always": 1, "disabled": 2})
REDUNDANT_METADATA = Words({"all": 0, "most": 1, "some": 2, "none": 3})
SNAPDIR = Words({"hidden": 0, "visible": 1, "disabled": 2})
XATTR = Words({"off": 0, "dir": 1, "on": 2, "sa": 2})
ACLTYPE = Words({"off": 0, "posix": 1, "nfsv4": 2, "noacl": 0, "disabled": 0, "posixacl": 1})
DNODESIZE = Words(
    {"legacy": 0, "auto": 1, "1k": 1024, "2k": 2048, "4k": 4096, "8k": 8192, "16k": 16384}
)
CASE_SENSITIVITY = Words({"sensitive": 0, "insensitive": 1, "mixed": 2})
NORMALIZATION = Words({"none": 0, "formD": 0x10, "formKD": 0x20, "formC": 0x50, "formKC": 0x60})

RECORDSIZE = Sizes(512, 16 * MIB)
VOLBLOCKSIZE = Sizes(512, 128 * KIB)
SPECIAL_SMALL_BLOCKS = Sizes(512, MIB, zero_words=("0",))
REFRESERVATION = Sizes(1, MAX_BYTES, is_power_of_two=False, zero_words=("none", "0"))
