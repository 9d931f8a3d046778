"""What a write does, and that each can be repeated."""

import pytest

from csi_zfs.cas.api import (
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectStorage,
)
from csi_zfs.cas.objects.grammar import InvalidKeyError

MIB = 1 << 20
KEY = "sessions/0123456789abcdef"
HOSTILE = [
    "",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "a/../b",
    "../a",
    ".tmp/a",
    ".objects",
    "a/.b",
    "-a",
    "_a",
    "A",
    "a b",
    "a\n",
    "a\x00b",
    "a\\b",
    "ä",
    "a%2e",
    "a" * 101,
    "/".join("a" * 9),
]


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 300], ids=len)
def test_put_object_is_read_as_it_was(storage: ObjectStorage, data: bytes) -> None:
    storage.put(KEY, data)
    assert storage.get(KEY).data == data


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_put_takes_any_buffer(storage: ObjectStorage, kind: type) -> None:
    storage.put(KEY, kind(b"content"))
    assert storage.get(KEY).data == b"content"


def test_put_of_a_part_of_a_buffer_writes_the_part(storage: ObjectStorage) -> None:
    storage.put(KEY, memoryview(bytearray(b"0123456789"))[2:5])
    assert storage.get(KEY).data == b"234"


def test_put_of_32_mib_is_read_as_it_was(storage: ObjectStorage) -> None:
    """A pack: in one request, and above what obstore would cut into parts."""
    data = bytearray(32 * MIB)
    data[::4096] = bytes(range(256)) * (len(data) // 4096 // 256)
    storage.put("packs/ab/cd", memoryview(data))
    assert storage.get("packs/ab/cd").data == data


def test_put_can_be_repeated(storage: ObjectStorage) -> None:
    storage.put(KEY, b"one")
    storage.put(KEY, b"one")
    assert storage.get(KEY).data == b"one"


def test_put_new_gives_the_tag_that_a_reader_sees(storage: ObjectStorage) -> None:
    assert storage.put_new(KEY, b"one") == storage.get(KEY).tag


def test_put_new_again_with_the_same_bytes_is_a_success(storage: ObjectStorage) -> None:
    tag = storage.put_new(KEY, b"one")
    assert storage.put_new(KEY, b"one") == tag


def test_put_new_where_there_are_other_bytes_is_refused(storage: ObjectStorage) -> None:
    storage.put_new(KEY, b"one")
    with pytest.raises(ObjectExistsError, match=KEY):
        storage.put_new(KEY, b"two")
    assert storage.get(KEY).data == b"one"


def test_put_new_of_nothing_is_an_object(storage: ObjectStorage) -> None:
    storage.put_new(KEY, b"")
    with pytest.raises(ObjectExistsError):
        storage.put_new(KEY, b"two")
    assert storage.get(KEY).data == b""


def test_put_new_after_a_delete_writes_again(storage: ObjectStorage) -> None:
    storage.put_new(KEY, b"one")
    storage.delete([KEY])
    storage.put_new(KEY, b"two")
    assert storage.get(KEY).data == b"two"


def test_replace_with_the_tag_that_was_read_replaces(storage: ObjectStorage) -> None:
    storage.put_new(KEY, b"one")
    tag = storage.replace(KEY, b"two, longer", storage.get(KEY).tag)
    assert storage.get(KEY).data == b"two, longer"
    assert storage.get(KEY).tag == tag
    assert storage.replace(KEY, b"3", tag) != tag
    assert storage.get(KEY).data == b"3"


def test_replace_of_what_was_put_replaces(storage: ObjectStorage) -> None:
    storage.put(KEY, b"one")
    storage.replace(KEY, b"two", storage.get(KEY).tag)
    assert storage.get(KEY).data == b"two"


def test_replace_again_with_the_same_bytes_is_a_success(storage: ObjectStorage) -> None:
    first = storage.put_new(KEY, b"one")
    second = storage.replace(KEY, b"two", first)
    assert storage.replace(KEY, b"two", first) == second


def test_replace_with_an_old_tag_is_refused(storage: ObjectStorage) -> None:
    first = storage.put_new(KEY, b"one")
    storage.replace(KEY, b"two", first)
    with pytest.raises(ObjectChangedError, match=KEY):
        storage.replace(KEY, b"three", first)
    assert storage.get(KEY).data == b"two"


def test_replace_of_what_was_deleted_is_refused(storage: ObjectStorage) -> None:
    tag = storage.put_new(KEY, b"one")
    storage.delete([KEY])
    with pytest.raises(ObjectChangedError, match=KEY):
        storage.replace(KEY, b"two", tag)
    with pytest.raises(ObjectNotFoundError):
        storage.get(KEY)


def test_delete_takes_exactly_the_objects_that_are_named(storage: ObjectStorage) -> None:
    for key in ("a/1", "a/11", "a/2", "b/1", "a"):
        storage.put(f"keys/{key}" if key != "a" else "keys/c", key.encode())
    storage.delete(["keys/a/1", "keys/b/1"])
    assert [info.key for info in storage.list("keys/")] == ["keys/a/11", "keys/a/2", "keys/c"]


def test_delete_of_what_is_missing_is_no_error(storage: ObjectStorage) -> None:
    storage.put(KEY, b"one")
    storage.delete(["nowhere/at/all", KEY, "sessions/00"])
    storage.delete([KEY])
    storage.delete([])
    assert list(storage.list("")) == []


@pytest.mark.parametrize("key", HOSTILE, ids=repr)
def test_key_outside_the_grammar_is_refused_by_every_call(storage: ObjectStorage, key: str) -> None:
    """rules.md C1."""
    storage.put(KEY, b"one")
    for call in (
        lambda: storage.put(key, b"x"),
        lambda: storage.put_new(key, b"x"),
        lambda: storage.replace(key, b"x", "tag"),
        lambda: storage.get(key),
        lambda: storage.get_ranges(key, [(0, 1)]),
        lambda: storage.delete([KEY, key]),
    ):
        with pytest.raises(InvalidKeyError):
            call()
    assert [info.key for info in storage.list("")] == [KEY]


@pytest.mark.parametrize("prefix", ["a", "/", "../", "a//", ".tmp/", "A/", "a/b"])
def test_prefix_outside_the_grammar_is_refused(storage: ObjectStorage, prefix: str) -> None:
    """rules.md C1."""
    with pytest.raises(InvalidKeyError):
        list(storage.list(prefix))
