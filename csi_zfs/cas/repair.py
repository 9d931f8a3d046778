"""Repair: the index and the cache made anew from the packs, which are the truth.

Chunks that are damaged are no part of it: nobody can make them again but a writer that has their
content (verification.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from csi_zfs.cas.api import ObjectInfo, ObjectNotFoundError, StoreCorruptError
from csi_zfs.cas.indexes import INDEXES, PackContent
from csi_zfs.cas.indexing import put_indexes
from csi_zfs.cas.loading import read_content
from csi_zfs.cas.packs import PACKS, parse_pack_key
from csi_zfs.cas.pipeline import in_order
from csi_zfs.cas.store import Store

_AT_ONCE = 8


@dataclass(slots=True)
class RepairReport:
    """What was done: packs that were read, and those that could not be, in words."""

    packs: int = 0
    removed_indexes: int = 0
    unreadable: list[str] = field(default_factory=list)


def rebuild_index(store: Store, tell: Callable[[str], None]) -> RepairReport:
    """Read the footer of every pack, write the index anew, and forget the cache.

    Safe beside writers and collectors, and to repeat: the new index comes first, and one of
    somebody who commits meanwhile stays.  A pack that cannot be read is told and left where it is.
    Raises what the storage raises, and `UnknownFormatError`.
    """
    report = RepairReport()
    old = [info.key for info in store.vault.list(INDEXES)]
    tell("reading the packs")
    contents = in_order(
        store.executor,
        lambda info: _read(store, info, report),
        store.vault.list(PACKS),
        at_once=_AT_ONCE,
    )
    for _, group in put_indexes(store.vault, filter(None, contents)):
        report.packs += len(group)
    tell(f"removing {len(old)} old indexes")
    store.vault.storage.delete(old)
    report.removed_indexes = len(old)
    store.places.clear()
    store.refresh()
    return report


def _read(store: Store, info: ObjectInfo, report: RepairReport) -> PackContent | None:
    pack_id = parse_pack_key(info.key)
    if pack_id is None:
        report.unreadable.append(f"{info.key} is no name of a pack")
        return None
    try:
        return read_content(store.vault, pack_id, info.key, info.size_bytes)
    except ObjectNotFoundError:
        return None  # Collected since it was listed.
    except StoreCorruptError as exc:
        report.unreadable.append(str(exc))
        return None
