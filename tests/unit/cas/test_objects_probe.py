"""The probe refuses every storage whose conditional writes only seem to be some."""

import threading
from collections.abc import Iterator

import pytest

from csi_zfs.cas.api import (
    ObjectChangedError,
    ObjectExistsError,
    StorageUnavailableError,
    UnsafeStorageError,
)
from csi_zfs.cas.objects.probe import PREFIX, require_conditional_writes
from csi_zfs.system.digest import hex_digest_of
from tests.support.faulty_objects import Fault, FaultyObjects
from tests.support.memory_objects import CheckingObjects, MemoryObjects


class CarelessObjects(MemoryObjects):
    """Takes the condition of a new object and ignores it."""

    def put_new(self, key: str, data: bytes) -> str:
        self.put(key, data)
        return hex_digest_of(data)


class StaleObjects(MemoryObjects):
    """Replaces whatever is there."""

    def replace(self, key: str, data: bytes, tag: str) -> str:
        self.put(key, data)
        return hex_digest_of(data)


class RevivingObjects(MemoryObjects):
    """Replaces what is gone."""

    def replace(self, key: str, data: bytes, tag: str) -> str:
        if key not in self.kept:
            self.put(key, data)
            return hex_digest_of(data)
        return super().replace(key, data, tag)


class RefusingObjects(MemoryObjects):
    """Writes what it refuses, and so loses what it took."""

    def put_new(self, key: str, data: bytes) -> str:
        try:
            return super().put_new(key, data)
        except ObjectExistsError:
            self.put(key, data)
            raise


class ForgettingObjects(MemoryObjects):
    """Has nothing any more of what several wrote at once."""

    def replace(self, key: str, data: bytes, tag: str) -> str:
        try:
            return super().replace(key, data, tag)
        except ObjectChangedError:
            self.delete([key])
            raise


class TimidObjects(MemoryObjects):
    """Refuses everybody as soon as two come at once."""

    def __init__(self) -> None:
        super().__init__()
        self._inside = threading.Semaphore(8)

    def replace(self, key: str, data: bytes, tag: str) -> str:
        if "replaced" in key:
            raise ObjectChangedError(key)
        return super().replace(key, data, tag)


BAD = [
    CarelessObjects,
    StaleObjects,
    RevivingObjects,
    RefusingObjects,
    ForgettingObjects,
    TimidObjects,
    CheckingObjects,
]


@pytest.mark.parametrize("kind", BAD)
def test_storage_without_real_conditional_writes_is_refused(kind: type[MemoryObjects]) -> None:
    storage = kind()
    with pytest.raises(UnsafeStorageError):
        require_conditional_writes(storage)
    assert storage.kept == {}


@pytest.mark.parametrize("verb", ["made", "replaced"])
def test_storage_that_checks_and_then_writes_is_refused_for_either_kind(verb: str) -> None:
    """As s3s-fs does; one writer alone sees nothing."""

    class HalfObjects(CheckingObjects):
        def put_new(self, key: str, data: bytes) -> str:
            if verb == "made":
                return super().put_new(key, data)
            return MemoryObjects.put_new(self, key, data)

        def replace(self, key: str, data: bytes, tag: str) -> str:
            if verb == "replaced":
                return super().replace(key, data, tag)
            return MemoryObjects.replace(self, key, data, tag)

    require_conditional_writes(HalfObjects(), rounds=0)
    with pytest.raises(UnsafeStorageError, match="of 8 conditional writes"):
        require_conditional_writes(HalfObjects())


def test_good_storage_passes_and_keeps_what_it_had() -> None:
    storage = MemoryObjects()
    storage.put("packs/ab/one", b"one")
    require_conditional_writes(storage)
    assert list(storage.kept) == ["packs/ab/one"]


def every_write_but_the_last(number: int) -> Iterator[Fault]:
    yield from [Fault.OK] * number
    yield Fault.BUSY


@pytest.mark.parametrize("number", [0, 3, 7, 20])
def test_storage_that_is_away_is_neither_refused_nor_passed(number: int) -> None:
    inner = MemoryObjects()
    storage = FaultyObjects(inner, writes=every_write_but_the_last(number))
    with pytest.raises(StorageUnavailableError):
        require_conditional_writes(storage)
    assert all(key.startswith(PREFIX) for key in inner.kept)


def test_requests_of_a_probe_are_as_few_as_it_says() -> None:
    points: list[str] = []
    require_conditional_writes(FaultyObjects(MemoryObjects(), effects=points.append))
    assert len([point for point in points if point.endswith(":before")]) <= 130
