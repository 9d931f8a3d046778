"""`check` and `verify` together find any damage (I12, I13), and nothing that is whole."""

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from csi_zfs.cas.api import BlobKind, Manifest
from csi_zfs.cas.checking import Check, CheckReport
from csi_zfs.cas.image_tree import ImageTreeReader, image_tree_of
from csi_zfs.cas.records import EPOCH_KEY
from csi_zfs.cas.store import Store
from csi_zfs.cas.verification import Verification, VerifyReport
from csi_zfs.domain.errors import CorruptionError, CsiZfsError
from tests.support.clock import FakeClock
from tests.support.memory_objects import Kept, MemoryObjects
from tests.support.stores import CHUNK_BYTES, MemoryHead, new_store, opened_store, put_image


def chunk(text: str) -> bytes:
    """A chunk that takes few bytes in a pack, so that every one of them can be damaged."""
    return text.encode().ljust(CHUNK_BYTES, b".")


CONTENT = [chunk("one"), chunk("two")]


class DamagedStore:
    """A small store that is whole, and copies of it that are not."""

    def __init__(self) -> None:
        self.storage = MemoryObjects()
        self.memory = MemoryHead()
        with new_store(self.storage):
            pass
        with opened_store(self.storage, memory=self.memory) as store:
            self.manifests = [
                put_image(store, CONTENT),
                put_image(store, [*CONTENT, chunk("three")]),
                put_image(store, [chunk("four")]),
            ]
            store.delete(self.manifests.pop().manifest_id)

    @contextmanager
    def opened(self, damage: Callable[[dict[str, Kept]], None]) -> Iterator[Store | None]:
        """The store after damage, by a new client that remembers its head; none if it says no."""
        storage = MemoryObjects()
        storage.kept = {
            key: Kept(one.data, one.changed_s) for key, one in self.storage.kept.items()
        }
        damage(storage.kept)
        with ExitStack() as stack:
            try:
                store = stack.enter_context(
                    opened_store(storage, memory=MemoryHead(self.memory.head))
                )
            except CsiZfsError:
                yield None
                return
            yield store


@pytest.fixture(name="small", scope="module")
def fixture_small() -> DamagedStore:
    return DamagedStore()


def check(store: Store) -> CheckReport:
    return Check(store).run(lambda _words: None)


def verify(store: Store, share: float = 1.0) -> VerifyReport:
    return Verification(store).run(share=share, progress=lambda _bytes: None)


def is_found(store: Store) -> bool:
    """Whether check, or reading all data, says that something is wrong."""
    if check(store).findings:
        return True
    try:
        report = verify(store)
    except CorruptionError:
        return True
    return bool(report.bad or report.bad_packs)


def require_truth(store: Store, manifests: list[Manifest]) -> None:
    """What is still read is what was written, and nothing damaged is called absent."""
    for number, manifest in enumerate(manifests):
        expected = [*CONTENT, chunk("three")][: 2 + number]
        try:
            store.refresh()
            source = store.reader()
            tree = ImageTreeReader(source, image_tree_of(store.manifest(manifest.manifest_id).root))
            assert [source.get(digest, BlobKind.DATA) for _, digest in tree.chunks()] == expected
        except CorruptionError:
            continue


def test_whole_store_has_no_finding(small: DamagedStore) -> None:
    with small.opened(lambda _kept: None) as store:
        assert store is not None
        report = check(store)
        assert (report.findings, report.manifests, report.damaged) == ([], 2, set())
        found = verify(store)
        assert (found.bad, found.bad_packs) == ([], [])
        assert found.packs == len([key for key in small.storage.kept if key.startswith("packs/")])
        assert found.chunks > found.packs


