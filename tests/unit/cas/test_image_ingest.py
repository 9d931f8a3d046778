"""Images into the store: holes and zeros left out, changes and other sizes like a full read."""

import errno
import os
import random
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from csi_zfs.cas.api import ZERO_DIGEST, BlobKind
from csi_zfs.cas.extents import chunk_runs, data_ranges, size_of
from csi_zfs.cas.image_ingest import Base, ImageChangedError, ImageUnreadableError, ingest_image
from csi_zfs.cas.image_tree import ImageTree, ImageTreeReader
from csi_zfs.cas.pipeline import in_order
from tests.support.memory_chunks import MemoryChunks
from tests.support.reflink import attached
from tests.support.sparse_files import change_image, open_image, write_image

CHUNK = 64 << 10


def read_back(chunks: MemoryChunks, tree: ImageTree, size_bytes: int) -> bytes:
    data = bytearray(size_bytes)
    for index, digest in ImageTreeReader(chunks, tree).chunks():
        chunk = chunks.get(digest, BlobKind.DATA)
        data[index * CHUNK : index * CHUNK + len(chunk)] = chunk
    assert len(data) == size_bytes
    return bytes(data)


def ingested(path: Path, chunks: MemoryChunks, base: Base | None = None) -> tuple[ImageTree, int]:
    with open_image(path) as descriptor:
        return ingest_image(chunks, descriptor, chunk_bytes=CHUNK, base=base)


@pytest.mark.parametrize("size_bytes", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 40 * CHUNK + 512])
@pytest.mark.parametrize("extents", [[], [(0, 1 << 30)], [(3 * CHUNK - 5, 10), (9 * CHUNK, 4096)]])
def test_image_is_what_was_put(
    tmp_path: Path, size_bytes: int, extents: Sequence[tuple[int, int]]
) -> None:
    """I2, I7."""
    chunks, path = MemoryChunks(), tmp_path / "image"
    data = write_image(path, size_bytes, extents)
    done: list[int] = []
    with open_image(path) as descriptor:
        tree, found = ingest_image(chunks, descriptor, chunk_bytes=CHUNK, progress=done.append)
    assert found == size_bytes
    assert read_back(chunks, tree, size_bytes) == data
    pieces = {data[at : at + CHUNK] for at in range(0, size_bytes, CHUNK)}
    stored = sorted(piece for piece in pieces if any(piece))
    assert sorted(d for (_, kind), d in chunks.stored.items() if kind is BlobKind.DATA) == stored
    assert sum(done) >= sum(len(piece) for piece in stored)


def test_zeros_that_were_written_are_holes(tmp_path: Path) -> None:
    """I7: also at the end, in a chunk that is shorter than the others."""
    chunks, path = MemoryChunks(), tmp_path / "image"
    path.write_bytes(bytes(5 * CHUNK + 77))
    tree, _ = ingested(path, chunks)
    assert tree.digest == ZERO_DIGEST
    assert not chunks.stored


@pytest.mark.parametrize("old_bytes", [0, 3 * CHUNK, 3 * CHUNK + 5, 9 * CHUNK - 1])
@pytest.mark.parametrize("new_bytes", [0, 1, 3 * CHUNK, 3 * CHUNK + 7, 9 * CHUNK, 20 * CHUNK + 1])
def test_true_list_of_changes_gives_the_same_tree_as_a_full_read(
    tmp_path: Path, old_bytes: int, new_bytes: int
) -> None:
    """I4, when the image grows and shrinks too; the rest is not read."""
    chunks, path = MemoryChunks(), tmp_path / "image"
    write_image(path, old_bytes, [(0, 1 << 30)])
    tree, _ = ingested(path, chunks)
    changed = [(5 * CHUNK + 9, 100), (CHUNK, 1), (CHUNK - 1, 2), (7 * CHUNK, CHUNK)]
    with open_image(path) as descriptor:
        os.ftruncate(descriptor, new_bytes)
        change_image(descriptor, changed, random.Random(1))
        if new_bytes > 2 * CHUNK:
            os.pwrite(descriptor, bytes(CHUNK), CHUNK)
            changed.append((CHUNK, CHUNK))
    base = Base(ImageTreeReader(chunks, tree), old_bytes, changed)
    assert ingested(path, chunks, base) == ingested(path, MemoryChunks())


