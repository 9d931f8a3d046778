import os
from pathlib import Path

import pytest

from csi_zfs.cas import sessions
from csi_zfs.cas.api import StorageUnavailableError
from csi_zfs.cas.archiving import Archiving, opened_source
from csi_zfs.cas.collection import Collection, Options
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
            Collection(collecting, Options(), lambda _words: None).run()

        stored = Archiving().store(store, source, slowly)
        assert store.manifests() == [stored.manifest]


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
