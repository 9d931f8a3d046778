"""The key slots of an open store: listed, added, removed, rotated; nobody is locked out."""

import os
from contextlib import suppress
from dataclasses import dataclass

from csi_zfs.cas.api import (
    ObjectNotFoundError,
    ObjectStorage,
    StoreCorruptError,
    UnknownFormatError,
)
from csi_zfs.cas.keys import StoreKey
from csi_zfs.cas.records import SESSION_ID_BYTES
from csi_zfs.cas.slots import SLOTS, Credential, NewSlot, Slot, SlotKind, parse_slot
from csi_zfs.domain.errors import InUseError, InvalidRequestError, NotFoundError
from csi_zfs.system.clock import Clock


class SlotNotFoundError(NotFoundError):
    """The store has no key slot of this id."""


class AmbiguousSlotError(InvalidRequestError):
    """Several key slots have ids that begin so."""


class SlotNeededError(InUseError):
    """Without this slot the caller could not open the store any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotInfo:
    """What is told of a slot; one that cannot be read has a `problem` and no kind."""

    slot_id: str
    kind: SlotKind | None = None
    label: str = ""
    created_ns: int = 0
    problem: str = ""


class KeyRing:
    """The slots of one store, whose key is known."""

    def __init__(
        self, storage: ObjectStorage, store_id: bytes, store_key: StoreKey, clock: Clock
    ) -> None:
        self._storage = storage
        self._store_id = store_id
        self._store_key = store_key
        self._clock = clock

    def slots(self) -> list[SlotInfo]:
        """All slots, oldest first."""
        infos = [self._info(slot_id) for slot_id in self._ids()]
        return sorted((one for one in infos if one), key=lambda one: (one.created_ns, one.slot_id))

    def add(self, credential: Credential, label: str) -> str:
        """Make a slot that this credential opens; returns its id once it was seen to open."""
        slot_id = os.urandom(SESSION_ID_BYTES).hex()
        new = NewSlot(
            slot_id=slot_id,
            store_id=self._store_id,
            label=label,
            created_ns=self._clock.now_ns(),
        )
        self._storage.put_new(SLOTS + slot_id, new.encode(self._store_key, credential))
        if not self._opens(slot_id, credential):
            raise StoreCorruptError(f"key slot {slot_id} is not what was written")
        return slot_id

    def remove(self, slot_id: str, credential: Credential) -> str:
        """Remove a slot, named by the beginning of its id; returns the whole of it.

        The caller's credential must open another one: a slot of which nobody proves that it opens
        counts for nothing.  Raises `SlotNotFoundError`, `AmbiguousSlotError`, `SlotNeededError`.
        """
        found = self._named(slot_id)
        own = [one for one in self._ids() if one != found and self._opens(one, credential)]
        if not own:
            raise SlotNeededError(
                f"key slot {found} stays: what you opened the store with opens no other one. Add"
                " another slot, and open the store with its key to remove this one"
            )
        # Somebody else may be removing ours at this moment: they do not know of the spare one.
        spare = self.add(credential, self._label_of(own[0]))
        self._storage.delete([SLOTS + found])
        if any(self._opens(one, credential) for one in own):
            self._storage.delete([SLOTS + spare])
        return found

    def rotate(self, old: Credential, new: Credential) -> tuple[str, list[str]]:
        """Make a slot for `new`, then remove all that `old` opens; returns the new and the old ids.

        What is cut short leaves both: repeat it with the new one to see, and remove the old.
        """
        olds = [slot_id for slot_id in self._ids() if self._opens(slot_id, old)]
        label = self._label_of(olds[0]) if olds else ""
        added = self.add(new, label)
        self._storage.delete([SLOTS + slot_id for slot_id in olds])
        return added, olds

    def _ids(self) -> list[str]:
        return [info.key.removeprefix(SLOTS) for info in self._storage.list(SLOTS)]

    def _named(self, beginning: str) -> str:
        found = [slot_id for slot_id in self._ids() if slot_id.startswith(beginning)]
        if not beginning or not found:
            raise SlotNotFoundError(f"the store has no key slot {beginning!r}")
        if len(found) > 1:
            raise AmbiguousSlotError(f"the ids of {len(found)} key slots begin with {beginning!r}")
        return found[0]

    def _info(self, slot_id: str) -> SlotInfo | None:
        try:
            slot = self._read(slot_id)
            slot.require_genuine(self._store_key)
        except ObjectNotFoundError:
            return None
        except (StoreCorruptError, UnknownFormatError) as exc:
            return SlotInfo(slot_id=slot_id, problem=str(exc))
        return SlotInfo(
            slot_id=slot_id, kind=slot.kind, label=slot.label, created_ns=slot.created_ns
        )

    def _label_of(self, slot_id: str) -> str:
        info = self._info(slot_id)
        return info.label if info else ""

    def _opens(self, slot_id: str, credential: Credential) -> bool:
        with suppress(ObjectNotFoundError, StoreCorruptError, UnknownFormatError):
            slot = self._read(slot_id)
            slot.require_genuine(self._store_key)
            opened = slot.opened(credential, self._store_id)
            return opened is not None and opened.secret == self._store_key.secret
        return False

    def _read(self, slot_id: str) -> Slot:
        key = SLOTS + slot_id
        return parse_slot(key, self._storage.get(key).data)
