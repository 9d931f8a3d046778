import os
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import pytest

from csi_zfs.cas import writing
from csi_zfs.cas.api import BlobKind, StorageUnavailableError
from csi_zfs.cas.compression import Codec
from csi_zfs.cas.header import MAX_CHUNK_BYTES
from csi_zfs.cas.keys import StoreKey
from csi_zfs.cas.loading import News
from csi_zfs.cas.packs import StoredChunk
from csi_zfs.cas.places import CacheUnavailableError, Places
from csi_zfs.cas.reading import ChunkReader
from csi_zfs.cas.writing import ChunkWriter, Inks
from tests.support.clock import FakeClock
from tests.support.faulty_objects import FaultyObjects, faults
from tests.support.memory_objects import MemoryObjects

KEY, STORE_ID = StoreKey.generate(), os.urandom(16)
INKS = Inks(store_key=KEY, store_id=STORE_ID, domain="default")
DATA = BlobKind.DATA


@pytest.fixture
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(4) as executor:
        yield executor


def writer_to(
    storage: MemoryObjects | FaultyObjects,
    executor: Executor,
    *,
    places: Places | None = None,
    within: frozenset[bytes] | None = None,
) -> ChunkWriter:
    known = places or Places(None)
    return ChunkWriter(
        storage,
        known,
        INKS,
        within=known.packs().keys() if within is None else within,
        executor=executor,
        on_pack=lambda: None,
    )


def reader_of(storage: MemoryObjects, places: Places, executor: Executor) -> ChunkReader:
    return ChunkReader(
        storage,
        places,
        KEY,
        store_id=STORE_ID,
        domain="default",
        executor=executor,
        news=News(lambda: None, FakeClock()),
    )


class FailingPlaces(Places):
    """A cache that fails when it is asked for the first time."""

    def __init__(self) -> None:
        super().__init__(None)
        self.failures = [CacheUnavailableError("the disk of the cache is full")]

    def has(self, digest: bytes, within: object = None) -> bool:
        if self.failures:
            raise self.failures.pop()
        return False


def test_chunk_that_could_not_be_looked_up_is_not_taken_for_stored(executor: Executor) -> None:
    """Who repeats the call must not be told that the chunk is there."""
    storage = MemoryObjects()
    writer = writer_to(storage, executor, places=FailingPlaces())
    with pytest.raises(CacheUnavailableError):
        writer.put(b"one", DATA)
    with pytest.raises(CacheUnavailableError):
        writer.put(b"one", DATA)
    with pytest.raises(CacheUnavailableError):
        writer.finish()
    assert not storage.kept


def test_chunk_that_cannot_be_given_to_an_upload_fails_the_writer() -> None:
    with ThreadPoolExecutor(1) as ended:
        writer = writer_to(MemoryObjects(), ended)
        writer.put(b"one", DATA)
    with pytest.raises(RuntimeError, match="shutdown"):
        writer.finish()
    with pytest.raises(RuntimeError, match="shutdown"):
        writer.finish()
    with pytest.raises(RuntimeError, match="shutdown"):
        writer.put(b"two", DATA)


@pytest.mark.parametrize("size_bytes", [0, MAX_CHUNK_BYTES + 1])
def test_chunk_that_no_reader_would_take_is_refused(executor: Executor, size_bytes: int) -> None:
    """Its entry would make the whole footer unreadable."""
    storage = MemoryObjects()
    writer = writer_to(storage, executor)
    with pytest.raises(ValueError, match=f"{size_bytes} bytes"):
        writer.put(bytes(size_bytes), DATA)
    assert writer.finish() == []


def test_failed_upload_fails_every_later_put_and_the_end(executor: Executor) -> None:
    storage = MemoryObjects()
    writer = writer_to(FaultyObjects(storage, writes=faults("busy")), executor)
    writer.put(b"one", DATA)
    with pytest.raises(StorageUnavailableError):
        writer.finish()
    for chunk in (b"one", b"two"):
        with pytest.raises(StorageUnavailableError):
            writer.put(chunk, DATA)
    copied = StoredChunk(os.urandom(32), DATA, bytes(8), 3, Codec.RAW, b"two")
    with pytest.raises(StorageUnavailableError):
        writer.copy(copied)
    with pytest.raises(StorageUnavailableError):
        writer.finish()
    assert not storage.kept


