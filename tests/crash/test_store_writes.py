"""I8, I16: whoever writes to a store dies, loses the power or an answer, at every effect there is.

Whatever is left, a new client that remembers what it saw opens the store; what was there is whole;
what was being written is there as a whole or not at all; and the call can be repeated.
"""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from csi_zfs.cas import store as store_module
from csi_zfs.cas import writing
from csi_zfs.cas.api import (
    BlobKind,
    Manifest,
    ObjectStorage,
    StorageUnavailableError,
    StoreExistsError,
    WrongKeyError,
)
from csi_zfs.cas.image_tree import ImageTreeReader, image_tree_of
from csi_zfs.cas.objects.local import LocalObjects
from csi_zfs.cas.objects.local_root import make_local_storage
from csi_zfs.cas.slots import SLOTS, Credential, NewSlot, SlotKind
from csi_zfs.cas.store import Store, make_store, unlocked
from tests.support.clock import FakeClock
from tests.support.faulty_objects import Fault, FaultyObjects
from tests.support.files import CrashError, Effects, Stop
from tests.support.memory_objects import Kept, MemoryObjects
from tests.support.power_cut import ForgetfulDisk, ForgetfulFiles, HurriedFiles
from tests.support.stores import CHUNK_BYTES, CREDENTIAL, MemoryHead, opened_store, put_image

SECOND_KEY = Credential(SlotKind.KEY, b"another key of it, 32 bytes long")
# Few bytes for a pack, so that an image of small chunks takes several.
SMALL_PACK_BYTES = 620
OPEN_PACKS = len(BlobKind)
Content = dict[str, list[bytes]]
_numbers = count()


def chunk(text: str) -> bytes:
    """A chunk that takes few bytes in a pack."""
    return text.encode().ljust(CHUNK_BYTES, b".")


FIRST = [chunk("one"), chunk("two")]
SECOND = [chunk("two"), b"", chunk("three")]
NEW = [chunk("two"), *(chunk(f"new {number}") for number in range(9))]


@dataclass(slots=True)
class World:
    """A storage with a store of two images, and what a client remembers of it."""

    storage: ObjectStorage
    memory: MemoryHead = field(default_factory=MemoryHead)
    first: str = ""
    second: str = ""

    def prepare(self) -> "World":
        """Make the store."""
        make_store(self.storage, CREDENTIAL, FakeClock(), chunk_bytes=CHUNK_BYTES)
        with opened_store(self.storage, memory=self.memory) as store:
            self.first = put_image(store, FIRST).manifest_id
            self.second = put_image(store, SECOND).manifest_id
        return self

    def at(self, storage: ObjectStorage) -> "World":
        """The same store, reached in another way, by a client that remembers as much."""
        return World(storage, MemoryHead(self.memory.head), self.first, self.second)

    def content(self) -> Content:
        """All manifests with what they hold, read back by a new client."""
        with opened_store(self.storage, memory=self.memory) as store:
            store.refresh()
            return {one.manifest_id: read(store, one) for one in store.manifests()}

    def packs(self) -> int:
        """How many packs there are."""
        return len(list(self.storage.list("packs/")))


def read(store: Store, manifest: Manifest) -> list[bytes]:
    source, tree = store.reader(), image_tree_of(manifest.root)
    found = [b""] * tree.chunk_count
    for index, digest in ImageTreeReader(source, tree).chunks():
        found[index] = source.get(digest, BlobKind.DATA)
    return found


@dataclass(frozen=True, slots=True)
class Scenario:
    """Something that is written, what it adds to the two images, and what it takes away."""

    name: str
    act: Callable[[World], object]
    adds: list[bytes] | None = None
    removes_second: bool = False


def put(world: World) -> None:
    with opened_store(world.storage, memory=world.memory) as store:
        put_image(store, NEW)


def clone(world: World) -> None:
    with opened_store(world.storage, memory=world.memory) as store:
        store.clone(world.first, {"of": "first"})


def delete(world: World) -> None:
    with opened_store(world.storage, memory=world.memory) as store:
        store.delete(world.second)


def add_key(world: World) -> None:
    header, store_key = unlocked(world.storage, CREDENTIAL)
    slot_id = os.urandom(16).hex()
    slot = NewSlot(slot_id=slot_id, store_id=header.store_id, label="second", created_ns=1)
    world.storage.put_new(SLOTS + slot_id, slot.encode(store_key, SECOND_KEY))


