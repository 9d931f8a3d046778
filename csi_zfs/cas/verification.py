"""Verification: packs are read whole, every chunk of them opened, unpacked and digested again.

What is found bad counts as absent from then on, for every client, so that the next writer that has
the chunk stores it anew: any backup of a clone heals it.
"""

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from csi_zfs.cas.api import BlobKind, ObjectNotFoundError, StoreCorruptError, UnknownFormatError
from csi_zfs.cas.keys import DEFAULT_DOMAIN
from csi_zfs.cas.loading import MARKS, encode_marks, read_content
from csi_zfs.cas.packs import Entry, PackCipher, pack_key, parse_entries
from csi_zfs.cas.pipeline import in_order
from csi_zfs.cas.reading import unpacked
from csi_zfs.cas.sealing import ObjectKind
from csi_zfs.cas.store import Store
from csi_zfs.system.clock import Clock

_ID_BYTES = 16
_AT_ONCE = 2


@dataclass(slots=True)
class BadChunk:
    """A chunk that is not what was written, in one of its packs."""

    digest: bytes
    pack_id: bytes
    why: str


@dataclass(slots=True)
class VerifyReport:
    """What was read and what was wrong with it."""

    packs: int = 0
    chunks: int = 0
    read_bytes: int = 0
    bad: list[BadChunk] = field(default_factory=list)
    bad_packs: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Checked:
    pack_id: bytes
    chunks: int
    size_bytes: int
    bad: list[BadChunk]
    problem: str = ""


class Pace:
    """Holds a reader to a rate; without one, to none."""

    def __init__(self, clock: Clock, bytes_per_s: float | None) -> None:
        self._clock = clock
        self._rate = bytes_per_s
        self._begin_s = clock.monotonic_s()
        self._read_bytes = 0

    def took(self, count: int) -> None:
        """Wait until `count` more bytes fit the rate."""
        self._read_bytes += count
        if self._rate:
            due_s = self._begin_s + self._read_bytes / self._rate
            ahead_s = due_s - self._clock.monotonic_s()
            if ahead_s > 0:
                self._clock.wait(ahead_s)


class Verification:
    """One run over some packs of a store, those first that were not checked for the longest."""

    def __init__(self, store: Store, *, bytes_per_s: float | None = None) -> None:
        self._store = store
        self._pace = Pace(store.clock, bytes_per_s)
        self._keys = _chunk_keys(store)

    def run(self, *, share: float, progress: Callable[[int], None]) -> VerifyReport:
        """Check this share of the packs; what is bad is written down in the store.

        `progress` is told of bytes that were read.  Raises what the storage raises.
        """
        store, report = self._store, VerifyReport()
        store.refresh()
        sizes = store.places.packs()
        ordered = store.places.least_recently_checked()
        chosen = ordered[: math.ceil(len(ordered) * share)]
        tasks = ((pack_id, sizes[pack_id]) for pack_id in chosen if pack_id in sizes)
        for checked in in_order(store.executor, self._check, tasks, at_once=_AT_ONCE):
            self._record(checked, report)
            progress(checked.size_bytes)
            self._pace.took(checked.size_bytes)
        return report

    def _record(self, checked: _Checked, report: VerifyReport) -> None:
        report.packs += 1
        report.chunks += checked.chunks
        report.read_bytes += checked.size_bytes
        report.bad += checked.bad
        if checked.problem:
            report.bad_packs.append(checked.problem)
        if checked.bad:
            mark_bad(self._store, checked.bad)
        self._store.places.set_checked(checked.pack_id, self._store.clock.now_ns())

    def _check(self, task: tuple[bytes, int]) -> _Checked:
        pack_id, size_bytes = task
        key = pack_key(pack_id)
        try:
            content = read_content(self._store.vault, pack_id, key, size_bytes)
            (data,) = self._store.vault.storage.get_ranges(key, [(0, size_bytes)])
        except ObjectNotFoundError:
            return _Checked(pack_id, 0, 0, [])  # collected meanwhile
        except (StoreCorruptError, UnknownFormatError) as exc:
            known = self._store.places.chunks_in(pack_id)
            bad = [BadChunk(digest, pack_id, str(exc)) for digest in known]
            return _Checked(pack_id, 0, size_bytes, bad, problem=str(exc))
        sealer = self._store.vault.sealer
        cipher = PackCipher(sealer.store_key, sealer.store_id, pack_id, content.salt)
        entries = parse_entries(content.entries, key)
        return _Checked(pack_id, len(entries), size_bytes, list(self._bad(cipher, entries, data)))

    def _bad(self, cipher: PackCipher, entries: list[Entry], data: bytes) -> Iterator[BadChunk]:
        for entry in entries:
            try:
                self._check_blob(cipher, entry, data)
            except StoreCorruptError as exc:
                yield BadChunk(entry.digest, cipher.pack_id, str(exc))

    def _check_blob(self, cipher: PackCipher, entry: Entry, data: bytes) -> None:
        blob = data[entry.offset : entry.offset + entry.blob_bytes]
        stored, tag = cipher.open_blob(entry, blob)
        if (chunk_key := self._keys.get((tag, entry.kind))) is not None:
            unpacked(cipher, entry, stored, chunk_key)


def mark_bad(store: Store, bad: list[BadChunk]) -> None:
    """Write down in the store that these places are bad."""
    places = [(one.digest, one.pack_id) for one in bad]
    key = MARKS + os.urandom(_ID_BYTES).hex()
    store.vault.put_new(ObjectKind.MARKS, key, encode_marks(places))
    store.places.add_bad(places, key)


def _chunk_keys(store: Store) -> dict[tuple[bytes, BlobKind], bytes]:
    """The keys of digests, by the tag of the domain; of a domain without manifests there is none.

    What is sealed there is checked by its seal alone.
    """
    store_key = store.vault.sealer.store_key
    domains = {DEFAULT_DOMAIN} | {manifest.domain for manifest in store.manifests()}
    return {
        (store_key.domain_tag(domain), kind): store_key.chunk_key(domain, kind)
        for domain in domains
        for kind in BlobKind
    }
