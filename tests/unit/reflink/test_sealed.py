"""Sealed files: whatever a torn write, an editor or a bug did to one is found."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csi_zfs.datasets.api import RecordCorruptError, RecordTooLargeError
from csi_zfs.datasets.fields import RecordFields
from csi_zfs.reflink import sealed
from csi_zfs.reflink.sealed import seal, sealed_fields
from csi_zfs.system.digest import hex_digest_of

FIELDS: dict[str, object] = {
    "text": "a\nb",
    "hex": "0123456789abcdef",
    "number": 7,
    "flag": True,
    "texts": ["x", "y"],
    "map": {"k": "v"},
}
PATH = "/pool/v/a/record.json"
WRONG_VALUES: list[object] = [None, 1.5, "x" * 16, "0123456789ABCDEF", -1, [1], {"k": 1}, {}, 3]


def fields_of(values: dict[str, object]) -> RecordFields:
    return sealed_fields(seal(values), path=PATH, keys=frozenset(values))


def sealed_line(line: bytes) -> bytes:
    return line + b'\n{"blake3":"' + hex_digest_of(line).encode() + b'"}\n'


def test_sealed_fields_are_read_back_by_their_types() -> None:
    fields = fields_of(FIELDS)
    assert fields.text("text") == "a\nb"
    assert fields.hex16("hex") == "0123456789abcdef"
    assert fields.number("number") == 7
    assert fields.flag("flag") is True
    assert fields.texts("texts") == ["x", "y"]
    assert fields.text_map("map") == {"k": "v"}


def test_seal_is_two_lines_of_json() -> None:
    """So that people and tools can read a record as it is."""
    record, digest = seal(FIELDS).splitlines()
    assert json.loads(record) == FIELDS | {"version": 1}
    assert json.loads(digest) == {"blake3": hex_digest_of(record)}


@given(st.integers(0, len(seal(FIELDS)) - 1), st.integers(1, 255))
def test_sealed_fields_with_any_byte_changed_are_corrupt(position: int, change: int) -> None:
    """rules.md B8: never half read."""
    data = bytearray(seal(FIELDS))
    data[position] ^= change
    with pytest.raises(RecordCorruptError, match=PATH):
        sealed_fields(bytes(data), path=PATH, keys=frozenset(FIELDS))


@given(st.integers(0, len(seal(FIELDS)) - 1))
def test_sealed_fields_cut_off_anywhere_are_corrupt(length: int) -> None:
    with pytest.raises(RecordCorruptError, match=PATH):
        sealed_fields(seal(FIELDS)[:length], path=PATH, keys=frozenset(FIELDS))


@given(st.binary())
def test_sealed_fields_of_garbage_are_corrupt(data: bytes) -> None:
    with pytest.raises(RecordCorruptError, match=PATH):
        sealed_fields(data, path=PATH, keys=frozenset())
    with pytest.raises(RecordCorruptError, match=PATH):
        sealed_fields(sealed_line(data.replace(b"\n", b"")), path=PATH, keys=frozenset())


@pytest.mark.parametrize("line", [b"[]", b"7", b"{", b"", b"\xff", b'{"version":2}', b"{}"])
def test_sealed_fields_of_another_form_are_corrupt(line: bytes) -> None:
    with pytest.raises(RecordCorruptError, match=PATH):
        sealed_fields(sealed_line(line), path=PATH, keys=frozenset())


@pytest.mark.parametrize("keys", [set(FIELDS) | {"more"}, set(FIELDS) - {"map"}, set[str]()])
def test_sealed_fields_with_other_keys_than_asked_for_are_corrupt(keys: set[str]) -> None:
    with pytest.raises(RecordCorruptError, match="fields"):
        sealed_fields(seal(FIELDS), path=PATH, keys=frozenset(keys))


@pytest.mark.parametrize(
    ("reader", "good"),
    [
        ("text", "x" * 16),
        ("hex16", "0123456789abcdef"),
        ("hex16s", ["0123456789abcdef"]),
        ("number", 3),
        ("flag", False),
        ("texts", ["x"]),
        ("text_map", {}),
    ],
)
def test_reader_refuses_every_value_of_another_type(reader: str, good: object) -> None:
    assert getattr(fields_of({"it": good}), reader)("it") == good
    for value in [*WRONG_VALUES, True, ["x"]]:
        if type(value) is type(good) and value not in (-1, [1], {"k": 1}):
            continue
        with pytest.raises(RecordCorruptError, match="it is wrong"):
            getattr(fields_of({"it": value}), reader)("it")


@pytest.mark.parametrize("value", ["0123456789ABCDEF", "0123456789abcde", "0123456789abcdef\n"])
def test_hex16_refuses_other_texts(value: str) -> None:
    with pytest.raises(RecordCorruptError):
        fields_of({"it": value}).hex16("it")
    with pytest.raises(RecordCorruptError):
        fields_of({"it": [value]}).hex16s("it")


def test_seal_above_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be read back is not written."""
    monkeypatch.setattr(sealed, "MAX_BYTES", len(seal(FIELDS)))
    assert seal(FIELDS)
    monkeypatch.setattr(sealed, "MAX_BYTES", len(seal(FIELDS)) - 1)
    with pytest.raises(RecordTooLargeError):
        seal(FIELDS)
