"""What a store is made and opened from: its header, its slots, and what is left without them."""

import json
import os
from collections.abc import Callable

import pytest

from csi_zfs.cas.api import (
    StorageUnavailableError,
    StoreCorruptError,
    StoreExistsError,
    UnknownFormatError,
    WrongKeyError,
)
from csi_zfs.cas.epochs import read_epoch
from csi_zfs.cas.header import HEADER_KEY, Header, vouched
from csi_zfs.cas.keys import StoreKey
from csi_zfs.cas.records import EPOCH_KEY
from csi_zfs.cas.slots import SLOTS, Credential, NewSlot, SlotKind, parse_slot
from csi_zfs.cas.store import make_store, unlocked
from csi_zfs.domain.errors import InvalidRequestError
from tests.support.clock import FakeClock
from tests.support.faulty_objects import FaultyObjects, faults
from tests.support.memory_objects import Kept, MemoryObjects
from tests.support.points import once
from tests.support.stores import CHUNK_BYTES, CREDENTIAL, new_store, opened_store, put_image

ONE = os.urandom(CHUNK_BYTES)
STRANGER = Credential(SlotKind.KEY, b"x" * 32)
PASSPHRASE = Credential(SlotKind.PASSPHRASE, b"correct horse")
CHEAP = 1 << 4


def made() -> MemoryObjects:
    storage = MemoryObjects()
    make_store(storage, CREDENTIAL, FakeClock(), chunk_bytes=CHUNK_BYTES)
    return storage


def slots_of(storage: MemoryObjects) -> list[str]:
    return sorted(key for key in storage.kept if key.startswith(SLOTS))


def add_slot(storage: MemoryObjects, credential: Credential, **cost: int) -> str:
    header, store_key = unlocked(storage, CREDENTIAL)
    slot_id = os.urandom(16).hex()
    slot = NewSlot(slot_id=slot_id, store_id=header.store_id, label="x", created_ns=1, **cost)
    storage.put_new(SLOTS + slot_id, slot.encode(store_key, credential))
    return SLOTS + slot_id


def altered(data: bytes, **fields: object) -> bytes:
    """A document with other fields, whatever they are worth."""
    document = json.loads(data) | fields
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize("kept", ["packs/", "sessions/", "journal/", "indexes/", "collector/"])
def test_store_without_its_header_is_damaged_and_no_new_one_takes_its_keys(kept: str) -> None:
    """A new store in its place would remove the old slots, and with them all that was stored."""
    storage = MemoryObjects()
    with new_store(storage) as store:
        put_image(store, [ONE])
    header = storage.kept.pop(HEADER_KEY)
    for key in list(storage.kept):
        if not key.startswith((kept, SLOTS)):
            del storage.kept[key]
    before = dict(storage.kept)
    with pytest.raises(StoreCorruptError, match="header"):
        make_store(storage, CREDENTIAL, FakeClock(), chunk_bytes=CHUNK_BYTES)
    with pytest.raises(StoreCorruptError, match="header"):
        unlocked(storage, CREDENTIAL)
    assert storage.kept == before
    storage.kept[HEADER_KEY] = header
    unlocked(storage, CREDENTIAL)


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("fault", ["busy", "lost", "twice", "late"])
def test_store_whose_making_was_cut_short_is_made_by_the_next_attempt(
    number: int, fault: str
) -> None:
    storage = MemoryObjects()
    faulty = FaultyObjects(storage, writes=faults("ok " * number + fault))
    try:
        make_store(faulty, CREDENTIAL, FakeClock(), chunk_bytes=CHUNK_BYTES)
    except StorageUnavailableError:
        has_epoch = EPOCH_KEY in storage.kept
        try:
            make_store(storage, CREDENTIAL, FakeClock(), chunk_bytes=CHUNK_BYTES)
        except StoreExistsError:
            assert has_epoch
    assert len(slots_of(storage)) == 1
    with opened_store(storage) as store:
        assert store.manifests() == []
        put_image(store, [ONE])


def test_store_of_somebody_else_that_was_cut_short_is_left_alone() -> None:
    storage = made()
    del storage.kept[EPOCH_KEY]
    before = dict(storage.kept)
    with pytest.raises(StoreExistsError):
        make_store(storage, STRANGER, FakeClock(), chunk_bytes=CHUNK_BYTES)
    assert storage.kept == before


