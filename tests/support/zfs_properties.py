"""The native properties that the fake OpenZFS knows: how they are spelled, read and set."""

from collections.abc import Callable, Mapping
from errno import E2BIG, EINVAL, ENOSPC

from csi_zfs.datasets.api import DatasetKind
from csi_zfs.domain.sizes import MAX_BYTES
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
    unique_bytes,
)

# Properties that no class can set; all others have the tables of csi_zfs/zfs/properties.py.
_SIZE = Sizes(0, MAX_BYTES, is_power_of_two=False, zero_words=("none",))
_OURS: Mapping[str, PropertyValues] = {
    "canmount": Words({"off": 0, "on": 1, "noauto": 2}),
    "quota": _SIZE,
    "snapdev": Words({"hidden": 0, "visible": 1}),
    "volmode": Words({"default": 0, "full": 1, "dev": 2, "none": 3}),
    "volsize": _SIZE,
}
_TEXTS = frozenset({"mountpoint"})
_NOT_INHERITED = frozenset({"quota", "refreservation", "volsize", "volblocksize", "canmount"})
# Each has a transaction of its own; all others share the last one.
SPECIAL = ("refreservation", "quota", "volsize")
_SIGN = 1 << 63

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
    if name in creation_properties(DatasetKind.ZVOL):
        return property_values(DatasetKind.ZVOL, name)
    return None


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
    elif values_of(name) is None and name not in _TEXTS:
        raise BeyondFakeError(f"the fake knows no property {name}")
    entry.properties[name] = value


def set_volsize(dataset: FakeDataset, size_bytes: int) -> None:
    """Set the size of a zvol; EINVAL unless it is made of whole blocks."""
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
    if isinstance(entry, FakeSnapshot) or (name == "quota" and entry.kind is DatasetKind.ZVOL):
        return None
    value, source = pool.inherited(entry, name) or (None, "default")
    if not is_inheritable(name):
        value, source = entry.properties.get(name), entry.name
    if value is None:
        value, source = 1 if name == "compression" else 0, "default"
    return (value if isinstance(values, Sizes) else values.text_of(int(value))), source


def _of_snapshot(entry: FakeEntry, read: Callable[[FakeSnapshot], Value]) -> Value | None:
    return read(entry) if isinstance(entry, FakeSnapshot) else None


def _origin(_: FakeZpool, entry: FakeEntry) -> Value | None:
    origin = entry.origin if isinstance(entry, FakeDataset) else None
    return None if origin is None else origin.name


_COMPUTED: Mapping[str, Callable[[FakeZpool, FakeEntry], Value | None]] = {
    "available": lambda pool, it: (
        None if isinstance(it, FakeSnapshot) else pool.available_bytes(it)
    ),
    "creation": lambda _, it: it.created_s,
    "defer_destroy": lambda _, it: _of_snapshot(it, lambda one: "on" if one.is_deferred else "off"),
    # Lua's numbers have a sign.
    "guid": lambda _, it: (it.guid ^ _SIGN) - _SIGN,
    "origin": _origin,
    "type": lambda _, it: "snapshot" if isinstance(it, FakeSnapshot) else it.kind.value,
    "used": lambda pool, it: 0 if isinstance(it, FakeSnapshot) else pool.used_bytes(it),
    "userrefs": lambda _, it: _of_snapshot(it, lambda one: len(one.holds)),
}
