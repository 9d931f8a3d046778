"""How much a pool promises: the arithmetic of rules.md A13, without any I/O, and the ledger.

One law covers thick and thin: **a thick byte weighs 1, a thin byte weighs 1 / `thin_ratio`, and all
weights together stay within the pool less its reserve.**  So thick volumes get what they were
promised, and the thin ones together may promise `thin_ratio` times what the thick ones leave over.

- Thick volumes, their snapshots and their clones count at full size: each of them can come to need
  all its bytes, since the first write to a shared block takes a new one.
- Thin volumes and clones count at full size; thin snapshots do not count.  They share their data
  and only keep it from being freed; counting them would forbid the usual "a snapshot each hour".
- What is thick must also fit into what is free now beside the reserve and the thick work under way.
- While less than the reserve is free, nothing is made, snapshots included: what is left belongs to
  the writers of the volumes that exist, and to the records of what is deleted.

What this cannot promise: thin volumes that are filled beyond what the pool has get I/O errors, and
the shared blocks of a thick volume with snapshots take new room at their first write, for which
thin volumes compete.  A `thin_ratio` of 1 promises nothing twice.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from csi_zfs.datasets.api import Dataset, DatasetSnapshot, PoolCapacity, PoolFullError
from csi_zfs.domain.errors import InvalidRequestError
from csi_zfs.domain.sizes import GRANULE_BYTES, format_size

_PERCENT = 100
_MAX_RESERVE_PERCENT = 50


class InvalidPolicyError(InvalidRequestError):
    """The settings of a pool make no sense."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a pool has, in bytes, by its file system and by the one below it."""

    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Claim:
    """What an object may come to need, in bytes."""

    thick_bytes: int = 0
    thin_bytes: int = 0

    @classmethod
    def of_size(cls, size_bytes: int, *, is_thick: bool) -> Self:
        """The claim of a volume or clone, or of so many more bytes of one."""
        return cls(thick_bytes=size_bytes) if is_thick else cls(thin_bytes=size_bytes)

    @classmethod
    def of(cls, entry: Dataset | DatasetSnapshot) -> Self:
        """The claim of an object with data."""
        if isinstance(entry, DatasetSnapshot) and not entry.is_thick:
            return cls()
        return cls.of_size(entry.size_bytes, is_thick=entry.is_thick)

    def __add__(self, other: "Claim") -> "Claim":
        return Claim(self.thick_bytes + other.thick_bytes, self.thin_bytes + other.thin_bytes)

    def __sub__(self, other: "Claim") -> "Claim":
        return Claim(self.thick_bytes - other.thick_bytes, self.thin_bytes - other.thin_bytes)


@dataclass(frozen=True, slots=True)
class Policy:
    """How far a pool may be promised, in whole percents, so that the arithmetic is exact."""

    thin_percent: int = 400
    reserve_percent: int = 5

    def __post_init__(self) -> None:
        """Refuse what would promise less than there is, or keep most of it back."""
        if self.thin_percent < _PERCENT:
            raise InvalidPolicyError(f"thin_percent {self.thin_percent} is below {_PERCENT}")
        if not 0 <= self.reserve_percent <= _MAX_RESERVE_PERCENT:
            raise InvalidPolicyError(
                f"reserve_percent {self.reserve_percent} is not from 0 to {_MAX_RESERVE_PERCENT}"
            )

    @classmethod
    def of(cls, *, thin_ratio: float, reserve_percent: int) -> Self:
        """The policy for settings as people write them; raises `InvalidPolicyError`."""
        return cls(round(thin_ratio * _PERCENT), reserve_percent)

    def reserve_bytes(self, room: Room) -> int:
        """What is kept free."""
        return room.total_bytes * self.reserve_percent // _PERCENT

    def is_nearly_full(self, room: Room) -> bool:
        """Whether less than the reserve is free, so that nothing more is made."""
        return room.free_bytes < self.reserve_bytes(room)

    def thin_left_bytes(self, room: Room, promised: Claim) -> int:
        """How many more thin bytes can be promised."""
        if self.is_nearly_full(room):
            return 0
        left_bytes = room.total_bytes - self.reserve_bytes(room) - promised.thick_bytes
        return max(0, left_bytes * self.thin_percent // _PERCENT - promised.thin_bytes)

    def thick_left_bytes(self, room: Room, promised: Claim, *, pending_bytes: int = 0) -> int:
        """How many more thick bytes can be promised; `pending_bytes` are being allocated now."""
        reserve_bytes = self.reserve_bytes(room)
        weight_bytes = promised.thick_bytes + -(
            -promised.thin_bytes * _PERCENT // self.thin_percent
        )
        left_bytes = room.total_bytes - reserve_bytes - weight_bytes
        return max(0, min(left_bytes, room.free_bytes - reserve_bytes - pending_bytes))


class Ledger:
    """What a pool has promised.  Thread-safe: two calls cannot both be given the last room."""

    def __init__(self, policy: Policy, promised: Claim) -> None:
        """Begin with what the objects of the pool claim."""
        self._policy = policy
        self._promised = promised
        self._pending_bytes = 0
        self._lock = threading.Lock()

    @property
    def promised(self) -> Claim:
        """The claims of all objects, and of those being made."""
        return self._promised

    @contextmanager
    def reserved(self, claim: Claim, read_room: Callable[[], Room]) -> Iterator[None]:
        """Keep room for an object that the block makes; given back if the block fails.

        Thick work counts twice while its blocks are allocated but the block has not ended: on the
        safe side.  Raises `PoolFullError` before anything was done.
        """
        with self._lock:
            self._require_admitted(claim, read_room())
            self._promised += claim
            self._pending_bytes += claim.thick_bytes
        try:
            yield
        except BaseException:
            self.give_back(claim)
            raise
        finally:
            with self._lock:
                self._pending_bytes -= claim.thick_bytes

    def give_back(self, claim: Claim) -> None:
        """Forget the claim of an object that is gone."""
        with self._lock:
            self._promised -= claim

    def capacity(self, room: Room) -> PoolCapacity:
        """The room that is left, in whole granules of volumes."""
        with self._lock:
            thin_bytes = self._policy.thin_left_bytes(room, self._promised)
            thick_bytes = self._thick_left_bytes(room)
        return PoolCapacity(
            total_bytes=room.total_bytes,
            free_bytes=room.free_bytes,
            admissible_thin_bytes=thin_bytes // GRANULE_BYTES * GRANULE_BYTES,
            admissible_thick_bytes=thick_bytes // GRANULE_BYTES * GRANULE_BYTES,
        )

    def _require_admitted(self, claim: Claim, room: Room) -> None:
        if self._policy.is_nearly_full(room):
            free, reserve = room.free_bytes, self._policy.reserve_bytes(room)
            raise PoolFullError(
                f"the pool has {format_size(free)} free, less than its reserve of"
                f" {format_size(reserve)}: nothing more is made until something is deleted"
            )
        self._require_left(claim.thick_bytes, self._thick_left_bytes(room), "thick")
        left_bytes = self._policy.thin_left_bytes(room, self._promised)
        self._require_left(claim.thin_bytes, left_bytes, "thin")

    def _thick_left_bytes(self, room: Room) -> int:
        pending_bytes = self._pending_bytes
        return self._policy.thick_left_bytes(room, self._promised, pending_bytes=pending_bytes)

    @staticmethod
    def _require_left(wanted_bytes: int, left_bytes: int, how: str) -> None:
        if wanted_bytes > left_bytes:
            raise PoolFullError(
                f"the pool has no room for {format_size(wanted_bytes)} more that are {how}:"
                f" it can promise {format_size(left_bytes)}"
            )