def test_epoch_that_a_store_lost_is_not_made_anew_by_making_the_store() -> None:
    storage = MemoryObjects()
    with new_store(storage) as store:
        put_image(store, [ONE])
    for key in [EPOCH_KEY, *(key for key in storage.kept if key.startswith("sessions/"))]:
        del storage.kept[key]
    with pytest.raises(StoreExistsError):
        make_store(storage, CREDENTIAL, FakeClock(), chunk_bytes=CHUNK_BYTES)
    with opened_store(storage) as store, pytest.raises(StoreCorruptError, match="epoch"):
        read_epoch(store.vault)


def test_of_two_makers_at_once_one_makes_the_store() -> None:
    storage = MemoryObjects()

    def be_faster() -> None:
        make_store(storage, STRANGER, FakeClock(), chunk_bytes=CHUNK_BYTES)

    slow = FaultyObjects(storage, effects=once("put_new:after", be_faster))
    with pytest.raises(StoreExistsError):
        make_store(slow, CREDENTIAL, FakeClock(), chunk_bytes=CHUNK_BYTES)
    unlocked(storage, STRANGER)
    assert len(slots_of(storage)) == 1


@pytest.mark.parametrize("chunk_bytes", [0, 1, 32 << 10, 96 << 10, 8 << 20, -(64 << 10)])
def test_store_of_odd_chunks_is_not_made(chunk_bytes: int) -> None:
    storage = MemoryObjects()
    with pytest.raises(InvalidRequestError, match="power of two"):
        make_store(storage, CREDENTIAL, FakeClock(), chunk_bytes=chunk_bytes)
    assert not storage.kept


def test_every_slot_opens_and_the_wrong_credential_opens_none() -> None:
    storage = made()
    add_slot(storage, STRANGER)
    add_slot(storage, PASSPHRASE, cost=CHEAP)
    assert unlocked(storage, CREDENTIAL) == unlocked(storage, STRANGER)
    assert unlocked(storage, CREDENTIAL) == unlocked(storage, PASSPHRASE)
    for wrong in (
        Credential(SlotKind.PASSPHRASE, b"another"),
        Credential(SlotKind.KEY, b"y" * 32),
        Credential(SlotKind.PASSPHRASE, CREDENTIAL.secret),
    ):
        with pytest.raises(WrongKeyError):
            unlocked(storage, wrong)


def test_slot_that_goes_while_another_one_is_sought_is_no_matter() -> None:
    storage = made()
    added = add_slot(storage, STRANGER)
    first, second = slots_of(storage)
    del storage.kept[next(one for one in (first, second) if one != added)]
    storage.kept[SLOTS + "0" * 32] = storage.kept[added]

    def remove() -> None:
        storage.delete([SLOTS + "0" * 32])

    points = iter(["header", "list"])

    def effects(point: str) -> None:
        if point == "read:after" and next(points, "") == "list":
            remove()

    unlocked(FaultyObjects(storage, effects=effects), STRANGER)


def test_store_without_any_slot_says_that_none_opens() -> None:
    storage = made()
    storage.delete(slots_of(storage))
    with pytest.raises(WrongKeyError):
        unlocked(storage, CREDENTIAL)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data + b" ",
        lambda _data: b"",
        lambda _data: b"[" * 100_000,
        lambda _data: b"{}" + b" " * (1 << 20),
        lambda data: altered(data, kind="sword"),
        lambda data: altered(data, cost=-1),
        lambda data: altered(data, cost=1 << 60),
        lambda data: altered(data, cost=True),
        lambda data: altered(data, salt="zz"),
        lambda data: altered(data, salt="00"),
        lambda data: altered(data, wrapped="AB" * 48),
        lambda data: altered(data, label=5),
        lambda data: altered(data, more=1),
        lambda data: altered(data, format=0),
        lambda data: altered(data, format="1"),
    ],
)
def test_damaged_slot_is_told_and_the_others_open(damage: Callable[[bytes], bytes]) -> None:
    storage = made()
    (key,) = slots_of(storage)
    add_slot(storage, STRANGER)
    storage.kept[key] = Kept(damage(storage.kept[key].data), 0.0)
    with pytest.raises(StoreCorruptError, match=key):
        unlocked(storage, CREDENTIAL)
    unlocked(storage, STRANGER)