def test_writer_waiting_for_a_buffer_is_told_of_a_failed_upload(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "PACK_BYTES", 1 << 20)
    monkeypatch.setattr(writing, "BUFFERS", 2)
    go = threading.Event()

    def held_back(point: str) -> None:
        if point == "put:before":
            assert go.wait(10)

    storage = FaultyObjects(MemoryObjects(), writes=faults("busy busy"), effects=held_back)
    writer = writer_to(storage, executor)

    def put_many() -> None:
        for _ in range(4):
            writer.put(os.urandom(900 << 10), DATA)

    with ThreadPoolExecutor(1) as other:
        result = other.submit(put_many)
        go.set()
        assert isinstance(result.exception(timeout=10), StorageUnavailableError)


def test_many_threads_with_few_buffers_store_every_chunk_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Equal and different chunks at once, of both kinds; memory is that of the buffers."""
    monkeypatch.setattr(writing, "PACK_BYTES", 256 << 10)
    monkeypatch.setattr(writing, "BUFFERS", 2)
    storage, places = MemoryObjects(), Places(None)
    chunks = [(os.urandom(20_000), kind) for _ in range(60) for kind in BlobKind]
    with ThreadPoolExecutor(2) as executor, ThreadPoolExecutor(12) as threads:
        writer = writer_to(storage, executor, places=places)
        digests = list(threads.map(lambda one: writer.put(*one), chunks * 4, timeout=30))
        contents = writer.finish()
        assert writer._made_buffers == 2
        assert sum(content.count for content in contents) == len(chunks)
        assert len(storage.kept) == len(contents) > 2
        reader = reader_of(storage, places, executor)
        for digest, (chunk, kind) in zip(digests, chunks * 4, strict=True):
            assert reader.get(digest, kind) == chunk
    assert writer.written.chunks == 4 * len(chunks)
    assert writer.written.new_chunks == len(chunks)
    assert writer.written.new_plain_bytes == len(chunks) * 20_000


def test_chunk_that_is_in_a_condemned_pack_only_is_stored_again(executor: Executor) -> None:
    storage, places = MemoryObjects(), Places(None)
    first = writer_to(storage, executor, places=places)
    digest = first.put(b"one", DATA)
    (pack,) = first.finish()
    again = writer_to(storage, executor, places=places)
    assert again.put(b"one", DATA) == digest
    assert again.finish() == []
    assert pack.pack_id in places.packs()
    condemned = writer_to(storage, executor, places=places, within=frozenset())
    assert condemned.put(b"one", DATA) == digest
    assert len(condemned.finish()) == 1


def test_copied_chunk_is_stored_once_as_it_was(executor: Executor) -> None:
    storage, places = MemoryObjects(), Places(None)
    writer = writer_to(storage, executor, places=places)
    digest = writer.put(b"one" * 1000, DATA)
    writer.finish()
    reader = reader_of(storage, places, executor)
    (run,) = reader.runs([digest])
    (stored,) = reader.read_stored(run)
    old = set(storage.kept)
    copier = writer_to(storage, executor, places=places)
    copier.copy(stored)
    copier.copy(stored)
    (content,) = copier.finish()
    assert content.count == 1
    storage.delete(old)
    assert reader.get(digest, DATA) == b"one" * 1000


def test_writer_remembers_only_what_is_on_its_way(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I15: the cache knows the rest, and nothing is stored twice for that."""
    monkeypatch.setattr(writing, "PACK_BYTES", 64 << 10)
    monkeypatch.setattr(writing, "BUFFERS", 2)
    storage, places = MemoryObjects(), Places(None)
    chunks = [os.urandom(20_000) for _ in range(40)]
    writer = writer_to(storage, executor, places=places)
    for _ in range(3):
        for chunk in chunks:
            writer.put(chunk, DATA)
            # Three chunks to a pack, of which two are in memory.
            assert len(writer._seen) <= 7
    assert sum(content.count for content in writer.finish()) == len(chunks)
    assert not writer._seen
    assert (writer.written.chunks, writer.written.new_chunks) == (120, 40)
    copier = writer_to(storage, executor, places=places)
    for _ in range(2):
        for chunk in chunks:
            copier.copy(StoredChunk(chunk[:32], DATA, bytes(8), 20_000, Codec.RAW, chunk))
    assert sum(content.count for content in copier.finish()) == len(chunks)