def test_image_that_changes_its_size_meanwhile_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "image"
    write_image(path, 40 * CHUNK, [(0, 1 << 30)])

    class Resizing(MemoryChunks):
        def __init__(self, size_bytes: int) -> None:
            super().__init__()
            self.size_bytes = size_bytes

        def put(self, data: bytes | bytearray | memoryview, kind: BlobKind) -> bytes:
            os.truncate(path, self.size_bytes)
            return super().put(data, kind)

    with pytest.raises(ImageChangedError, match="another size"):
        ingested(path, Resizing(41 * CHUNK))
    os.truncate(path, 400 * CHUNK)
    with open_image(path) as descriptor:
        change_image(descriptor, [(0, 400 * CHUNK)], random.Random(2))
    with pytest.raises((ImageChangedError, ImageUnreadableError)):
        ingested(path, Resizing(2 * CHUNK))


def test_image_that_cannot_be_read_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "image"
    write_image(path, 40 * CHUNK, [(20 * CHUNK, CHUNK)])

    def bad_sector(*_args: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr("csi_zfs.cas.image_ingest.os.preadv", bad_sector)
        with pytest.raises(ImageUnreadableError, match=f"{CHUNK} bytes at {20 * CHUNK}"):
            ingested(path, MemoryChunks())
    with monkeypatch.context() as patched:
        patched.setattr("csi_zfs.cas.extents.os.lseek", bad_sector)
        with pytest.raises(ImageUnreadableError, match="cannot be read"):
            ingested(path, MemoryChunks())
    with open_image(path) as descriptor:
        pass
    with pytest.raises(ImageUnreadableError, match="cannot be read"):
        ingest_image(MemoryChunks(), descriptor, chunk_bytes=CHUNK)


def test_file_system_that_knows_nothing_of_holes_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "image"
    write_image(path, 100, [(0, 100)])

    def ignorant(*_args: object) -> int:
        raise OSError(errno.EINVAL, "")

    monkeypatch.setattr("csi_zfs.cas.extents.os.lseek", ignorant)
    with open_image(path) as descriptor:
        assert list(data_ranges(descriptor, 100)) == [(0, 100)]
        assert list(data_ranges(descriptor, 100, start=40)) == [(40, 60)]


def test_data_behind_the_end_counts_for_nothing(tmp_path: Path) -> None:
    """The file grew after its size was asked for."""
    path = tmp_path / "image"
    write_image(path, 50 * CHUNK, [(40 * CHUNK, 10 * CHUNK)])
    with open_image(path) as descriptor:
        assert list(data_ranges(descriptor, 10 * CHUNK)) == []
        assert list(data_ranges(descriptor, 41 * CHUNK)) == [(40 * CHUNK, CHUNK)]
        assert size_of(descriptor) == 50 * CHUNK


@pytest.mark.parametrize(
    ("ranges", "runs"),
    [
        ([], []),
        ([(0, 1)], [(0, 1)]),
        ([(0, 10), (10, 10)], [(0, 1), (1, 2)]),
        ([(5, 10), (7, 1), (9, 30)], [(0, 2), (2, 4)]),
        ([(0, 100)], [(0, 3), (3, 6), (6, 9), (9, 10)]),
        ([(95, 5)], [(9, 10)]),
        ([(93, 500), (100, 50)], [(9, 10)]),
        ([(20, 0)], []),
    ],
)
def test_runs_of_chunks(ranges: list[tuple[int, int]], runs: list[tuple[int, int]]) -> None:
    found = chunk_runs(ranges, chunk_bytes=10, size_bytes=95, most=3)
    assert [(run.start, run.stop) for run in found] == [(a, min(b, 10)) for a, b in runs]


@pytest.mark.root
def test_block_device_is_read_whole(tmp_path: Path) -> None:
    path, chunks = tmp_path / "image", MemoryChunks()
    data = write_image(path, 40 * CHUNK + 512, [(CHUNK, 10), (40 * CHUNK, 512)])
    with attached(path) as device, open_image(Path(device)) as descriptor:
        assert stat.S_ISBLK(os.fstat(descriptor).st_mode)
        tree, size_bytes = ingest_image(chunks, descriptor, chunk_bytes=CHUNK)
    assert read_back(chunks, tree, size_bytes) == data
    assert (tree, size_bytes) == ingested(path, MemoryChunks())


def test_error_of_a_task_is_raised_at_its_turn_and_the_rest_is_not_begun() -> None:
    begun: list[int] = []

    def work(task: int) -> int:
        begun.append(task)
        if task == 5:
            raise KeyError(task)
        return task

    with ThreadPoolExecutor(1) as executor:
        results = in_order(executor, work, range(1000), at_once=3)
        assert [next(results) for _ in range(5)] == list(range(5))
        with pytest.raises(KeyError):
            list(results)
        assert len(begun) <= 10
        assert list(in_order(executor, work, (6, 7), at_once=3)) == [6, 7]
