import os
import time
from collections.abc import Collection
from pathlib import Path

import pytest

from csi_zfs.cas import collection, sessions
from csi_zfs.cas.api import StorageUnavailableError
from csi_zfs.cas.archiving import Archiving, opened_source
from csi_zfs.cas.image_ingest import nothing_done
from csi_zfs.cas.store import Store
from tests.support.clock import FakeClock
from tests.support.faulty_objects import FaultyObjects
from tests.support.memory_objects import MemoryObjects
from tests.support.stores import CHUNK_BYTES, new_store, opened_store, put_image

MIB = 1 << 20


def test_writer_that_reads_zeros_for_hours_is_not_taken_for_dead(tmp_path: Path) -> None:
    """They are written, not holes: nothing of them is put, and reading them takes its time."""
    storage, clock = MemoryObjects(), FakeClock()
    (tmp_path / "image").write_bytes(bytes(64 * MIB) + os.urandom(MIB))
    with (
        new_store(storage, clock=clock) as store,
        opened_store(storage, clock=clock) as collecting,
        opened_source(tmp_path / "image") as source,
    ):
        # Something to collect, or the collector would look at no session.
        store.delete(put_image(store, [os.urandom(CHUNK_BYTES)]).manifest_id)

        def slowly(_count: int) -> None:
            clock.advance(sessions.LEASE_S / 2)
            collect(collecting)

        stored = Archiving().store(store, source, slowly)
        assert store.manifests() == [stored.manifest]


def test_writer_that_takes_over_files_for_hours_is_not_taken_for_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(5):
        (tree / str(number)).write_bytes(bytes([number + 1]))
    # Files that were made a moment ago are older than the manifest, beyond any doubt.
    storage, clock = MemoryObjects(), FakeClock(start_ns=time.time_ns() + 10**10)
    with (
        new_store(storage, clock=clock) as store,
        opened_store(storage, clock=clock) as collecting,
        opened_source(tree) as source,
    ):
        first = Archiving().store(store, source, nothing_done)
        clock.advance(1)
        store.delete(put_image(store, [os.urandom(CHUNK_BYTES)]).manifest_id)
        has, asked = store.places.has, []

        def slowly(digest: bytes, within: Collection[bytes] | None = None) -> bool:
            if within is None:
                asked.append(digest)
                clock.advance(sessions.LEASE_S / 2)
                collect(collecting)
            return has(digest, within)

        monkeypatch.setattr(store.places, "has", slowly)
        again = Archiving(since=first.manifest).store(store, source, nothing_done)

        assert len(asked) == 5
        assert store.manifests() == [first.manifest, again.manifest]


def collect(store: Store) -> None:
    collection.Collection(store, collection.Options(), lambda _words: None).run()


def test_error_is_told_also_where_the_storage_is_away_by_then() -> None:
    storage = MemoryObjects()
    with new_store(storage):
        pass
    away = False

    def effects(_point: str) -> None:
        if away:
            raise StorageUnavailableError("away")

    with opened_store(FaultyObjects(storage, effects=effects)) as store:

        def interrupted() -> None:
            nonlocal away
            with store.session():
                away = True
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        away = False
        assert store.manifests() == []