SCENARIOS = [
    Scenario("put", put, adds=NEW),
    Scenario("clone", clone, adds=FIRST),
    Scenario("delete", delete, removes_second=True),
    Scenario("add key", add_key),
]
every_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda it: it.name)


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several packs for few chunks, one effect after the other."""
    monkeypatch.setattr(writing, "PACK_BYTES", SMALL_PACK_BYTES)
    monkeypatch.setattr(store_module, "_THREADS", 1)


def require_old_or_new(world: World, scenario: Scenario, attempts: int, *, done: int) -> None:
    """The old manifests are whole, and of the new ones at most as many as were tried."""
    content = world.content()
    assert content.pop(world.first) == FIRST
    if not (scenario.removes_second and done):
        second = content.pop(world.second, None)
        assert second == SECOND or (scenario.removes_second and second is None)
    assert all(found == scenario.adds for found in content.values())
    least = done if scenario.adds else 0
    assert least <= len(content) <= (attempts if scenario.adds else 0)
    if scenario.act is add_key and done:
        unlocked(world.storage, SECOND_KEY)


def require_repeatable(world: World, scenario: Scenario) -> None:
    require_old_or_new(world, scenario, 1, done=0)
    scenario.act(world)
    require_old_or_new(world, scenario, 2, done=1)


class Death:
    """Effects of a process that dies at one of them, with all its threads; reads are none."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.points: list[str] = []
        self._is_dead = False
        self._lock = threading.Lock()

    def __call__(self, point: str) -> None:
        """Come to a point."""
        with self._lock:
            if not point.startswith("read"):
                self._is_dead |= len(self.points) == self.stop_at
                self.points.append(point)
            if self._is_dead:
                raise CrashError


def copy_of(world: World) -> World:
    """The same in memory, on its own."""
    assert isinstance(world.storage, MemoryObjects)
    storage = MemoryObjects()
    storage.kept = {key: Kept(kept.data, 0.0) for key, kept in world.storage.kept.items()}
    return world.at(storage)


@pytest.fixture
def prepared() -> World:
    return World(MemoryObjects()).prepare()


@every_scenario
def test_client_that_dies_at_any_effect_leaves_the_old_whole(
    prepared: World, scenario: Scenario
) -> None:
    """Before and behind every write; what was uploaded is found, but for what was open."""
    undisturbed, death = copy_of(prepared), Death()
    scenario.act(undisturbed.at(FaultyObjects(undisturbed.storage, effects=death)))
    assert death.points
    for number in range(len(death.points)):
        world, dying = copy_of(prepared), Death(number)
        with pytest.raises(CrashError):
            scenario.act(world.at(FaultyObjects(world.storage, effects=dying)))
        assert len(dying.points) >= number
        require_repeatable(world, scenario)
        assert world.packs() <= undisturbed.packs() + OPEN_PACKS


def test_put_has_as_many_effects_as_it_has_objects(prepared: World) -> None:
    """Session, packs, index, manifest, journal: none of them is missed by the test above."""
    death = Death()
    packs = prepared.packs()
    put(prepared.at(FaultyObjects(prepared.storage, effects=death)))
    new_packs = prepared.packs() - packs
    assert new_packs >= 4
    words = ["put_new", *(["put"] * new_packs), "put_new", "replace", "put_new"]
    assert death.points == [f"{word}:{side}" for word in words for side in ("before", "after")]


@pytest.mark.parametrize("side", ["before", "after"])
def test_maker_of_a_store_that_dies_can_begin_again(side: str) -> None:
    death = Death()
    make_store(
        FaultyObjects(MemoryObjects(), effects=death),
        CREDENTIAL,
        FakeClock(),
        chunk_bytes=CHUNK_BYTES,
    )
    stops = [at for at, point in enumerate(death.points) if point.endswith(side)]
    assert len(stops) == 4
    for number in stops:
        storage = MemoryObjects()
        with pytest.raises(CrashError):
            make_store(
                FaultyObjects(storage, effects=Death(number)),
                CREDENTIAL,
                FakeClock(),
                chunk_bytes=CHUNK_BYTES,
            )
        require_makeable(storage)


