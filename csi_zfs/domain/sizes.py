"""Sizes in bytes: units, rounding, and the choice of a capacity within a caller's range."""

import re
from dataclasses import dataclass

from csi_zfs.domain.errors import InvalidRequestError, OutOfRangeError

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB

GRANULE_BYTES = MIB
MAX_BYTES = (1 << 63) - GRANULE_BYTES

_UNITS = {"": 1, "K": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4}
_UNITS |= {"Ki": KIB, "Mi": MIB, "Gi": GIB, "Ti": TIB}
_UNITS |= {f"{unit}B": factor for unit, factor in _UNITS.items() if unit} | {"B": 1}
_SIZE = re.compile(r"(?P<number>[0-9]{1,19})(?P<unit>[A-Za-z]{0,3})", re.ASCII)


class InvalidSizeError(InvalidRequestError):
    """The text or number is not a size."""


def parse_size(text: str) -> int:
    """Bytes of a size such as `10Gi`, `512MiB`, `2G` or `1048576` (Ki = 1024, K = 1000)."""
    match = _SIZE.fullmatch(text)
    if match is None or match["unit"] not in _UNITS:
        msg = (
            f"{text[:64]!r} is not a size: write a whole number with one of B, Ki, Mi, Gi, Ti, K, "
            "M, G, T"
        )
        raise InvalidSizeError(msg)
    size_bytes = int(match["number"]) * _UNITS[match["unit"]]
    if size_bytes > MAX_BYTES:
        msg = f"{text[:64]!r} is more than the largest size, {format_size(MAX_BYTES)}"
        raise InvalidSizeError(msg)
    return size_bytes


def format_size(size_bytes: int) -> str:
    """A size for people.

    The largest binary unit, exact where it divides evenly, else to one decimal.
    """
    for factor, unit in ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size_bytes >= factor:
            whole, rest = divmod(size_bytes, factor)
            return f"{whole} {unit}" if rest == 0 else f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} B"


def round_up(size_bytes: int, granule_bytes: int = GRANULE_BYTES) -> int:
    """The smallest multiple of `granule_bytes` that is not below `size_bytes`."""
    return -(-size_bytes // granule_bytes) * granule_bytes


@dataclass(frozen=True, slots=True)
class CapacityRange:
    """What a caller accepts, in bytes; 0 means "not said" for both ends, as in the CSI message."""

    required_bytes: int = 0
    limit_bytes: int = 0

    def __post_init__(self) -> None:
        """Refuse what no volume could satisfy."""
        if self.required_bytes < 0 or self.limit_bytes < 0:
            msg = "capacity_range: required_bytes and limit_bytes may not be negative"
            raise InvalidSizeError(msg)
        if self.limit_bytes and self.required_bytes > self.limit_bytes:
            msg = (
                f"capacity_range: required_bytes {self.required_bytes} is above limit_bytes "
                f"{self.limit_bytes}"
            )
            raise InvalidSizeError(msg)
        if self.required_bytes > MAX_BYTES:
            msg = (
                f"capacity_range: required_bytes {self.required_bytes} is above the largest size, "
                f"{MAX_BYTES}"
            )
            raise OutOfRangeError(msg)

    def choose(self, *, minimum_bytes: int, default_bytes: int) -> int:
        """The capacity to make.

        What is required (else the default), at least the minimum, in whole MiB.

        Raises `OutOfRangeError` if that is above `limit_bytes`.
        """
        wanted_bytes = self.required_bytes or default_bytes
        if self.limit_bytes and not self.required_bytes:
            wanted_bytes = min(default_bytes, self.limit_bytes // GRANULE_BYTES * GRANULE_BYTES)
        chosen_bytes = round_up(max(wanted_bytes, minimum_bytes))
        if self.limit_bytes and chosen_bytes > self.limit_bytes:
            msg = (
                f"the smallest volume that fits the request is {chosen_bytes} bytes "
                f"({format_size(chosen_bytes)}), above limit_bytes {self.limit_bytes}"
            )
            raise OutOfRangeError(msg)
        return chosen_bytes

    def admits(self, capacity_bytes: int) -> bool:
        """Whether a volume of this capacity is what the caller asked for."""
        if capacity_bytes < self.required_bytes:
            return False
        return not self.limit_bytes or capacity_bytes <= self.limit_bytes
