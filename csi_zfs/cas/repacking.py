"""Repacking: what is still needed of mostly dead packs is copied into new ones."""

from collections.abc import Collection, Iterator
from itertools import islice

from csi_zfs.cas.marking import Marks, needed_places
from csi_zfs.cas.store import Store

_BATCH = 1024


def repack(store: Store, victims: Collection[bytes], marks: Marks) -> None:
    """Copy what is needed of these packs and is in no other one; durable when this returns.

    A chunk is opened and sealed again, and neither unpacked nor digested: that it opens proves
    that it is what was written.  Raises `StoreCorruptError` where one is damaged.
    """
    reader = store.reader()
    with store.session() as session:
        wanted = _only_in(store, victims, marks)
        while batch := list(islice(wanted, _BATCH)):
            for run in reader.runs(batch):
                for chunk in reader.read_stored(run):
                    session.copy(chunk)
        session.keep()


def _only_in(store: Store, victims: Collection[bytes], marks: Marks) -> Iterator[bytes]:
    for digest, holdings, is_needed in needed_places(marks, store.places):
        good = [one.pack_id for one in holdings if not one.is_bad]
        if is_needed and good and all(pack_id in victims for pack_id in good):
            yield digest