def require_makeable(storage: ObjectStorage) -> None:
    """Begin again; it may have been there as a whole."""
    try:
        make_store(storage, CREDENTIAL, FakeClock(), chunk_bytes=CHUNK_BYTES)
    except StoreExistsError:
        unlocked(storage, CREDENTIAL)
    with pytest.raises(WrongKeyError):
        unlocked(storage, SECOND_KEY)
    assert len(list(storage.list(SLOTS))) == 1
    with opened_store(storage) as store:
        assert store.manifests() == []
        manifest = put_image(store, FIRST)
        assert store.manifests() == [manifest]


@every_scenario
@pytest.mark.parametrize("fault", [Fault.BUSY, Fault.LOST, Fault.TWICE, Fault.LATE])
def test_fault_of_any_write_changes_nothing_but_that_it_may_be_repeated(
    prepared: World, scenario: Scenario, fault: Fault
) -> None:
    """I16."""
    death = Death()
    undisturbed = copy_of(prepared)
    scenario.act(undisturbed.at(FaultyObjects(undisturbed.storage, effects=death)))
    for number in range(len(death.points) // 2):
        world = copy_of(prepared)
        writes = [Fault.OK] * number + [fault]
        client = world.at(FaultyObjects(world.storage, writes=writes))
        attempts = 1
        try:
            scenario.act(client)
        except StorageUnavailableError:
            assert fault in {Fault.BUSY, Fault.LOST}
            attempts = 2
            scenario.act(client)
        require_old_or_new(world, scenario, attempts, done=1)
        scenario.act(client)
        require_old_or_new(world, scenario, attempts + 1, done=1)


def on_disk(directory: Path) -> tuple[World, Path]:
    path = directory / f"{next(_numbers)}"
    make_local_storage(path, HurriedFiles())
    return World(LocalObjects(path, HurriedFiles())).prepare(), path


def cuts() -> Iterator[Callable[[str], bool]]:
    """Nothing of what was not synced survives, all of it, or each other name."""
    yield lambda _path: False
    yield lambda _path: True
    for parity in (0, 1):
        yield lambda path, parity=parity: sum(path.encode()) % 2 == parity  # type: ignore[misc]


def left_by(disk: ForgetfulDisk, directory: Path, keeps: Callable[[str], bool]) -> ObjectStorage:
    path = directory / f"{next(_numbers)}"
    disk.cut(path, keeps=keeps)
    return LocalObjects(path, HurriedFiles())


@pytest.mark.slow
@every_scenario
def test_power_that_goes_at_any_effect_on_the_disk_leaves_the_old_whole(
    tmp_path: Path, scenario: Scenario
) -> None:
    """On a disk that forgets what was not synced; what had returned is there."""
    for number in count():
        world, root = on_disk(tmp_path)
        disk, effects = ForgetfulDisk(root), Effects(number, Stop.AFTER)
        try:
            scenario.act(world.at(LocalObjects(root, ForgetfulFiles(disk, effects))))
        except CrashError:
            assert effects.was_reached
            for keeps in cuts():
                require_repeatable(world.at(left_by(disk, tmp_path, keeps)), scenario)
        else:
            assert not effects.was_reached
            assert number == len(effects.done) > 4
            for keeps in cuts():
                left = world.at(left_by(disk, tmp_path, keeps))
                require_old_or_new(left, scenario, 1, done=1)
            return


@pytest.mark.slow
def test_power_that_goes_while_a_store_is_made_leaves_what_can_be_made(tmp_path: Path) -> None:
    for number in count():
        root = tmp_path / f"{next(_numbers)}"
        make_local_storage(root, HurriedFiles())
        disk, effects = ForgetfulDisk(root), Effects(number, Stop.AFTER)
        storage = LocalObjects(root, ForgetfulFiles(disk, effects))
        try:
            make_store(storage, CREDENTIAL, FakeClock(), chunk_bytes=CHUNK_BYTES)
        except CrashError:
            for keeps in cuts():
                require_makeable(left_by(disk, tmp_path, keeps))
        else:
            assert number == len(effects.done) > 9
            return


class UnsyncedFiles(ForgetfulFiles):
    """The control: a storage that forgets to sync directories."""

    def sync(self, path: Path) -> None:
        """Do nothing."""


def test_power_cut_finds_a_storage_that_does_not_sync(tmp_path: Path) -> None:
    world, root = on_disk(tmp_path)
    disk = ForgetfulDisk(root)
    put(world.at(LocalObjects(root, UnsyncedFiles(disk, Effects()))))
    left = world.at(left_by(disk, tmp_path, next(cuts())))
    with pytest.raises(AssertionError):
        require_old_or_new(left, SCENARIOS[0], 1, done=1)