@pytest.mark.expected_logs
def test_any_flipped_bit_is_found_and_never_read(small: DamagedStore) -> None:
    """I12: some bits of each object; all of them in the deep run."""
    chance = random.Random(1)
    for key, one in small.storage.kept.items():
        for at in range(0, len(one.data), max(len(one.data) // 9, 1)):
            flip_one(small, key, at, 1 << chance.randrange(8))


@pytest.mark.deep
@pytest.mark.expected_logs
def test_every_flipped_bit_is_found_and_never_read(small: DamagedStore) -> None:
    """I12."""
    for key, one in small.storage.kept.items():
        for at in range(len(one.data)):
            for bit in range(8):
                flip_one(small, key, at, 1 << bit)


def flip_one(small: DamagedStore, key: str, at: int, mask: int) -> None:
    def flip(kept: dict[str, Kept]) -> None:
        data = bytearray(kept[key].data)
        data[at] ^= mask
        kept[key].data = bytes(data)

    require_found(small, flip, f"{key} at {at}, {mask}")


def require_found(
    small: DamagedStore, damage: Callable[[dict[str, Kept]], None], what: str
) -> None:
    with small.opened(damage) as store:
        if store is not None:
            require_truth(store, small.manifests)
            assert is_found(store), what


@pytest.mark.expected_logs
def test_object_that_is_cut_or_gone_is_found(small: DamagedStore) -> None:
    for key, one in small.storage.kept.items():

        def cut(kept: dict[str, Kept], key: str = key, half: int = len(one.data) // 2) -> None:
            kept[key].data = kept[key].data[:half]

        def remove(kept: dict[str, Kept], key: str = key) -> None:
            del kept[key]

        require_found(small, cut, f"{key} cut")
        # Indexes only save reading the packs; a pack that nobody needs may go.
        if not key.startswith("indexes/") and not is_needless(small, key):
            require_found(small, remove, f"{key} removed")


def is_needless(small: DamagedStore, key: str) -> bool:
    """Whether only the manifest that was deleted needs this pack."""
    if not key.startswith("packs/"):
        return False

    def remove(kept: dict[str, Kept]) -> None:
        del kept[key]

    with small.opened(remove) as store:
        assert store is not None
        store.refresh()
        return not check(store).damaged


@pytest.mark.expected_logs
def test_objects_in_each_others_places_are_found(small: DamagedStore) -> None:
    """I13."""
    keys = sorted(small.storage.kept)
    for one, other in itertools.pairwise(keys):
        if one.partition("/")[0] != other.partition("/")[0]:
            continue

        def swap(kept: dict[str, Kept], one: str = one, other: str = other) -> None:
            kept[one].data, kept[other].data = kept[other].data, kept[one].data

        require_found(small, swap, f"{one} and {other}")


def test_manifest_that_is_put_back_is_not_there(small: DamagedStore) -> None:
    """What the journal says was deleted stays deleted, whoever brings its object again."""
    with opened_store(small.storage) as store:
        extra = put_image(store, [chunk("five")])
        key = f"sessions/{extra.manifest_id}"
        kept = small.storage.kept[key]
        store.delete(extra.manifest_id)
        small.storage.kept[key] = kept
        try:
            assert extra.manifest_id not in {one.manifest_id for one in store.manifests()}
        finally:
            del small.storage.kept[key]


def test_strange_object_of_the_collector_is_found(small: DamagedStore) -> None:
    def add(kept: dict[str, Kept]) -> None:
        kept["collector/other"] = kept[EPOCH_KEY]

    require_found(small, add, "collector/other")


def test_bad_chunk_counts_as_absent_and_the_next_writer_heals_it(small: DamagedStore) -> None:
    def damage(kept: dict[str, Kept]) -> None:
        for key, one in kept.items():
            if key.startswith("packs/"):
                data = bytearray(one.data)
                data[104] ^= 1
                one.data = bytes(data)

    with small.opened(damage) as store:
        assert store is not None
        report = verify(store)
        assert report.bad
        assert check(store).damaged == {one.manifest_id for one in small.manifests}
        for manifest, content in zip(
            small.manifests, (CONTENT, [*CONTENT, chunk("three")]), strict=True
        ):
            assert put_image(store, content).root == manifest.root
        assert not check(store).damaged
        require_truth(store, small.manifests)


def test_verification_begins_with_what_was_not_checked_for_the_longest() -> None:
    storage, clock = MemoryObjects(), FakeClock()
    with new_store(storage, clock=clock) as store:
        for number in range(4):
            put_image(store, [chunk(str(number))])
        packs = set(store.places.packs())
        seen: set[bytes] = set()
        for _ in range(4):
            clock.advance(1)
            before = store.places.least_recently_checked()
            assert verify(store, share=0.25).packs == 2
            seen |= set(before[:2])
        assert seen == packs


def test_verification_keeps_to_its_rate() -> None:
    clock = FakeClock()
    with new_store(MemoryObjects(), clock=clock) as store:
        put_image(store, [chunk("one")])
        size = sum(store.places.packs().values())
        Verification(store, bytes_per_s=100).run(share=1, progress=lambda _bytes: None)
        assert clock.monotonic_s() == pytest.approx(size / 100)