@pytest.mark.parametrize("cost", [0, 1, 3, 1 << 19, 1 << 62])
def test_cost_that_would_take_all_memory_is_not_paid(cost: int) -> None:
    storage = made()
    key = add_slot(storage, PASSPHRASE, cost=CHEAP)
    data = altered(storage.kept[key].data, cost=cost)
    with pytest.raises(StoreCorruptError, match="cost"):
        parse_slot(key, data)
    storage.kept[key] = Kept(data, 0.0)
    with pytest.raises(StoreCorruptError, match="cost"):
        unlocked(storage, PASSPHRASE)


def test_slot_of_the_future_is_told_and_the_others_open() -> None:
    storage = made()
    (key,) = slots_of(storage)
    add_slot(storage, STRANGER)
    storage.kept[key] = Kept(altered(storage.kept[key].data, format=2), 0.0)
    with pytest.raises(UnknownFormatError, match=f"{key} has format 2"):
        unlocked(storage, CREDENTIAL)
    unlocked(storage, STRANGER)


def test_slot_that_opens_and_was_changed_is_refused() -> None:
    storage = made()
    (key,) = slots_of(storage)
    storage.kept[key] = Kept(altered(storage.kept[key].data, label="other"), 0.0)
    with pytest.raises(StoreCorruptError, match=key):
        unlocked(storage, CREDENTIAL)


def test_slot_under_the_name_of_another_one_does_not_open() -> None:
    storage = made()
    (key,) = slots_of(storage)
    storage.kept[SLOTS + "0" * 32] = storage.kept.pop(key)
    with pytest.raises(WrongKeyError):
        unlocked(storage, CREDENTIAL)


def test_credentials_and_labels_are_checked() -> None:
    for kind, secret in ((SlotKind.PASSPHRASE, b""), (SlotKind.KEY, b"x" * 31)):
        with pytest.raises(InvalidRequestError):
            Credential(kind, secret)
    slot = NewSlot(slot_id="0" * 32, store_id=bytes(16), label="x" * 201, created_ns=1)
    with pytest.raises(InvalidRequestError, match="200"):
        slot.encode(StoreKey.generate(), CREDENTIAL)
    assert "secret" not in repr(CREDENTIAL) + repr(StoreKey.generate())


def test_features_and_formats_of_the_future_are_refused_by_name() -> None:
    storage = made()
    data = storage.kept[HEADER_KEY].data
    storage.kept[HEADER_KEY] = Kept(altered(data, features=["shards", "x"]), 0.0)
    with pytest.raises(UnknownFormatError, match="shards, x"):
        unlocked(storage, CREDENTIAL)
    storage.kept[HEADER_KEY] = Kept(altered(data, format=7), 0.0)
    with pytest.raises(UnknownFormatError, match="format 7"):
        unlocked(storage, CREDENTIAL)


@pytest.mark.parametrize(
    "fields",
    [
        {"chunk_bytes": 100_000},
        {"chunk_bytes": "65536"},
        {"created_ns": -1},
        {"created_ns": 1 << 63},
        {"store_id": "00"},
        {"features": "none"},
        {"features": [1]},
        {"features": {}},
        {"format": None},
        {"mac": 1},
    ],
    ids=str,
)
def test_damaged_header_is_told(fields: dict[str, object]) -> None:
    storage = made()
    data = storage.kept[HEADER_KEY].data
    storage.kept[HEADER_KEY] = Kept(altered(data, **fields), 0.0)
    with pytest.raises(StoreCorruptError, match="store is damaged"):
        unlocked(storage, CREDENTIAL)


def test_header_that_the_key_did_not_make_is_refused() -> None:
    """Another size of chunks, by somebody who has no key."""
    storage = made()
    data = storage.kept[HEADER_KEY].data
    storage.kept[HEADER_KEY] = Kept(altered(data, chunk_bytes=128 << 10), 0.0)
    with pytest.raises(StoreCorruptError, match="not what was written"):
        unlocked(storage, CREDENTIAL)


def test_document_vouched_for_by_another_key_is_refused() -> None:
    """A whole header of another store: its own slots do not open it."""
    storage = made()
    other = StoreKey.generate()
    header, _ = unlocked(storage, CREDENTIAL)
    forged = Header(store_id=header.store_id, created_ns=1).encode(other)
    storage.kept[HEADER_KEY] = Kept(forged, 0.0)
    with pytest.raises(StoreCorruptError):
        unlocked(storage, CREDENTIAL)
    assert forged != vouched(StoreKey.generate(), HEADER_KEY, {})
