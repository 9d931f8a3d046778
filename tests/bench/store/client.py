"""The store as a program: `python -m tests.bench.store.client put|change|get ...`.

What the command line does, and what it does not offer: a list of changed ranges, a restore that is
not synced.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from csi_zfs.cas.api import Manifest, ManifestKind, Root
from csi_zfs.cas.image_ingest import Base, ingest_image
from csi_zfs.cas.image_restore import ImageRestore
from csi_zfs.cas.image_tree import ImageTreeReader, image_tree_of
from csi_zfs.cas.objects.local import LocalObjects
from csi_zfs.cas.places import Places
from csi_zfs.cas.slots import Credential, SlotKind
from csi_zfs.cas.store import Store, Surroundings, unlocked
from csi_zfs.cas.targets import NewTarget
from csi_zfs.system.clock import SystemClock
from tests.support.stores import MemoryHead


@contextmanager
def opened(directory: Path, key_file: Path) -> Iterator[Store]:
    """The store in `directory`, with a cache beside it."""
    storage = LocalObjects(directory)
    header, key = unlocked(storage, Credential(SlotKind.KEY, key_file.read_bytes()))
    places = Places(directory.with_name(f"{directory.name}.cache"))
    store = Store(storage, header, key, Surroundings(places, MemoryHead(), SystemClock()))
    try:
        yield store
    finally:
        store.close()


def put(store: Store, image: Path, base: Manifest | None, ranges: list[tuple[int, int]]) -> str:
    """Put an image, or what of it differs from an older one; returns what it took."""
    descriptor = os.open(image, os.O_RDONLY)
    with store.session() as session:
        older = None
        if base is not None:
            tree = ImageTreeReader(store.reader(), image_tree_of(base.root))
            older = Base(tree, base.root.size_bytes, ranges)
        chunk_bytes = store.header.chunk_bytes
        tree_put, size = ingest_image(session, descriptor, chunk_bytes=chunk_bytes, base=older)
        root = Root(
            kind=ManifestKind.IMAGE,
            size_bytes=size,
            tree_digest=tree_put.digest,
            chunk_bytes=chunk_bytes,
            depth=tree_put.depth,
        )
        manifest = session.commit(root)
        return json.dumps(
            {"manifest": manifest.manifest_id, "stored_bytes": session.written.stored_bytes}
        )


def get(store: Store, manifest: Manifest, target: Path) -> str:
    """Restore to a new sparse file, which is not synced, as other tools do not."""
    descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    root = manifest.root
    sparse = NewTarget(descriptor, root.size_bytes)
    ImageRestore(store.reader(), root, sparse).run(lambda _bytes: None)
    return json.dumps({"manifest": manifest.manifest_id})


def main(command: str, directory: str, key_file: str, *words: str) -> str:
    """Run one command."""
    with opened(Path(directory), Path(key_file)) as store:
        if command == "put":
            return put(store, Path(words[0]), None, [])
        if command == "change":
            image, manifest_id, ranges = words
            changes = [(offset, length) for offset, length in json.loads(ranges)]
            return put(store, Path(image), store.manifest(manifest_id), changes)
        store.refresh()
        return get(store, store.manifest(words[0]), Path(words[1]))


if __name__ == "__main__":
    print(main(*sys.argv[1:]))
