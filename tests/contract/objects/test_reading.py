"""What is read, and what a listing tells."""

import time

import pytest

from csi_zfs.cas.api import ObjectInfo, ObjectNotFoundError, ObjectStorage
from tests.support.clock import START_NS
from tests.support.faulty_objects import FaultyObjects
from tests.support.memory_objects import MemoryObjects

KEY = "packs/ab/0123"
CONTENT = b"0123456789"
FAR = 1 << 62
# Sorted as bytes: "-" and "." are before "/", digits and letters behind it.
TRICKY = ["t/a-b/x", "t/a-c", "t/a.c/x", "t/a/b/c", "t/a/x", "t/a0", "t/ab/y", "t/b"]
PAGES = [f"many/{number:04}" for number in range(1_203)]


@pytest.mark.parametrize(
    ("ranges", "parts"),
    [
        ([], []),
        ([(0, 10)], [b"0123456789"]),
        ([(2, 3)], [b"234"]),
        ([(8, 10)], [b"89"]),
        ([(10, 1)], [b""]),
        ([(500, 7)], [b""]),
        ([(FAR, FAR)], [b""]),
        ([(3, FAR)], [b"3456789"]),
        ([(4, 0)], [b""]),
        ([(99, 0), (0, 0)], [b"", b""]),
        ([(8, 1), (0, 2), (8, 1), (1, 4)], [b"8", b"01", b"8", b"1234"]),
        # What obstore's own way panics at: one inside, and one behind the end but not far.
        ([(2, 3), (30, 4), (1, 100), (0, 0)], [b"234", b"", b"123456789", b""]),
    ],
)
def test_ranges_are_read_in_their_order_and_cut_at_the_end(
    storage: ObjectStorage, ranges: list[tuple[int, int]], parts: list[bytes]
) -> None:
    storage.put(KEY, CONTENT)
    assert storage.get_ranges(KEY, ranges) == parts


def test_ranges_of_a_large_object_that_are_far_from_each_other(storage: ObjectStorage) -> None:
    content = b"".join(number.to_bytes(4, "big") for number in range(1 << 20))
    storage.put(KEY, content)
    wanted = [(at, 1_000) for at in (4_000_000, 0, 2_500_000, 2_500_500, 4_193_804)]
    assert storage.get_ranges(KEY, wanted) == [content[at : at + 1_000] for at, _ in wanted]


def test_ranges_of_an_empty_object_are_empty(storage: ObjectStorage) -> None:
    storage.put(KEY, b"")
    assert storage.get_ranges(KEY, [(0, 1), (5, 5)]) == [b"", b""]


@pytest.mark.parametrize("key", [KEY, "packs/ab", "packs/ab/0123/more", "other/0123"])
def test_missing_object_is_not_found(storage: ObjectStorage, key: str) -> None:
    storage.put(f"{KEY}4", CONTENT)
    with pytest.raises(ObjectNotFoundError, match=key):
        storage.get(key)
    for ranges in ([(0, 1)], [(0, 0)]):
        with pytest.raises(ObjectNotFoundError, match=key):
            storage.get_ranges(key, ranges)


def test_tag_tells_contents_apart(storage: ObjectStorage) -> None:
    tags = set()
    for number in range(5):
        storage.put(KEY, b"x" * number)
        assert storage.get(KEY).tag == storage.get(KEY).tag
        tags.add(storage.get(KEY).tag)
    assert len(tags) == 5


def test_listing_is_in_the_order_of_keys(storage: ObjectStorage) -> None:
    for key in reversed(TRICKY):
        storage.put(key, b"x")
    assert [info.key for info in storage.list("t/")] == TRICKY


def test_listing_shows_what_is_below_the_prefix_and_nothing_else(storage: ObjectStorage) -> None:
    for key in ("a/b/1", "a/b/2", "a/bc/1", "a/b1", "ab/1", "b/1"):
        storage.put(key, key.encode())
    assert [info.key for info in storage.list("a/b/")] == ["a/b/1", "a/b/2"]
    assert [info.key for info in storage.list("a/")] == ["a/b/1", "a/b/2", "a/b1", "a/bc/1"]
    assert len(list(storage.list(""))) == 6
    assert list(storage.list("c/")) == []
    assert list(storage.list("a/b/1/")) == []


def test_listing_of_nothing_is_empty(storage: ObjectStorage) -> None:
    assert list(storage.list("")) == []


def test_listing_tells_sizes_and_times(storage: ObjectStorage) -> None:
    storage.put("a/empty", b"")
    storage.put("a/full", CONTENT)
    empty, full = storage.list("a/")
    assert (empty.size_bytes, full.size_bytes) == (0, 10)
    is_fake = isinstance(storage, MemoryObjects | FaultyObjects)
    now_s = START_NS / 1e9 if is_fake else time.time()
    assert abs(empty.changed_s - now_s) < 300


@pytest.mark.slow
def test_listing_of_more_than_a_page_is_whole_and_in_order(storage: ObjectStorage) -> None:
    """S3 gives at most 1,000 at a time."""
    for key in PAGES:
        storage.put(key, b"")
    assert [info.key for info in storage.list("many/")] == PAGES
    storage.delete(PAGES)
    assert list(storage.list("many/")) == []


def test_listing_goes_on_while_objects_are_written_and_deleted(storage: ObjectStorage) -> None:
    keys = [f"k/{number}/x" for number in range(10)]
    for key in keys:
        storage.put(key, b"x")
    listing = storage.list("k/")
    first: ObjectInfo = next(listing)
    storage.delete(keys[5:])
    storage.put("k/99/x", b"x")
    seen = [first.key, *(info.key for info in listing)]
    assert set(keys[:5]) <= set(seen) <= {*keys, "k/99/x"}
    assert seen == sorted(seen)
