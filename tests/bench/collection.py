"""How long a collection takes, and how much memory: `python -m tests.bench.collection [CHUNKS]`.

The store is on a local directory.  Its index objects and the nodes of its images are real; the
packs of the chunks themselves are a few bytes, since a collection does not read them.
"""

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from csi_zfs.cas.api import BlobKind, Manifest, ManifestKind, Root
from csi_zfs.cas.collection import Collection, Options, Report, Tell
from csi_zfs.cas.compression import Codec
from csi_zfs.cas.crypto import TAG_BYTES
from csi_zfs.cas.image_writer import ImageTreeWriter
from csi_zfs.cas.indexes import INDEXES, PackContent, encode_index
from csi_zfs.cas.objects.local import LocalObjects
from csi_zfs.cas.objects.local_root import make_local_storage
from csi_zfs.cas.packs import PACK_ID_BYTES, Entry, pack_key
from csi_zfs.cas.places import Places
from csi_zfs.cas.sealing import PREFIX_BYTES, SALT_BYTES, ObjectKind
from csi_zfs.cas.store import Store, Surroundings, make_store, unlocked
from csi_zfs.system.clock import SystemClock
from tests.support.power_cut import HurriedFiles
from tests.support.stores import CREDENTIAL, MemoryHead

_CHUNKS = (100_000, 1_000_000)
_CHUNK_BYTES = 256 << 10
_CHUNKS_OF_A_PACK = 128
_CHUNKS_OF_AN_IMAGE = 50_000
_PACK = b"what a pack holds is not read"
_KIB_OF_A_MIB = 1024


def main(counts: list[int]) -> None:
    """Measure, the smaller first."""
    for count in counts:
        with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
            _measure(Path(directory), count)


def _measure(directory: Path, chunks: int) -> None:
    root = directory / "store"
    root.mkdir()
    make_local_storage(root, HurriedFiles())
    storage = LocalObjects(root, HurriedFiles())
    make_store(storage, CREDENTIAL, SystemClock(), chunk_bytes=_CHUNK_BYTES)
    header, store_key = unlocked(storage, CREDENTIAL)
    surroundings = Surroundings(Places(directory / "places.sqlite"), MemoryHead(), SystemClock())
    store = Store(storage, header, store_key, surroundings)
    try:
        manifests = [
            _image(store, min(_CHUNKS_OF_AN_IMAGE, chunks - begin))
            for begin in range(0, chunks, _CHUNKS_OF_AN_IMAGE)
        ]
        for manifest in manifests[::2]:
            store.delete(manifest.manifest_id)
        store.refresh()
        begin_s, begin_cpu_s = time.monotonic(), time.process_time()
        report = Collection(store, Options(), _told_since(begin_s)).run()
        _tell(chunks, report, time.monotonic() - begin_s, time.process_time() - begin_cpu_s)
    finally:
        store.close()


def _image(store: Store, count: int) -> Manifest:
    """An image of so many chunks, which are in an index and nowhere else."""
    digests = [os.urandom(32) for _ in range(count)]
    contents = []
    for begin in range(0, count, _CHUNKS_OF_A_PACK):
        entries = b"".join(
            Entry(
                digest,
                PREFIX_BYTES + 1024 * number,
                _CHUNK_BYTES,
                900 + TAG_BYTES,
                BlobKind.DATA,
                Codec.ZSTD,
            ).encode()
            for number, digest in enumerate(digests[begin : begin + _CHUNKS_OF_A_PACK])
        )
        pack_id = os.urandom(PACK_ID_BYTES)
        store.vault.storage.put(pack_key(pack_id), _PACK)
        contents.append(PackContent(pack_id, os.urandom(SALT_BYTES), len(_PACK), entries))
    key = INDEXES + os.urandom(PACK_ID_BYTES).hex()
    store.vault.put_new(ObjectKind.INDEX, key, encode_index(contents))
    with store.session() as session:
        writer = ImageTreeWriter(session, count)
        for index, digest in enumerate(digests):
            writer.put(index, digest)
        tree = writer.finish()
        return session.commit(
            Root(
                kind=ManifestKind.IMAGE,
                size_bytes=count * _CHUNK_BYTES,
                tree_digest=tree.digest,
                chunk_bytes=_CHUNK_BYTES,
                depth=tree.depth,
            )
        )


def _told_since(begin_s: float) -> Tell:
    def tell(words: str) -> None:
        print(f"{time.monotonic() - begin_s:8.2f} s  {words}", file=sys.stderr)

    return tell


def _tell(chunks: int, report: Report, wall_s: float, cpu_s: float) -> None:
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{chunks:>9,} chunks: {wall_s:.1f} s ({cpu_s:.1f} s of the processor),"
        f" {report.deleted_packs:,} packs deleted, {peak_kib / _KIB_OF_A_MIB:.0f} MiB at most"
    )


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or list(_CHUNKS))
