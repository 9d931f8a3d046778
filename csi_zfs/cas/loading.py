"""Brings the cache of places up to what the storage has.

Packs are the truth; index objects only save reading their footers.  So a pack that no index names
(its writer died) is read itself, and what a dead writer uploaded counts for the next one.
"""

import logging
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor

from csi_zfs.cas.api import (
    DIGEST_BYTES,
    ObjectInfo,
    ObjectNotFoundError,
    StoreCorruptError,
    UnknownFormatError,
)
from csi_zfs.cas.indexes import INDEXES, PackContent, parse_index
from csi_zfs.cas.packs import (
    MAX_PACK_BYTES,
    PACK_ID_BYTES,
    PACKS,
    TRAILER_BYTES,
    PackCipher,
    pack_key,
    parse_pack_key,
    parse_pack_prefix,
    parse_trailer,
)
from csi_zfs.cas.places import Places
from csi_zfs.cas.sealing import PREFIX_BYTES, ObjectKind
from csi_zfs.cas.vault import Vault
from csi_zfs.system.clock import Clock

MARKS = "marks/"
_MARK = struct.Struct(f"{DIGEST_BYTES}s{PACK_ID_BYTES}s")
# Holds the footer of a pack of small chunks, most of the time: one request instead of two.
_TAIL_BYTES = 64 << 10
_MOST_IN_VAIN = 8
_PAUSE_S = 60.0
_log = logging.getLogger(__name__)


class News:
    """Refreshes for whoever misses a chunk, as long as that helps.  Thread-safe.

    Of many chunks that are really damaged not every one is worth a refresh.
    """

    def __init__(self, refresh: Callable[[], None], clock: Clock) -> None:
        self._refresh = refresh
        self._clock = clock
        self._lock = threading.Lock()
        self._in_vain = 0
        self._asked_s = 0.0

    def ask(self) -> bool:
        """Refresh; false where that was in vain too often lately."""
        with self._lock:
            now_s = self._clock.monotonic_s()
            if self._in_vain >= _MOST_IN_VAIN and now_s - self._asked_s < _PAUSE_S:
                return False
            self._refresh()
            self._in_vain += 1
            self._asked_s = now_s
            return True

    def helped(self) -> None:
        """The chunk was there then."""
        self._in_vain = 0


def refresh(vault: Vault, places: Places, executor: Executor) -> dict[bytes, int]:
    """Read what is new in the storage, and forget what is gone.

    Returns the sizes of the packs that were listed and whose content is known.  Who needs to be
    sure trusts no other pack: somebody who shares the cache may bring back one that is gone, by a
    listing that is older.  A pack, an index or a mark that is damaged is told and passed over: its
    chunks count as absent.  Raises what a listing raises.
    """
    sizes = {
        pack_id: info.size_bytes
        for info in vault.list(PACKS)
        if (pack_id := parse_pack_key(info.key)) is not None
    }
    # One that was cut off is read again, and told.
    known_sizes = places.packs().items()
    places.forget_packs(pack_id for pack_id, size in known_sizes if sizes.get(pack_id) != size)
    listed = [*vault.list(INDEXES), *vault.list(MARKS)]
    known = places.objects()
    places.forget_objects(known - {info.key for info in listed})
    for info in listed:
        if info.key not in known:
            _passing_over(info.key, _reader_of(info, vault, places, sizes))
    missing = sizes.keys() - places.packs().keys()
    for content in executor.map(lambda one: _content(vault, one, sizes[one]), sorted(missing)):
        if content is not None:
            places.add([content])
    return {pack_id: sizes[pack_id] for pack_id in places.packs() if pack_id in sizes}


def read_content(vault: Vault, pack_id: bytes, key: str, size_bytes: int) -> PackContent:
    """What a pack holds, by its own footer.

    Raises `StoreCorruptError`, `UnknownFormatError`, `ObjectNotFoundError`.
    """
    if not PREFIX_BYTES + TRAILER_BYTES <= size_bytes <= MAX_PACK_BYTES:
        raise StoreCorruptError(f"{key} is damaged: no pack has {size_bytes} bytes")
    tail_bytes = min(size_bytes, _TAIL_BYTES)
    ranges = [(0, PREFIX_BYTES), (size_bytes - tail_bytes, tail_bytes)]
    prefix, tail = vault.storage.get_ranges(key, ranges)
    salt = parse_pack_prefix(key, prefix)
    trailer = tail[-TRAILER_BYTES:]
    end_bytes = parse_trailer(key, trailer) + TRAILER_BYTES
    if end_bytes > size_bytes - PREFIX_BYTES:
        raise StoreCorruptError(f"{key} is damaged: its footer is longer than it is")
    if end_bytes > tail_bytes:
        (tail,) = vault.storage.get_ranges(key, [(size_bytes - end_bytes, end_bytes)])
    sealer = vault.sealer
    cipher = PackCipher(sealer.store_key, sealer.store_id, pack_id, salt)
    entries = cipher.open_footer(tail[-end_bytes:-TRAILER_BYTES], trailer)
    return PackContent(pack_id, salt, size_bytes, b"".join(entry.encode() for entry in entries))


def encode_marks(bad: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The payload of an object of marks: digests with the packs where they are bad."""
    return b"".join(_MARK.pack(digest, pack_id) for digest, pack_id in bad)


def parse_marks(key: str, payload: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The places in an object of marks; raises `StoreCorruptError`."""
    if len(payload) % _MARK.size:
        raise StoreCorruptError(f"{key} is damaged: it ends too early")
    return _MARK.iter_unpack(payload)


def _reader_of(
    info: ObjectInfo, vault: Vault, places: Places, sizes: dict[bytes, int]
) -> Callable[[], None]:
    def read_index() -> None:
        payload, _ = vault.get(ObjectKind.INDEX, info.key)
        contents = parse_index(info.key, payload)
        # A pack of another length than its index says is read itself.
        there = (one for one in contents if sizes.get(one.pack_id) == one.size_bytes)
        places.add(there, info.key)

    def read_marks() -> None:
        payload, _ = vault.get(ObjectKind.MARKS, info.key)
        places.add_bad(parse_marks(info.key, payload), info.key)

    return read_index if info.key.startswith(INDEXES) else read_marks


def _content(vault: Vault, pack_id: bytes, size_bytes: int) -> PackContent | None:
    key = pack_key(pack_id)
    found: list[PackContent] = []
    _passing_over(key, lambda: found.append(read_content(vault, pack_id, key, size_bytes)))
    return found[0] if found else None


def _passing_over(key: str, read: Callable[[], None]) -> None:
    try:
        read()
    except ObjectNotFoundError:
        _log.info("%s went while it was read", key)
    except (StoreCorruptError, UnknownFormatError) as exc:
        _log.warning("%s is passed over, `csi-zfs store check` says what it costs: %s", key, exc)
