"""Index objects, written anew without packs that are gone, and fewer of them."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress

from csi_zfs.cas.api import ObjectNotFoundError, StoreCorruptError, UnknownFormatError
from csi_zfs.cas.indexes import INDEXES, PackContent, encode_index, parse_index
from csi_zfs.cas.packs import PACKS, parse_pack_key
from csi_zfs.cas.places import Places
from csi_zfs.cas.sealing import ObjectKind
from csi_zfs.cas.vault import Vault

_ID_BYTES = 16
# Few enough to be listed and read at once, even on a far server.
_MANY = 16
_MOST_BYTES = 16 << 20


def compact_indexes(vault: Vault, places: Places) -> None:
    """Write few index objects of the packs that there are, then remove the old ones.

    The new ones come first: in between, and after a crash, packs are named twice, which is no
    harm.  An index that is damaged goes; the packs that it named speak for themselves.
    """
    keys: list[str] = []
    contents: dict[bytes, PackContent] = {}
    for info in vault.list(INDEXES):
        with suppress(UnknownFormatError):
            contents |= {one.pack_id: one for one in _read(vault, info.key)}
            keys.append(info.key)
    # Listed behind the indexes: each pack that they name was there before them.
    packs = {parse_pack_key(info.key) for info in vault.list(PACKS)}
    if len(keys) <= _MANY and contents.keys() <= packs:
        return
    for key, group in put_indexes(
        vault, (one for one in contents.values() if one.pack_id in packs)
    ):
        places.add(group, key)
    vault.storage.delete(keys)
    places.forget_objects(keys)


def put_indexes(
    vault: Vault, contents: Iterable[PackContent]
) -> Iterator[tuple[str, list[PackContent]]]:
    """Write index objects of packs, few and not too long; each is told with its key."""
    for group in _groups(contents):
        key = INDEXES + os.urandom(_ID_BYTES).hex()
        vault.put_new(ObjectKind.INDEX, key, encode_index(group))
        yield key, group


def _read(vault: Vault, key: str) -> list[PackContent]:
    try:
        return list(parse_index(key, vault.get(ObjectKind.INDEX, key)[0]))
    except (StoreCorruptError, ObjectNotFoundError):
        # Or another collector was faster.
        return []


def _groups(contents: Iterable[PackContent]) -> Iterator[list[PackContent]]:
    group: list[PackContent] = []
    length = 0
    for content in contents:
        if group and length + len(content.entries) > _MOST_BYTES:
            yield group
            group, length = [], 0
        group.append(content)
        length += len(content.entries)
    if group:
        yield group
