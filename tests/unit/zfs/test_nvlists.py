import pytest

from csi_zfs.zfs.nvlists import errno_of, from_nvlist, set_of, to_bytes, to_nvlist


def test_text_with_nul_is_refused() -> None:
    """rules.md C1: C would end the name there, and make or destroy another dataset."""
    with pytest.raises(ValueError, match="NUL"):
        to_bytes("pool/v/x\0y")


def test_values_become_those_of_pyzfs() -> None:
    values = {"a": "ü", "b": [1, 2], "c": {"d": True}, "e": [], "f": None, "g": 3}
    assert to_nvlist(values, number=lambda value: ("int64", value)) == {
        b"a": "ü".encode(),
        b"b": [("int64", 1), ("int64", 2)],
        b"c": {b"d": True},
        b"e": {},
        b"f": None,
        b"g": ("int64", 3),
    }


def test_values_of_pyzfs_become_plain_ones() -> None:
    assert from_nvlist({b"a": b"\xff", b"b": [{b"c": 1}], b"d": None, b"e": True}) == {
        "a": "\udcff",
        "b": [{"c": 1}],
        "d": None,
        "e": True,
    }


def test_text_that_is_no_utf8_goes_back_as_it_came() -> None:
    assert to_bytes(str(from_nvlist(b"\xff"))) == b"\xff"


def test_value_of_no_known_type_is_refused() -> None:
    with pytest.raises(TypeError, match="float"):
        from_nvlist(1.5)


def test_errors_by_name_leave_out_the_count_of_more() -> None:
    assert errno_of({b"a@s": 17, b"N_MORE_ERRORS": 3}) == {"a@s": 17}


def test_set_has_the_names_as_keys() -> None:
    assert set_of(["a", "b"]) == {b"a": None, b"b": None}
