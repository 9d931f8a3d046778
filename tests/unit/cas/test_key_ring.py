import os
from collections.abc import Callable, Iterable

import pytest

from csi_zfs.cas.api import WrongKeyError
from csi_zfs.cas.key_ring import AmbiguousSlotError, KeyRing, SlotNeededError, SlotNotFoundError
from csi_zfs.cas.slots import SLOTS, Credential, SlotKind
from csi_zfs.cas.store import make_store, unlocked
from tests.support.clock import FakeClock
from tests.support.memory_objects import MemoryObjects
from tests.support.stores import CHUNK_BYTES, CREDENTIAL

OTHER = Credential(SlotKind.KEY, b"another key of a store, as long.")


class InterruptedObjects(MemoryObjects):
    """Does something of somebody else's right behind the next delete."""

    then: Callable[[], object] = staticmethod(lambda: None)

    def delete(self, keys: Iterable[str]) -> None:
        super().delete(keys)
        then, self.then = self.then, lambda: None
        then()


def opened(storage: MemoryObjects, credential: Credential = CREDENTIAL) -> KeyRing:
    header, store_key = unlocked(storage, credential)
    return KeyRing(storage, header.store_id, store_key, FakeClock())


@pytest.fixture(name="storage")
def fixture_storage() -> InterruptedObjects:
    storage = InterruptedObjects()
    make_store(storage, CREDENTIAL, FakeClock(), chunk_bytes=CHUNK_BYTES)
    return storage


def test_last_slot_and_the_callers_own_stay(storage: InterruptedObjects) -> None:
    ring = opened(storage)
    (first,) = ring.slots()
    with pytest.raises(SlotNeededError):
        ring.remove(first.slot_id, CREDENTIAL)
    ring.add(OTHER, "second")
    with pytest.raises(SlotNeededError):
        ring.remove(first.slot_id, CREDENTIAL)
    assert ring.remove(first.slot_id, OTHER) == first.slot_id
    assert [slot.label for slot in ring.slots()] == ["second"]


def test_slot_that_does_not_open_counts_for_nothing(storage: InterruptedObjects) -> None:
    ring = opened(storage)
    (first,) = ring.slots()
    storage.put(SLOTS + "0" * 32, b"damaged")

    with pytest.raises(SlotNeededError):
        ring.remove(first.slot_id, CREDENTIAL)
    damaged = next(slot for slot in ring.slots() if slot.problem)
    assert ring.remove(damaged.slot_id, CREDENTIAL) == "0" * 32
    assert ring.slots() == [first]


def test_two_who_remove_each_others_slot_both_keep_one(storage: InterruptedObjects) -> None:
    """Between the look and the delete the other one's delete may come."""
    ring = opened(storage)
    (first,) = ring.slots()
    second = ring.add(OTHER, "second")
    storage.then = lambda: storage.delete([SLOTS + first.slot_id])

    ring.remove(second, CREDENTIAL)

    assert opened(storage).slots()
    assert [slot.label for slot in ring.slots()] == ["first"]


def test_removal_that_is_cut_short_anywhere_leaves_a_slot_that_opens(
    storage: InterruptedObjects,
) -> None:
    """Also where the other one removes ours meanwhile, and nobody comes to heal it."""

    def cut() -> None:
        storage.delete([SLOTS + first.slot_id])
        raise KeyboardInterrupt

    ring = opened(storage)
    (first,) = ring.slots()
    second = ring.add(OTHER, "second")
    storage.then = cut

    with pytest.raises(KeyboardInterrupt):
        ring.remove(second, CREDENTIAL)
    assert [slot.label for slot in opened(storage).slots()] == ["first"]


def test_rotation_keeps_the_label_and_removes_all_that_the_old_one_opens(
    storage: InterruptedObjects,
) -> None:
    ring = opened(storage)
    ring.add(CREDENTIAL, "again")
    kept = ring.add(Credential(SlotKind.KEY, os.urandom(32)), "kept")

    added, removed = ring.rotate(CREDENTIAL, OTHER)

    assert len(removed) == 2
    assert {slot.slot_id for slot in ring.slots()} == {kept, added}
    assert opened(storage, OTHER).slots()
    with pytest.raises(WrongKeyError):
        opened(storage)


def test_rotation_that_is_cut_short_leaves_both(
    storage: InterruptedObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = opened(storage)

    def cut(keys: Iterable[str]) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(storage, "delete", cut)
        with pytest.raises(KeyboardInterrupt):
            ring.rotate(CREDENTIAL, OTHER)
    assert opened(storage).slots() == opened(storage, OTHER).slots()


def test_slot_is_named_by_a_beginning_that_only_it_has(storage: InterruptedObjects) -> None:
    ring = opened(storage)
    storage.put(SLOTS + "0" * 32, b"damaged")
    storage.put(SLOTS + "0" * 31 + "1", b"damaged")

    with pytest.raises(AmbiguousSlotError):
        ring.remove("000", CREDENTIAL)
    for text in ("", "z"):
        with pytest.raises(SlotNotFoundError):
            ring.remove(text, CREDENTIAL)
    assert len(ring.slots()) == 3


def test_slot_of_a_later_format_is_named_and_in_nobodys_way(storage: InterruptedObjects) -> None:
    ring = opened(storage)
    later = SLOTS + "f" * 32
    storage.put(later, b'{"format":2,"kind":"of the future"}')

    ring.add(OTHER, "second")
    ring.rotate(CREDENTIAL, CREDENTIAL)

    (problem,) = [slot.problem for slot in ring.slots() if slot.problem]
    assert "format 2" in problem
    (first,) = [slot.slot_id for slot in ring.slots() if slot.label == "first"]
    assert ring.remove(first, OTHER) == first
    assert later in storage.kept
