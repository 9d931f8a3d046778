"""The faults do what their names say."""

import pytest

from csi_zfs.cas.api import ObjectChangedError, StorageUnavailableError
from tests.support.faulty_objects import Fault, FaultyObjects, faults
from tests.support.memory_objects import MemoryObjects

KEY = "a/b"


def test_busy_call_has_no_effect_and_lost_answer_has() -> None:
    inner = MemoryObjects()
    storage = FaultyObjects(inner, writes=faults("busy lost ok"))
    with pytest.raises(StorageUnavailableError):
        storage.put(KEY, b"one")
    assert inner.kept == {}
    with pytest.raises(StorageUnavailableError):
        storage.put(KEY, b"one")
    assert inner.get(KEY).data == b"one"
    storage.delete([KEY])
    assert inner.kept == {}


@pytest.mark.parametrize("word", ["busy", "lost"])
def test_read_that_fails_says_nothing(word: str) -> None:
    storage = FaultyObjects(MemoryObjects(), reads=faults(f"{word} ok"))
    with pytest.raises(StorageUnavailableError):
        storage.get(KEY)
    assert list(storage.list("")) == []


def test_request_that_comes_twice_is_done_twice() -> None:
    inner = MemoryObjects()
    storage = FaultyObjects(inner, writes=[Fault.TWICE] * 3)
    tag = storage.put_new(KEY, b"one")
    assert storage.replace(KEY, b"two", tag) == inner.get(KEY).tag
    storage.delete([KEY])
    assert inner.kept == {}


def test_request_that_comes_again_late_is_done_before_the_next_write() -> None:
    """A put that was deleted meanwhile comes back; a replace is stopped by its tag."""
    inner = MemoryObjects()
    storage = FaultyObjects(inner, writes=faults("late ok late ok ok"))
    storage.put("p/1", b"one")
    storage.put_new(KEY, b"one")
    first = storage.replace(KEY, b"two", inner.get(KEY).tag)
    second = inner.replace(KEY, b"three", first)
    storage.put("p/2", b"x")
    assert inner.get(KEY).tag == second
    storage = FaultyObjects(inner, writes=faults("late"))
    storage.put("p/3", b"x")
    inner.delete(["p/3"])
    storage.put("p/4", b"x")
    assert "p/3" in inner.kept


def test_points_are_passed_around_each_effect_and_may_end_it() -> None:
    points: list[str] = []

    def effects(point: str) -> None:
        points.append(point)
        if point == "put:after":
            raise KeyboardInterrupt

    inner = MemoryObjects()
    storage = FaultyObjects(inner, effects=effects)
    with pytest.raises(KeyboardInterrupt):
        storage.put(KEY, b"one")
    assert inner.get(KEY).data == b"one"
    with pytest.raises(ObjectChangedError):
        storage.replace(KEY, b"two", "tag")
    storage.get(KEY)
    assert points == ["put:before", "put:after", "replace:before", "read:before", "read:after"]
