"""What is kept about each dataset and snapshot: its record, in user properties of its own.

A record is one line of JSON in ASCII behind a header: the format's version, the number of parts and
the digest of the JSON.  What is longer than one property goes on in `<property>.1`, `<property>.2`;
further parts than the header counts are left over from an earlier record and mean nothing.
Datasets and snapshots have different properties, since a snapshot inherits its dataset's.

A record holds no name, so that a rename is one rename, and of a clone only that it is one: what its
origin is called changes.
"""

import json
import re
from collections.abc import Mapping
from types import MappingProxyType

from csi_zfs.datasets.api import (
    Dataset,
    DatasetSnapshot,
    RecordCorruptError,
    RecordTooLargeError,
)
from csi_zfs.datasets.fields import RecordFields
from csi_zfs.system.digest import hex_digest_of

DATASET_PROPERTY = "io.csi-zfs:dataset"
SNAPSHOT_PROPERTY = "io.csi-zfs:snapshot"
# The origin of a clone that was read from its record alone.
UNREAD_ORIGIN = "?"

# ZAP_MAXVALUELEN is 8192 bytes, with the NUL at the end.
MAX_PART_BYTES = 8191
MAX_PARTS = 16

_VERSION = "1"
_HEADER = re.compile(rf"{_VERSION} (?P<count>[0-9]{{2}}) (?P<digest>[0-9a-f]{{64}}) ", re.ASCII)
_HEADER_BYTES = len(_VERSION) + 1 + 2 + 1 + 64 + 1

_NO_PARTS: Mapping[str, str] = MappingProxyType({})
_SNAPSHOT_KEYS = frozenset(
    {"uid", "kind", "size_bytes", "is_thick", "created_ns", "user_properties"}
)
_DATASET_KEYS = _SNAPSHOT_KEYS | {"is_clone", "properties"}
# Made once: `json.dumps` with options makes an encoder at each call.
_encode = json.JSONEncoder(ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode


def encode_dataset(dataset: Dataset) -> dict[str, str]:
    """The user properties that keep a dataset; raises `RecordTooLargeError`."""
    own = {"is_clone": bool(dataset.origin), "properties": dict(dataset.properties)}
    return _parts_of(_fields_of(dataset) | own, DATASET_PROPERTY)


def encode_snapshot(snapshot: DatasetSnapshot) -> dict[str, str]:
    """The user properties that keep a snapshot, but for its holds and a destroy that waits.

    Raises `RecordTooLargeError`.
    """
    return _parts_of(_fields_of(snapshot), SNAPSHOT_PROPERTY)


def further_properties(first: str, record_property: str, *, name: str) -> list[str]:
    """The properties, beside the first, that hold the record of `name`: mostly none.

    Raises `RecordCorruptError`.
    """
    count, _ = _header_of(first, name)
    return [f"{record_property}.{number}" for number in range(1, count)]


def parse_dataset(first: str, further: Mapping[str, str] = _NO_PARTS, *, name: str) -> Dataset:
    """Read the record of the dataset called `name`; the origin of a clone is `UNREAD_ORIGIN`.

    `further` has what `further_properties` names.  Raises `RecordCorruptError`.
    """
    fields = _fields_in(_joined(first, further, DATASET_PROPERTY, name=name), name, _DATASET_KEYS)
    return Dataset(
        name=name,
        uid=fields.hex16("uid"),
        kind=fields.kind("kind"),
        size_bytes=fields.number("size_bytes"),
        is_thick=fields.flag("is_thick"),
        created_ns=fields.number("created_ns"),
        origin=UNREAD_ORIGIN if fields.flag("is_clone") else "",
        properties=fields.text_map("properties"),
        user_properties=fields.text_map("user_properties"),
    )


def parse_snapshot(
    first: str, further: Mapping[str, str] = _NO_PARTS, *, name: str
) -> DatasetSnapshot:
    """Read the record of the snapshot called `name`, without holds; see `parse_dataset`."""
    fields = _fields_in(_joined(first, further, SNAPSHOT_PROPERTY, name=name), name, _SNAPSHOT_KEYS)
    return DatasetSnapshot(
        name=name,
        uid=fields.hex16("uid"),
        kind=fields.kind("kind"),
        size_bytes=fields.number("size_bytes"),
        is_thick=fields.flag("is_thick"),
        created_ns=fields.number("created_ns"),
        user_properties=fields.text_map("user_properties"),
    )


def _fields_in(line: str, name: str, keys: frozenset[str]) -> RecordFields:
    def corrupt(why: str) -> RecordCorruptError:
        return _corrupt(name, why)

    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise corrupt("it is not JSON") from exc
    return RecordFields(fields, keys=keys, corrupt=corrupt)


def _fields_of(entry: Dataset | DatasetSnapshot) -> dict[str, object]:
    return {
        "uid": entry.uid,
        "kind": entry.kind,
        "size_bytes": entry.size_bytes,
        "is_thick": entry.is_thick,
        "created_ns": entry.created_ns,
        "user_properties": dict(entry.user_properties),
    }


def _parts_of(fields: dict[str, object], record_property: str) -> dict[str, str]:
    line = _encode(fields)
    count = -(-(_HEADER_BYTES + len(line)) // MAX_PART_BYTES)
    if count > MAX_PARTS:
        raise RecordTooLargeError(
            f"a record of {len(line)} bytes does not fit into {MAX_PARTS} user properties of "
            f"{MAX_PART_BYTES} bytes"
        )
    text = f"{_VERSION} {count:02} {hex_digest_of(line.encode())} {line}"
    cuts = range(0, len(text), MAX_PART_BYTES)
    names = [record_property, *(f"{record_property}.{number}" for number in range(1, count))]
    return {name: text[cut : cut + MAX_PART_BYTES] for name, cut in zip(names, cuts, strict=True)}


def _joined(first: str, further: Mapping[str, str], record_property: str, *, name: str) -> str:
    """The JSON of a record, once its digest fits."""
    count, digest = _header_of(first, name)
    line = first[_HEADER_BYTES:]
    if count > 1:
        line += "".join(_further_of(first, further, record_property, name=name))
    if not line.isascii() or hex_digest_of(line.encode()) != digest:
        raise _corrupt(name, "its digest does not fit its content")
    return line


def _further_of(
    first: str, further: Mapping[str, str], record_property: str, *, name: str
) -> list[str]:
    properties = further_properties(first, record_property, name=name)
    missing = [one for one in properties if one not in further]
    if missing:
        raise _corrupt(name, f"its part {missing[0]} is missing")
    return [further[one] for one in properties]


def _header_of(first: str, name: str) -> tuple[int, str]:
    """The number of parts and the digest."""
    header = _HEADER.match(first)
    if header is None:
        version = first.partition(" ")[0]
        known = "it has no header" if version == _VERSION else f"its version is {version[:16]!r}"
        raise _corrupt(name, known)
    count = int(header["count"])
    if not 1 <= count <= MAX_PARTS:
        raise _corrupt(name, f"it claims {count} parts")
    return count, header["digest"]


def _corrupt(name: str, why: str) -> RecordCorruptError:
    return RecordCorruptError(f"the record of {name} cannot be read: {why}", name=name)
