"""Repacking: what is still needed of mostly dead packs is copied into new ones."""

from collections.abc import Collection, Container, Iterator
from itertools import islice

from csi_zfs.cas.api import ObjectNotFoundError, StoreCorruptError
from csi_zfs.cas.marking import Marks, needed_places
from csi_zfs.cas.packs import StoredChunk
from csi_zfs.cas.reading import ChunkReader, Wanted
from csi_zfs.cas.store import Store
from csi_zfs.cas.verification import BadChunk, mark_bad

_BATCH = 1024


def repack(store: Store, going: Collection[bytes], marks: Marks, there: Container[bytes]) -> None:
    """Copy what is needed of these packs and is in no other one that is `there`.

    A chunk is opened and sealed again, and neither unpacked nor digested: that it opens proves
    that it is what was written.  Durable when this returns.  One that is damaged is left where it
    is, and marked as bad.
    """
    reader = store.reader()
    with store.session() as session:
        wanted = _only_in(store, going, marks, there)
        while batch := list(islice(wanted, _BATCH)):
            for run in reader.runs(batch):
                for chunk in _readable(store, reader, run):
                    session.copy(chunk)
        session.keep()


def _readable(store: Store, reader: ChunkReader, run: list[Wanted]) -> Iterator[StoredChunk]:
    try:
        yield from list(reader.read_stored(run))
    except (StoreCorruptError, ObjectNotFoundError) as exc:
        if len(run) > 1:
            for one in run:
                yield from _readable(store, reader, [one])
        elif isinstance(exc, StoreCorruptError):
            mark_bad(store, [BadChunk(run[0].digest, run[0].place.pack_id, str(exc))])


def _only_in(
    store: Store, going: Collection[bytes], marks: Marks, there: Container[bytes]
) -> Iterator[bytes]:
    for digest, holdings, is_needed in needed_places(marks, store.places, there):
        good = [one.pack_id for one in holdings if not one.is_bad]
        if is_needed and good and all(pack_id in going for pack_id in good):
            yield digest
