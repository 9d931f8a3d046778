"""The limit: the same reads and the same work in two bare threads, without a store.

Run as a program of its own, as every tool is: `python -m tests.bench.store.limit IMAGE DIRECTORY`.
"""

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from csi_zfs.cas.compression import compressed
from csi_zfs.cas.crypto import Cipher
from csi_zfs.cas.extents import chunk_runs, data_ranges
from csi_zfs.cas.header import DEFAULT_CHUNK_BYTES
from csi_zfs.cas.packs import PACK_BYTES
from csi_zfs.system.digest import keyed_digest

_THREADS = 2
_RUN = 16


class Bare:
    """Reads, digests, compresses, seals and writes chunks; remembers nothing of them."""

    def __init__(self, image: Path, directory: Path) -> None:
        self._descriptor = os.open(image, os.O_RDONLY)
        self._size_bytes = os.fstat(self._descriptor).st_size
        self._directory = directory
        self._runs = self._all_runs()
        self._lock = threading.Lock()
        self._numbers = iter(range(1 << 30))

    def run(self) -> None:
        """Do all of it."""
        threads = [threading.Thread(target=self._work) for _ in range(_THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _all_runs(self) -> Iterator[range]:
        ranges = data_ranges(self._descriptor, self._size_bytes)
        return chunk_runs(
            ranges, chunk_bytes=DEFAULT_CHUNK_BYTES, size_bytes=self._size_bytes, most=_RUN
        )

    def _work(self) -> None:
        key, cipher, zeros = bytes(32), Cipher(bytes(32)), bytes(DEFAULT_CHUNK_BYTES)
        pack, used = bytearray(PACK_BYTES), 0
        buffers = [bytearray(DEFAULT_CHUNK_BYTES) for _ in range(_RUN)]
        while (run := self._next_run()) is not None:
            chunks = buffers[: len(run)]
            os.preadv(self._descriptor, chunks, run.start * DEFAULT_CHUNK_BYTES)
            for index, chunk in zip(run, chunks, strict=True):
                if chunk == zeros:
                    continue
                digest = keyed_digest(key, chunk)
                sealed = cipher.seal(index, compressed(chunk)[1], digest)
                if used + len(sealed) > PACK_BYTES:
                    self._write(pack, used)
                    used = 0
                pack[used : used + len(sealed)] = sealed
                used += len(sealed)
        self._write(pack, used)

    def _next_run(self) -> range | None:
        with self._lock:
            return next(self._runs, None)

    def _write(self, pack: bytearray, used: int) -> None:
        with self._lock:
            number = next(self._numbers)
        with (self._directory / str(number)).open("wb") as file:
            file.write(memoryview(pack)[:used])
            file.flush()
            os.fsync(file.fileno())


if __name__ == "__main__":
    Bare(Path(sys.argv[1]), Path(sys.argv[2])).run()
