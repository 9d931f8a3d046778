"""The parts of one open pool, wired together once."""

import secrets
from bisect import bisect_right
from dataclasses import dataclass, replace

from csi_zfs.datasets.admission import Claim, Ledger, Policy
from csi_zfs.datasets.api import Dataset, DatasetKind, DatasetSnapshot, PoolCapacity
from csi_zfs.datasets.names import is_tombstone
from csi_zfs.domain.sizes import GRANULE_BYTES
from csi_zfs.system.clock import Clock
from csi_zfs.system.runner import Runner
from csi_zfs.zfs.command import NativeProperties
from csi_zfs.zfs.devices import ZvolDevices
from csi_zfs.zfs.home import Home
from csi_zfs.zfs.keys import LineageKeys
from csi_zfs.zfs.objects import Objects
from csi_zfs.zfs.recent import RecentReads
from csi_zfs.zfs.reservation import (
    DEFAULT_VOLBLOCKSIZE_BYTES,
    ParityVdev,
    refreservation_bytes,
)
from csi_zfs.zfs.space import Space


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What the operations on a pool share; see the classes of its parts."""

    home: Home
    objects: Objects
    policy: Policy
    ledger: Ledger
    space: Space
    runner: Runner
    native: NativeProperties
    keys: LineageKeys
    devices: ZvolDevices
    vdevs: tuple[ParityVdev, ...]
    recent: RecentReads
    clock: Clock

    def reservation_bytes(self, entry: Dataset | DatasetSnapshot) -> int:
        """What a thick dataset reserves.

        A zvol its bytes, and the blocks that say where they are; a refquota counts these already.
        """
        if entry.kind is DatasetKind.FILESYSTEM:
            return entry.size_bytes
        return reservation_bytes(entry, self.vdevs)

    def capacity(self) -> PoolCapacity:
        """The room that is left; of the thick room so much as a zvol can have as its size."""
        capacity = self.ledger.capacity(self.space.room())
        room_bytes = capacity.admissible_thick_bytes
        return replace(capacity, admissible_thick_bytes=largest_thick_bytes(room_bytes, self.vdevs))

    def claim_of(self, entry: Dataset | DatasetSnapshot) -> Claim:
        """What an object may come to need."""
        return claim_of(entry, self.vdevs)


def reservation_bytes(entry: Dataset | DatasetSnapshot, vdevs: tuple[ParityVdev, ...]) -> int:
    """What a zvol of this size reserves, and what is kept free for a file system too.

    Whoever asks for the pool's room does not say for which of them.
    """
    properties = entry.properties if isinstance(entry, Dataset) else {}
    return refreservation_bytes(
        entry.size_bytes,
        volblocksize_bytes=volblocksize_bytes_of(entry),
        copies=int(properties.get("copies", 1)),
        vdevs=vdevs,
    )


def size_properties(engine: Engine, dataset: Dataset) -> dict[str, int]:
    """The native properties that hold a dataset's size (rules.md A9), and reserve it if thick."""
    name = "refquota" if dataset.kind is DatasetKind.FILESYSTEM else "volsize"
    sizes = {name: dataset.size_bytes}
    if dataset.is_thick:
        sizes["refreservation"] = engine.reservation_bytes(dataset)
    return sizes


def volblocksize_bytes_of(entry: Dataset | DatasetSnapshot) -> int:
    """The size of a zvol's blocks; of a snapshot it is not told, so the usual one."""
    properties = entry.properties if isinstance(entry, Dataset) else {}
    return int(properties.get("volblocksize", DEFAULT_VOLBLOCKSIZE_BYTES))


def largest_thick_bytes(room_bytes: int, vdevs: tuple[ParityVdev, ...]) -> int:
    """The largest zvol, in granules, whose reservation fits into this room."""
    granules = range(room_bytes // GRANULE_BYTES + 1)
    fitting = bisect_right(
        granules,
        room_bytes,
        key=lambda count: refreservation_bytes(count * GRANULE_BYTES, vdevs=vdevs),
    )
    return max(0, fitting - 1) * GRANULE_BYTES


def claim_of(entry: Dataset | DatasetSnapshot, vdevs: tuple[ParityVdev, ...]) -> Claim:
    """See `Engine`; a deleted volume needs nothing but what its snapshots do."""
    if is_tombstone(entry.name) or (isinstance(entry, DatasetSnapshot) and not entry.is_thick):
        return Claim()
    if not entry.is_thick:
        return Claim.of_size(entry.size_bytes, is_thick=False)
    return Claim.of_size(reservation_bytes(entry, vdevs), is_thick=True)


def new_uid() -> str:
    """16 random hex digits."""
    return secrets.token_hex(8)
