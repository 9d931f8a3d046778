"""Whoever changes the keys of a store dies at every effect there is: nobody is locked out."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from csi_zfs.cas.api import WrongKeyError
from csi_zfs.cas.key_ring import KeyRing
from csi_zfs.cas.objects.local import LocalObjects
from csi_zfs.cas.objects.local_root import make_local_storage
from csi_zfs.cas.slots import Credential, SlotKind
from csi_zfs.cas.store import make_store, unlocked
from csi_zfs.system.files import Files
from tests.support.clock import FakeClock
from tests.support.files import CrashError, CrashingFiles, Effects, Stop
from tests.support.stores import CHUNK_BYTES, CREDENTIAL

OTHER = Credential(SlotKind.KEY, b"the other key of it, of 32 bytes")
NEW = Credential(SlotKind.KEY, b"a new key for a store, 32 bytes.")
LABEL = "other"


def ring_of(directory: Path, credential: Credential, files: Files | None = None) -> KeyRing:
    storage = LocalObjects(directory, files)
    header, store_key = unlocked(storage, credential)
    return KeyRing(storage, header.store_id, store_key, FakeClock())


def rotate(directory: Path, files: Files | None = None) -> None:
    """Put the new key in the place of the first, if that was not done."""
    try:
        ring_of(directory, CREDENTIAL, files).rotate(CREDENTIAL, NEW)
    except WrongKeyError:
        assert opens(directory, NEW)


def remove(directory: Path, files: Files | None = None) -> None:
    """Remove the slot of the other key, if it is there."""
    ring = ring_of(directory, CREDENTIAL, files)
    for slot in ring.slots():
        if slot.label == LABEL:
            ring.remove(slot.slot_id, CREDENTIAL)


def opens(directory: Path, credential: Credential) -> bool:
    try:
        unlocked(LocalObjects(directory), credential)
    except WrongKeyError:
        return False
    return True


@pytest.fixture(name="made")
def fixture_made(tmp_path: Path) -> Path:
    """A store with the slots of two keys."""
    directory = tmp_path / "made"
    make_local_storage(directory)
    make_store(LocalObjects(directory), CREDENTIAL, FakeClock(), chunk_bytes=CHUNK_BYTES)
    ring_of(directory, CREDENTIAL).add(OTHER, LABEL)
    return directory


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the keys: which one opens all along, which do in the end, and which does not."""

    act: Callable[[Path, Files | None], None]
    keeps: Credential
    has: tuple[Credential, ...]
    has_not: Credential


CHANGES = {
    "rotate": Change(rotate, OTHER, (OTHER, NEW), CREDENTIAL),
    "remove": Change(remove, CREDENTIAL, (CREDENTIAL,), OTHER),
}


@pytest.mark.parametrize("stop", [Stop.BEFORE, Stop.AFTER])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_death_at_any_effect_locks_nobody_out_and_the_repetition_ends_it(
    made: Path, change: Change, stop: Stop
) -> None:
    for point in count():
        directory = made.with_name(f"{stop.name}-{point}")
        shutil.copytree(made, directory)
        effects = Effects(stop_at=point, stop=stop)
        try:
            change.act(directory, CrashingFiles(effects))
        except CrashError:
            assert effects.is_dead
        if not effects.was_reached:
            break
        assert opens(directory, change.keeps)
        assert opens(directory, CREDENTIAL) or opens(directory, NEW)
        change.act(directory, None)
        assert all(opens(directory, credential) for credential in change.has)
        assert not opens(directory, change.has_not)
    assert point == len(effects.done) > 3
