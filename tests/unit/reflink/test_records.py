"""Records: what is written about an object is what is read, and nothing else is taken for it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csi_zfs.datasets.api import Dataset, DatasetKind, DatasetSnapshot, RecordCorruptError
from csi_zfs.reflink.records import (
    Move,
    encode_dataset,
    encode_journal,
    encode_pool,
    encode_snapshot,
    parse_dataset,
    parse_journal,
    parse_pool_id,
    parse_snapshot,
)
from csi_zfs.reflink.sealed import seal

PATH = "/pool/v/a/record.json"
UID = "0123456789abcdef"
DATASET = Dataset("v/a", UID, DatasetKind.ZVOL, 1 << 30, is_thick=False, created_ns=1)
SNAPSHOT = DatasetSnapshot("v/a@s", UID, DatasetKind.ZVOL, 1 << 30, is_thick=True, created_ns=2)
texts = st.text(st.characters(exclude_categories=["Cs"]))
sizes = st.integers(0, (1 << 63) - 1)


@given(size_bytes=sizes, created_ns=sizes, is_thick=st.booleans(), properties=...)
def test_dataset_record_is_read_as_written(
    *, size_bytes: int, created_ns: int, is_thick: bool, properties: dict[str, str]
) -> None:
    dataset = replace(
        DATASET,
        size_bytes=size_bytes,
        created_ns=created_ns,
        is_thick=is_thick,
        user_properties=properties,
    )
    assert parse_dataset(encode_dataset(dataset), name="v/a", path=PATH) == dataset


@given(holds=st.frozensets(texts), is_deferred=st.booleans(), properties=...)
def test_snapshot_record_is_read_as_written(
    *, holds: frozenset[str], is_deferred: bool, properties: dict[str, str]
) -> None:
    snapshot = replace(SNAPSHOT, holds=holds, is_deferred=is_deferred, user_properties=properties)
    assert parse_snapshot(encode_snapshot(snapshot), name="v/a@s", path=PATH) == snapshot


def test_record_holds_no_name_so_that_a_rename_is_one_rename() -> None:
    renamed = replace(DATASET, name="v/b")
    assert encode_dataset(renamed) == encode_dataset(DATASET)
    assert parse_dataset(encode_dataset(DATASET), name="v/b", path=PATH) == renamed


def test_record_of_one_kind_is_not_taken_for_another() -> None:
    with pytest.raises(RecordCorruptError, match=PATH):
        parse_dataset(encode_snapshot(SNAPSHOT), name="v/a", path=PATH)
    with pytest.raises(RecordCorruptError, match=PATH):
        parse_snapshot(encode_dataset(DATASET), name="v/a@s", path=PATH)
    with pytest.raises(RecordCorruptError, match=PATH):
        parse_pool_id(encode_dataset(DATASET), path=PATH)
    with pytest.raises(RecordCorruptError, match=PATH):
        parse_journal(encode_pool(pool_id=UID, created_ns=1), path=PATH)


def test_record_of_a_kind_that_this_engine_never_makes_is_corrupt() -> None:
    data = encode_dataset(replace(DATASET, kind=DatasetKind.FILESYSTEM))
    with pytest.raises(RecordCorruptError, match="kind"):
        parse_dataset(data, name="v/a", path=PATH)


def test_pool_record_is_read_as_written() -> None:
    assert parse_pool_id(encode_pool(pool_id=UID, created_ns=5), path=PATH) == UID


def test_journal_is_read_as_written() -> None:
    moves = [Move(UID, "v/a@s"), Move("f" * 16, "v/b@s")]
    assert parse_journal(encode_journal(moves), path=PATH) == moves


@pytest.mark.parametrize(("uids", "names"), [([UID], []), (["../../etc"], ["v/a@s"]), ([UID], [1])])
def test_journal_that_does_not_add_up_is_corrupt(uids: list[str], names: list[object]) -> None:
    """rules.md C1: a uid becomes a path."""
    with pytest.raises(RecordCorruptError, match=PATH):
        parse_journal(seal({"uids": uids, "snapshot_names": names}), path=PATH)
