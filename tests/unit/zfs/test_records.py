"""Records in user properties: what is written is what is read, and nothing else is taken for it."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csi_zfs.datasets.api import (
    Dataset,
    DatasetKind,
    DatasetSnapshot,
    RecordCorruptError,
    RecordTooLargeError,
)
from csi_zfs.system.digest import hex_digest_of
from csi_zfs.zfs.records import (
    DATASET_PROPERTY,
    MAX_PART_BYTES,
    MAX_PARTS,
    SNAPSHOT_PROPERTY,
    UNREAD_ORIGIN,
    encode_dataset,
    encode_snapshot,
    further_properties,
    parse_dataset,
    parse_snapshot,
)

UID = "0123456789abcdef"
DATASET = Dataset(
    "v/a",
    UID,
    DatasetKind.ZVOL,
    1 << 30,
    is_thick=False,
    created_ns=1,
    properties={"compression": "zstd-3"},
    user_properties={"volume_name": "pvc-1?"},
)
SNAPSHOT = DatasetSnapshot("v/a@s", UID, DatasetKind.ZVOL, 1 << 30, is_thick=True, created_ns=2)
# The longest user properties that the interface promises to keep.
LONG = replace(DATASET, user_properties={"a": "x" * 8191, "b": "é" * 4095, "c": "\0" * 100})

texts = st.text(st.characters())
maps = st.dictionaries(st.from_regex(r"[a-z_]+", fullmatch=True), texts)
sizes = st.integers(0, (1 << 63) - 1)


def parsed(parts: dict[str, str], *, name: str = "v/a") -> Dataset:
    return parse_dataset(parts[DATASET_PROPERTY], parts, name=name)


def record_of(fields: object) -> str:
    """A whole record with any JSON in it."""
    line = json.dumps(fields)
    return f"1 01 {hex_digest_of(line.encode())} {line}"


def fields_of(parts: dict[str, str]) -> dict[str, object]:
    fields: dict[str, object] = json.loads(parts[DATASET_PROPERTY].split(" ", 3)[3])
    return fields


@given(
    kind=st.sampled_from(DatasetKind),
    size_bytes=sizes,
    created_ns=sizes,
    is_thick=st.booleans(),
    properties=maps,
    user_properties=maps,
)
def test_dataset_record_is_read_as_written(
    *,
    kind: DatasetKind,
    size_bytes: int,
    created_ns: int,
    is_thick: bool,
    properties: dict[str, str],
    user_properties: dict[str, str],
) -> None:
    dataset = Dataset(
        "v/a",
        UID,
        kind,
        size_bytes,
        is_thick=is_thick,
        created_ns=created_ns,
        properties=properties,
        user_properties=user_properties,
    )
    assert parsed(encode_dataset(dataset)) == dataset


@given(kind=st.sampled_from(DatasetKind), is_thick=st.booleans(), user_properties=maps)
def test_snapshot_record_is_read_as_written(
    *, kind: DatasetKind, is_thick: bool, user_properties: dict[str, str]
) -> None:
    snapshot = replace(SNAPSHOT, kind=kind, is_thick=is_thick, user_properties=user_properties)
    parts = encode_snapshot(snapshot)
    assert parse_snapshot(parts[SNAPSHOT_PROPERTY], parts, name="v/a@s") == snapshot


def test_ordinary_record_is_one_property() -> None:
    """So that a start reads one property for each dataset."""
    parts = encode_dataset(DATASET)
    assert list(parts) == [DATASET_PROPERTY]
    assert further_properties(parts[DATASET_PROPERTY], DATASET_PROPERTY, name="v/a") == []


def test_datasets_and_snapshots_have_different_properties() -> None:
    """A snapshot inherits the user properties of its dataset."""
    assert encode_dataset(DATASET).keys().isdisjoint(encode_snapshot(SNAPSHOT))


def test_record_holds_no_name_so_that_a_rename_is_one_rename() -> None:
    renamed = replace(DATASET, name="v/b")
    assert encode_dataset(renamed) == encode_dataset(DATASET)
    assert parsed(encode_dataset(DATASET), name="v/b") == renamed


def test_record_of_a_clone_says_that_it_has_an_origin_and_not_which() -> None:
    """A rename of the origin would make a name in the record a lie."""
    parts = encode_dataset(replace(DATASET, origin="v/b@s"))
    assert "v/b@s" not in "".join(parts.values())
    assert parsed(parts) == replace(DATASET, origin=UNREAD_ORIGIN)


def test_snapshot_record_leaves_to_zfs_what_zfs_keeps() -> None:
    busy = replace(SNAPSHOT, holds=frozenset({"tag"}), is_deferred=True)
    assert encode_snapshot(busy) == encode_snapshot(SNAPSHOT)


@given(user_properties=maps)
def test_record_is_plain_text_of_ascii(user_properties: dict[str, str]) -> None:
    parts = encode_dataset(replace(DATASET, user_properties=user_properties))
    for part in parts.values():
        assert part.isascii()
        assert not {"\0", "\n", "\r", "\t"} & set(part)


def test_long_record_is_cut_into_parts_that_zfs_takes() -> None:
    parts = encode_dataset(LONG)
    lengths = [len(part) for part in parts.values()]
    assert lengths[:-1] == [MAX_PART_BYTES] * (len(lengths) - 1)
    assert 0 < lengths[-1] <= MAX_PART_BYTES
    assert len(parts) == 5
    assert list(parts)[:2] == [DATASET_PROPERTY, f"{DATASET_PROPERTY}.1"]
    assert [DATASET_PROPERTY, *further(parts)] == list(parts)
    assert parsed(parts) == LONG


def further(parts: dict[str, str]) -> list[str]:
    return further_properties(parts[DATASET_PROPERTY], DATASET_PROPERTY, name="v/a")


def test_records_of_every_length_around_a_cut_are_read_as_written() -> None:
    empty = len(encode_dataset(replace(DATASET, user_properties={"a": ""}))[DATASET_PROPERTY])
    counts = []
    for length in range(MAX_PART_BYTES - empty - 1, MAX_PART_BYTES - empty + 3):
        dataset = replace(DATASET, user_properties={"a": "x" * length})
        parts = encode_dataset(dataset)
        counts.append(len(parts))
        assert parsed(parts) == dataset
    assert counts == [1, 1, 2, 2]


def test_parts_left_over_from_a_longer_record_mean_nothing() -> None:
    stale = encode_dataset(LONG)
    assert parsed(stale | encode_dataset(DATASET)) == DATASET
    shorter = replace(LONG, user_properties={"a": "y" * 9000})
    assert parsed(stale | encode_dataset(shorter)) == shorter


def test_record_without_one_of_its_parts_is_corrupt() -> None:
    parts = encode_dataset(LONG)
    for missing in further(parts):
        rest = {name: part for name, part in parts.items() if name != missing}
        with pytest.raises(RecordCorruptError, match=missing) as caught:
            parsed(rest)
        assert caught.value.name == "v/a"


def test_record_with_parts_of_two_writes_is_corrupt() -> None:
    """A torn write: never half of one and half of the other."""
    old = encode_dataset(LONG)
    new = encode_dataset(replace(LONG, user_properties={"a": "y" * 8191, "b": "è" * 4095}))
    for property_name in old.keys() & new.keys():
        with pytest.raises(RecordCorruptError, match="digest"):
            parsed(old | {property_name: new[property_name]})


def test_record_with_parts_exchanged_is_corrupt() -> None:
    parts = encode_dataset(LONG)
    one, two = f"{DATASET_PROPERTY}.1", f"{DATASET_PROPERTY}.3"
    with pytest.raises(RecordCorruptError, match="digest"):
        parsed(parts | {one: parts[two], two: parts[one]})


ORDINARY = encode_dataset(DATASET)[DATASET_PROPERTY]


@given(st.integers(0, len(ORDINARY) - 1), st.characters())
def test_record_with_any_character_changed_is_corrupt(position: int, character: str) -> None:
    """rules.md B8: never half read."""
    text = ORDINARY[:position] + character + ORDINARY[position + 1 :]
    if text == ORDINARY:
        return
    with pytest.raises(RecordCorruptError, match="v/a"):
        parse_dataset(text, name="v/a")


@given(st.integers(0, len(ORDINARY) - 1))
def test_record_cut_off_anywhere_is_corrupt(length: int) -> None:
    with pytest.raises(RecordCorruptError, match="v/a"):
        parse_dataset(ORDINARY[:length], name="v/a")


@given(texts)
def test_record_of_garbage_is_corrupt(text: str) -> None:
    for garbage in (text, ORDINARY + text + "x", record_of(text)):
        with pytest.raises(RecordCorruptError, match="v/a"):
            parse_dataset(garbage, name="v/a")
        with pytest.raises(RecordCorruptError, match="v/a"):
            parse_snapshot(garbage, name="v/a")


@pytest.mark.parametrize("header", ["2 01", "1 00", "1 17", "1 1", "1 -1", "10 01", ""])
def test_record_with_another_header_is_corrupt(header: str) -> None:
    text = f"{header} {ORDINARY.split(' ', 2)[2]}"
    with pytest.raises(RecordCorruptError, match="v/a"):
        parse_dataset(text, name="v/a")
    with pytest.raises(RecordCorruptError, match="v/a"):
        further_properties(text, DATASET_PROPERTY, name="v/a")


def test_record_of_an_unknown_version_says_so() -> None:
    with pytest.raises(RecordCorruptError, match="version is '2'"):
        parse_dataset("2" + ORDINARY[1:], name="v/a")


def test_record_of_one_kind_is_not_taken_for_another() -> None:
    with pytest.raises(RecordCorruptError, match="fields"):
        parse_snapshot(ORDINARY, name="v/a@s")
    with pytest.raises(RecordCorruptError, match="fields"):
        parse_dataset(encode_snapshot(SNAPSHOT)[SNAPSHOT_PROPERTY], name="v/a")


@pytest.mark.parametrize("line", ["[]", "7", "{", "{}", "null", "[" * 100_000])
def test_record_of_another_form_is_corrupt(line: str) -> None:
    with pytest.raises(RecordCorruptError, match="v/a"):
        parse_dataset(f"1 01 {hex_digest_of(line.encode())} {line}", name="v/a")


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("uid", [1, None, "0123456789ABCDEF", "0123456789abcde", UID + "\n"]),
        ("kind", ["zvol", "snapshot", 1, None, ["volume"]]),
        ("size_bytes", [-1, "1", 1.5, True, None]),
        ("created_ns", [-1, "1", 1.5, True, None]),
        ("is_thick", [0, 1, "true", None]),
        ("is_clone", [0, 1, "true", None]),
        ("properties", [[], "x", None, {"a": 1}, {"a": None}]),
        ("user_properties", [[], "x", None, {"a": 1}, {"a": None}]),
    ],
)
def test_record_with_a_field_of_another_type_is_corrupt(key: str, values: list[object]) -> None:
    fields = fields_of(encode_dataset(DATASET))
    assert parse_dataset(record_of(fields), name="v/a") == DATASET
    for value in values:
        with pytest.raises(RecordCorruptError, match=f"its field {key} is wrong"):
            parse_dataset(record_of(fields | {key: value}), name="v/a")


def test_record_with_a_field_more_or_less_is_corrupt() -> None:
    fields = fields_of(encode_dataset(DATASET))
    less = [{one: fields[one] for one in fields if one != key} for key in fields]
    for other in [*less, fields | {"more": 1}]:
        with pytest.raises(RecordCorruptError, match="fields"):
            parse_dataset(record_of(other), name="v/a")


def test_record_above_the_largest_is_refused() -> None:
    """What could not be read back is not written."""
    spare = MAX_PARTS * MAX_PART_BYTES - len(ORDINARY)
    largest = replace(DATASET, user_properties={"volume_name": "pvc-1?" + "x" * spare})
    parts = encode_dataset(largest)
    assert len(parts) == MAX_PARTS
    assert parsed(parts) == largest
    with pytest.raises(RecordTooLargeError):
        encode_dataset(replace(largest, user_properties={"volume_name": "x" * (spare + 7)}))
