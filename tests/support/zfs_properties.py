"""The native properties that the fake OpenZFS knows: how they are spelled, read and set."""

from collections.abc import Callable, Mapping
from errno import E2BIG, EACCES, EINVAL, ENOSPC

from csi_zfs.datasets.api import DatasetKind
from csi_zfs.domain.sizes import KIB, MAX_BYTES
from csi_zfs.zfs.properties import creation_properties, property_values
from csi_zfs.zfs.property_values import PropertyValues, Sizes, Words
from csi_zfs.zfs.records import MAX_PART_BYTES
from tests.support.zfs_state import (
    BLOCK_BYTES,
    BeyondFakeError,
    FakeDataset,
    FakeEntry,
    FakeSnapshot,
    FakeZpool,
    RefusedError,
    Value,
    is_encrypted,
    is_readable,
    unique_bytes,
)

# Properties that no class can set; all others have the tables of csi_zfs/zfs/properties.py.
_SIZE = Sizes(0, MAX_BYTES, is_power_of_two=False, zero_words=("none",))
_OURS: Mapping[str, PropertyValues] = {
    "canmount": Words({"off": 0, "on": 1, "noauto": 2}),
    "quota": _SIZE,
    "readonly": Words({"off": 0, "on": 1}),
    "refquota": _SIZE,
    "snapdev": Words({"hidden": 0, "visible": 1}),
    "volmode": Words({"default": 0, "full": 1, "dev": 2, "none": 3}),
    "volsize": _SIZE,
}
_TEXTS = frozenset({"mountpoint"})
# Kept among the files of a file system, where programs do not look: they hear the default.
_OF_THE_FILES = frozenset({"casesensitivity", "normalization", "utf8only"})
# What is told has no source.
_FIXED = _OF_THE_FILES | {"volblocksize"}
_NOT_INHERITED = _FIXED | {"canmount", "quota", "refquota", "refreservation", "volsize"}
_OF_FILE_SYSTEMS = frozenset({"canmount", "quota", "refquota"})
# Those that are told although nobody has set them.
_DEFAULTS: Mapping[str, int] = {
    **dict.fromkeys(("casesensitivity", "normalization", "utf8only", "readonly", "volmode"), 0),
    **dict.fromkeys(("quota", "refquota", "refreservation", "special_small_blocks"), 0),
    **dict.fromkeys(("acltype", "dnodesize", "logbias", "redundant_metadata"), 0),
    **dict.fromkeys(("snapdev", "snapdir", "sync"), 0),
    **dict.fromkeys(("atime", "checksum", "compression", "copies", "relatime"), 1),
    **dict.fromkeys(("dedup", "primarycache", "secondarycache", "xattr"), 2),
    "recordsize": 128 * KIB,
    "volblocksize": BLOCK_BYTES,
}
# Each has a transaction of its own; all others share the last one.
SPECIAL = ("refreservation", "quota", "refquota", "volsize")
_SIGN = 1 << 63
# What an empty dataset refers to.
_EMPTY_BYTES = {DatasetKind.ZVOL: 6144, DatasetKind.FILESYSTEM: 12288}
_EMPTY_ENCRYPTED_BYTES = {DatasetKind.ZVOL: 26112, DatasetKind.FILESYSTEM: 50176}

Read = tuple[Value] | tuple[Value, str] | None


def is_user_property(name: str) -> bool:
    """Whether a property is one of a user."""
    return ":" in name


def is_inheritable(name: str) -> bool:
    """Whether `zfs inherit` takes a property."""
    return name not in _NOT_INHERITED


def values_of(name: str) -> PropertyValues | None:
    """How the values of a native property are spelled; None where it is no property at all."""
    if name in _OURS:
        return _OURS[name]
    kinds = [kind for kind in DatasetKind if name in creation_properties(kind)]
    return property_values(kinds[0], name) if kinds else None


def is_text(name: str) -> bool:
    """Whether a native property can be any text."""
    return name in _TEXTS


def get_property(pool: FakeZpool, entry: FakeEntry, name: str) -> Read:
    """A value and who has it as its own, as programs get it; None where the entry has none.

    What the kernel computes has a value alone.
    """
    if is_user_property(name):
        return pool.inherited(entry, name)
    if name == "volsize":
        return (entry.volsize_bytes, entry.name) if entry.volsize_bytes else None
    if name in _COMPUTED:
        value = _COMPUTED[name](pool, entry)
        return None if value is None else (value,)
    return _native(pool, entry, name)


def set_properties(
    pool: FakeZpool, entry: FakeEntry, properties: Mapping[str, Value]
) -> RefusedError | None:
    """Set all that can be set; returns why the last of the others could not."""
    refused = None
    for name, value in properties.items():
        try:
            set_property(pool, entry, name, value)
        except RefusedError as exc:
            refused = exc
    return refused


