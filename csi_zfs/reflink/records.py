"""What is kept about each object: the content of `record.json`, of `pool.json` and of a journal.

A record does not hold the object's name: the directory's name is the name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from csi_zfs.datasets.api import Dataset, DatasetKind, DatasetSnapshot, RecordCorruptError
from csi_zfs.datasets.fields import RecordFields
from csi_zfs.reflink.sealed import seal, sealed_fields

_DATASET_KEYS = frozenset(
    {"uid", "kind", "size_bytes", "is_thick", "created_ns", "user_properties"}
)
_SNAPSHOT_KEYS = _DATASET_KEYS | {"holds", "is_deferred"}
_POOL_KEYS = frozenset({"pool_id", "created_ns"})
_JOURNAL_KEYS = frozenset({"uids", "snapshot_names"})


@dataclass(frozen=True, slots=True)
class Move:
    """One snapshot on its way from `t/<uid>` to its name."""

    uid: str
    snapshot_name: str


def encode_dataset(dataset: Dataset) -> bytes:
    """The record of a dataset."""
    return seal(_fields_of(dataset))


def encode_snapshot(snapshot: DatasetSnapshot) -> bytes:
    """The record of a snapshot."""
    own = {"holds": sorted(snapshot.holds), "is_deferred": snapshot.is_deferred}
    return seal(_fields_of(snapshot) | own)


def parse_dataset(data: bytes, *, name: str, path: Path | str) -> Dataset:
    """Read the record of the dataset called `name`; raises `RecordCorruptError`, naming `path`."""
    fields = sealed_fields(data, path=path, keys=_DATASET_KEYS)
    return Dataset(
        name=name,
        uid=fields.hex16("uid"),
        kind=_kind_in(fields, path),
        size_bytes=fields.number("size_bytes"),
        is_thick=fields.flag("is_thick"),
        created_ns=fields.number("created_ns"),
        user_properties=fields.text_map("user_properties"),
    )


def parse_snapshot(data: bytes, *, name: str, path: Path | str) -> DatasetSnapshot:
    """Read the record of the snapshot called `name`; raises `RecordCorruptError`, naming `path`."""
    fields = sealed_fields(data, path=path, keys=_SNAPSHOT_KEYS)
    return DatasetSnapshot(
        name=name,
        uid=fields.hex16("uid"),
        kind=_kind_in(fields, path),
        size_bytes=fields.number("size_bytes"),
        is_thick=fields.flag("is_thick"),
        created_ns=fields.number("created_ns"),
        user_properties=fields.text_map("user_properties"),
        holds=frozenset(fields.texts("holds")),
        is_deferred=fields.flag("is_deferred"),
    )


def encode_pool(*, pool_id: str, created_ns: int) -> bytes:
    """The content of `pool.json`."""
    return seal({"pool_id": pool_id, "created_ns": created_ns})


def parse_pool_id(data: bytes, *, path: Path | str) -> str:
    """The pool's id from its `pool.json`; raises `RecordCorruptError`, naming `path`."""
    return sealed_fields(data, path=path, keys=_POOL_KEYS).hex16("pool_id")


def encode_journal(moves: Sequence[Move]) -> bytes:
    """The content of a journal."""
    return seal(
        {
            "uids": [move.uid for move in moves],
            "snapshot_names": [move.snapshot_name for move in moves],
        }
    )


def parse_journal(data: bytes, *, path: Path | str) -> list[Move]:
    """The moves in a journal; raises `RecordCorruptError`, naming `path`."""
    fields = sealed_fields(data, path=path, keys=_JOURNAL_KEYS)
    uids, snapshot_names = fields.hex16s("uids"), fields.texts("snapshot_names")
    if len(uids) != len(snapshot_names):
        raise RecordCorruptError(f"{path} cannot be read: it has not one name for each uid")
    return [Move(uid, name) for uid, name in zip(uids, snapshot_names, strict=True)]


def _kind_in(fields: RecordFields, path: Path | str) -> DatasetKind:
    kind = fields.kind("kind")
    if kind is not DatasetKind.ZVOL:
        raise RecordCorruptError(f"{path} cannot be read: its kind {kind} is none of this engine")
    return kind


def _fields_of(entry: Dataset | DatasetSnapshot) -> dict[str, object]:
    return {
        "uid": entry.uid,
        "kind": entry.kind,
        "size_bytes": entry.size_bytes,
        "is_thick": entry.is_thick,
        "created_ns": entry.created_ns,
        "user_properties": dict(entry.user_properties),
    }
