"""The collector's epoch in the storage, changed by compare-and-swap only."""

from dataclasses import dataclass

from csi_zfs.cas.api import ObjectExistsError, ObjectNotFoundError, StoreCorruptError
from csi_zfs.cas.records import EPOCH_KEY, Epoch, Phase, encode_epoch, parse_epoch
from csi_zfs.cas.sealing import ObjectKind
from csi_zfs.cas.vault import Vault


@dataclass(frozen=True, slots=True)
class ReadEpoch:
    """The epoch as it was read, with the tag by which it may be replaced."""

    epoch: Epoch
    tag: str


def make_epoch(vault: Vault) -> None:
    """Write the first epoch of a new store, unless it is there."""
    first = encode_epoch(Epoch(0, Phase.IDLE, frozenset()))
    try:
        vault.put_new(ObjectKind.EPOCH, EPOCH_KEY, first)
    except ObjectExistsError:
        read_epoch(vault)


def read_epoch(vault: Vault) -> ReadEpoch:
    """The epoch.  Raises `StoreCorruptError` where there is none: nothing is safe then."""
    try:
        payload, tag = vault.get(ObjectKind.EPOCH, EPOCH_KEY)
    except ObjectNotFoundError as exc:
        raise StoreCorruptError(f"{EPOCH_KEY} is missing: somebody removed it") from exc
    return ReadEpoch(parse_epoch(payload), tag)


def advance(vault: Vault, read: ReadEpoch, phase: Phase, packs: frozenset[bytes]) -> ReadEpoch:
    """Put the next epoch in the place of this one.

    Raises `ObjectChangedError` where another collector was faster.
    """
    epoch = Epoch(read.epoch.number + 1, phase, packs)
    tag = vault.replace(ObjectKind.EPOCH, EPOCH_KEY, encode_epoch(epoch), tag=read.tag)
    return ReadEpoch(epoch, tag)