def set_property(pool: FakeZpool, entry: FakeEntry, name: str, value: Value) -> None:
    """Set one property, whose value is the kernel's; EINVAL, ENOSPC, E2BIG."""
    if is_user_property(name):
        require_short(str(value))
    elif isinstance(entry, FakeSnapshot):
        raise RefusedError(EINVAL)
    elif name == "volsize":
        set_volsize(entry, int(value))
        return
    elif name == "refreservation":
        _require_room(pool, entry, int(value))
    elif values_of(name) is None and not is_text(name):
        raise BeyondFakeError(f"the fake knows no property {name}")
    entry.properties[name] = value


def set_volsize(dataset: FakeDataset, size_bytes: int) -> None:
    """Set the size of a zvol; EINVAL unless it is made of whole blocks, EACCES without its key."""
    if not is_readable(dataset):
        raise RefusedError(EACCES)
    if size_bytes <= 0 or size_bytes % (dataset.number("volblocksize") or BLOCK_BYTES):
        raise RefusedError(EINVAL)
    dataset.volsize_bytes = size_bytes


def require_short(text: str) -> None:
    """A user property has a limit; E2BIG."""
    if len(text.encode()) > MAX_PART_BYTES:
        raise RefusedError(E2BIG)


def _require_room(pool: FakeZpool, dataset: FakeDataset, reserved_bytes: int) -> None:
    unique = unique_bytes(dataset)
    more_bytes = max(unique, reserved_bytes) - max(unique, dataset.number("refreservation"))
    if more_bytes > pool.room_bytes(dataset):
        raise RefusedError(ENOSPC)


def _native(pool: FakeZpool, entry: FakeEntry, name: str) -> Read:
    values = values_of(name)
    if values is None:
        raise BeyondFakeError(f"the fake knows no property {name}")
    if isinstance(entry, FakeSnapshot) or not _has(entry.kind, name):
        return None
    is_own = name in entry.properties and name not in _OF_THE_FILES
    own = (entry.properties[name], entry.name) if is_own else None
    found = pool.inherited(entry, name) if is_inheritable(name) else own
    if found is None and name not in _DEFAULTS:
        raise BeyondFakeError(f"the fake does not know what {name} is by itself")
    number, source = found or (_DEFAULTS[name], "default")
    value = number if isinstance(values, Sizes) else values.text_of(int(number))
    return (value,) if name in _FIXED else (value, source)


def _has(kind: DatasetKind, name: str) -> bool:
    """Whether datasets of a kind have a native property."""
    if name in _OF_FILE_SYSTEMS:
        return kind is DatasetKind.FILESYSTEM
    kinds = [one for one in DatasetKind if name in creation_properties(one)]
    return not kinds or kind in kinds


def _of_snapshot(entry: FakeEntry, read: Callable[[FakeSnapshot], Value]) -> Value | None:
    return read(entry) if isinstance(entry, FakeSnapshot) else None


def _origin(_: FakeZpool, entry: FakeEntry) -> Value | None:
    origin = entry.origin if isinstance(entry, FakeDataset) else None
    return None if origin is None else origin.name


def _logical_bytes(entry: FakeEntry) -> int:
    dataset = entry.dataset if isinstance(entry, FakeSnapshot) else entry
    empty_bytes = _EMPTY_ENCRYPTED_BYTES if is_encrypted(dataset) else _EMPTY_BYTES
    return empty_bytes[dataset.kind] + BLOCK_BYTES * len(entry.blocks)


def _key_status(entry: FakeEntry) -> str:
    dataset = entry.dataset if isinstance(entry, FakeSnapshot) else entry
    if not is_encrypted(dataset):
        return "none"
    return "available" if is_readable(dataset) else "unavailable"


_COMPUTED: Mapping[str, Callable[[FakeZpool, FakeEntry], Value | None]] = {
    "available": lambda pool, it: (
        None if isinstance(it, FakeSnapshot) else pool.available_bytes(it)
    ),
    "createtxg": lambda _, it: _of_snapshot(it, lambda one: one.txg),
    "creation": lambda _, it: it.created_s,
    "defer_destroy": lambda _, it: _of_snapshot(it, lambda one: "on" if one.is_deferred else "off"),
    # Lua's numbers have a sign.
    "guid": lambda _, it: (it.guid ^ _SIGN) - _SIGN,
    "keystatus": lambda _, it: _key_status(it),
    "logicalreferenced": lambda _, it: _logical_bytes(it),
    "origin": _origin,
    "type": lambda _, it: "snapshot" if isinstance(it, FakeSnapshot) else it.kind.value,
    "used": lambda pool, it: 0 if isinstance(it, FakeSnapshot) else pool.used_bytes(it),
    # Of a snapshot it is what it has beyond the one before it.
    "written": lambda _, it: None if isinstance(it, FakeSnapshot) else unique_bytes(it),
    "userrefs": lambda _, it: _of_snapshot(it, lambda one: len(one.holds)),
}
