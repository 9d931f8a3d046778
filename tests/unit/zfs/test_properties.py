"""Native properties: what a class may write, and which numbers the kernel gets for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csi_zfs.datasets.api import DatasetKind, UnsupportedFeatureError
from csi_zfs.domain.errors import InvalidRequestError
from csi_zfs.domain.parameters import PROPERTY_PARAMETERS
from csi_zfs.zfs.properties import (
    FixedPropertyError,
    InvalidPropertyError,
    UnknownPropertyError,
    canonical_properties,
    creation_properties,
    kernel_properties,
    kernel_properties_of_clone,
    mutable_properties,
    property_values,
    require_mutable,
)

FILESYSTEM, ZVOL = DatasetKind.FILESYSTEM, DatasetKind.ZVOL
EVERY = [(kind, name) for kind in DatasetKind for name in sorted(creation_properties(kind))]
HOSTILE = [
    *("-o", "--help", "-", "", " ", "on ", " on", "on\n", "on\0", "on;off", "$(id)", "`id`"),
    *(
        "on,off",
        "../x",
        "on=off",
        "\uff4fn",
        "\uff11",
        "0x10",
        "-1",
        "+1",
        "1e9",
        "on" * 5000,
        "inherit",
    ),
]
FORBIDDEN = [
    *("mountpoint", "sharenfs", "sharesmb", "exec", "setuid", "devices", "canmount"),
    *("keylocation", "keyformat", "zoned", "quota", "refquota", "volsize"),
    *("readonly", "volmode", "io.csi-zfs:dataset", "userquota@0", "-o", "", "compression=on"),
]


def test_properties_are_exactly_those_that_a_class_may_name() -> None:
    """rules.md C2: no parameter is accepted that no dataset has, and none is set beside them.

    `encryption` goes with a key, so it is a parameter of its own.
    """
    ours = PROPERTY_PARAMETERS | {"encryption"}
    assert creation_properties(FILESYSTEM) | creation_properties(ZVOL) == ours


@pytest.mark.parametrize("kind", DatasetKind)
@pytest.mark.parametrize("name", FORBIDDEN)
def test_property_beyond_the_list_is_unknown(kind: DatasetKind, name: str) -> None:
    """rules.md C2: what reaches beyond the dataset is never set."""
    with pytest.raises(UnknownPropertyError):
        kernel_properties(kind, {name: "on"})
    with pytest.raises(UnknownPropertyError):
        require_mutable(kind, [name])


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_hostile_value_is_refused(kind: DatasetKind, name: str, value: str) -> None:
    """rules.md C1, C2: only a value of the table becomes a number, or a word of a command."""
    with pytest.raises(InvalidPropertyError) as caught:
        canonical_properties(kind, {name: value})
    assert name in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


@given(st.text())
@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_any_text_is_refused_or_has_a_plain_canonical_form(
    kind: DatasetKind, name: str, text: str
) -> None:
    try:
        canonical = canonical_properties(kind, {name: text})[name]
    except InvalidPropertyError:
        return
    assert canonical.replace(",", "").replace("-", "").isalnum()
    assert canonical[0] != "-"


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_canonical_text_is_a_value_with_the_same_number(kind: DatasetKind, name: str) -> None:
    for word in (*property_values(kind, name).words, "512", "4K"):
        if property_values(kind, name).number_of(word) is None:
            continue
        canonical = canonical_properties(kind, {name: word})
        assert canonical_properties(kind, canonical) == canonical
        assert kernel_properties(kind, canonical) == kernel_properties(kind, {name: word})


@pytest.mark.parametrize(
    ("kind", "name", "text", "number", "canonical"),
    [
        (ZVOL, "compression", "zstd", 16, "zstd"),
        (ZVOL, "compression", "zstd-3", 16 + (3 << 7), "zstd-3"),
        (ZVOL, "compression", "zstd-19", 16 + (19 << 7), "zstd-19"),
        (ZVOL, "compression", "zstd-fast-1", 16 + (103 << 7), "zstd-fast"),
        (ZVOL, "compression", "zstd-fast-10", 16 + (112 << 7), "zstd-fast-10"),
        (ZVOL, "compression", "zstd-fast-1000", 16 + (123 << 7), "zstd-fast-1000"),
        (ZVOL, "compression", "gzip-6", 10, "gzip"),
        (ZVOL, "compression", "gzip-9", 13, "gzip-9"),
        (ZVOL, "dedup", "sha256,verify", 8 + 256, "sha256,verify"),
        (ZVOL, "refreservation", "none", 0, "0"),
        (ZVOL, "refreservation", "3000M", 3000 << 20, "3145728000"),
        (ZVOL, "volblocksize", "16K", 16384, "16384"),
        (FILESYSTEM, "recordsize", "1MiB", 1 << 20, "1048576"),
        (FILESYSTEM, "recordsize", "128kb", 128 << 10, "131072"),
        (FILESYSTEM, "recordsize", "64Ki", 64 << 10, "65536"),
        (FILESYSTEM, "special_small_blocks", "0", 0, "0"),
        (FILESYSTEM, "xattr", "sa", 2, "on"),
        (FILESYSTEM, "acltype", "posixacl", 1, "posix"),
        (FILESYSTEM, "dnodesize", "16k", 16384, "16k"),
        (FILESYSTEM, "normalization", "formKC", 0x60, "formKC"),
    ],
)
def test_value_has_its_number_and_its_canonical_text(
    kind: DatasetKind, name: str, *, text: str, number: int, canonical: str
) -> None:
    assert kernel_properties(kind, {name: text}) == {name: number}
    assert canonical_properties(kind, {name: text}) == {name: canonical}


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        (FILESYSTEM, "recordsize", "256"),
        (FILESYSTEM, "recordsize", "1234"),
        (FILESYSTEM, "recordsize", "32M"),
        (FILESYSTEM, "recordsize", "0"),
        (FILESYSTEM, "recordsize", "1.5K"),
        (FILESYSTEM, "special_small_blocks", "2M"),
        (FILESYSTEM, "special_small_blocks", "7"),
        (FILESYSTEM, "dnodesize", "1K"),
        (FILESYSTEM, "normalization", "FORMD"),
        (ZVOL, "volblocksize", "256K"),
        (ZVOL, "volblocksize", "0"),
        (ZVOL, "copies", "0"),
        (ZVOL, "copies", "4"),
        (ZVOL, "compression", "zstd-20"),
        (ZVOL, "compression", "zstd-fast-11"),
        (ZVOL, "compression", "gzip-0"),
        (ZVOL, "checksum", "noparity"),
        (ZVOL, "dedup", "edonr"),
        (ZVOL, "refreservation", "9999999999T"),
        (ZVOL, "refreservation", "auto"),
    ],
)
def test_value_outside_the_table_is_refused(kind: DatasetKind, name: str, text: str) -> None:
    """The kernel takes a recordsize of 1234: nobody checks after us."""
    with pytest.raises(InvalidPropertyError):
        kernel_properties(kind, {name: text})


@pytest.mark.parametrize(
    ("name", "kind"),
    [("recordsize", ZVOL), ("atime", ZVOL), ("volblocksize", FILESYSTEM)],
)
def test_property_of_the_other_kind_is_unknown(name: str, kind: DatasetKind) -> None:
    with pytest.raises(UnknownPropertyError, match=name):
        kernel_properties(kind, {name: "4K"})


def test_misspelt_property_is_told_its_near_match() -> None:
    with pytest.raises(UnknownPropertyError, match="'compression'"):
        kernel_properties(ZVOL, {"compresion": "on"})
    with pytest.raises(UnknownPropertyError, match="there are: checksum, "):
        kernel_properties(ZVOL, {"x": "on"})


def test_misspelt_value_is_told_its_near_match_or_what_it_can_be() -> None:
    with pytest.raises(InvalidPropertyError, match="did you mean 'zstd-fast-10'"):
        kernel_properties(ZVOL, {"compression": "zstd-fast10"})
    with pytest.raises(InvalidPropertyError, match="one of standard always disabled"):
        kernel_properties(ZVOL, {"sync": "42"})
    with pytest.raises(InvalidPropertyError, match="a power of two from 512 to 131072 bytes"):
        kernel_properties(ZVOL, {"volblocksize": "1M"})
    with pytest.raises(InvalidPropertyError, match="none or 0, or a size from 1 to"):
        kernel_properties(ZVOL, {"refreservation": "x"})


def test_normalization_needs_utf8only_on() -> None:
    """The kernel would turn it on, and the dataset would not be the one that was asked for."""
    with pytest.raises(InvalidPropertyError, match="utf8only"):
        kernel_properties(FILESYSTEM, {"normalization": "formD", "utf8only": "off"})
    for normalization, utf8only in (("formD", "on"), ("none", "off")):
        words = {"normalization": normalization, "utf8only": utf8only}
        assert canonical_properties(FILESYSTEM, words) == words


@pytest.mark.parametrize("kind", DatasetKind)
def test_fixed_properties_are_those_of_an_empty_dataset(kind: DatasetKind) -> None:
    """rules.md A8: a clone has its origin's; the kernel would take others and not use them."""
    fixed = {
        ZVOL: {"encryption", "volblocksize"},
        FILESYSTEM: {"encryption", "casesensitivity", "normalization", "utf8only"},
    }[kind]
    assert creation_properties(kind) - mutable_properties(kind) == fixed
    for name in fixed:
        with pytest.raises(FixedPropertyError, match=name):
            kernel_properties_of_clone(kind, {name: "4K"})
        with pytest.raises(FixedPropertyError, match=name):
            require_mutable(kind, [name])
    require_mutable(kind, mutable_properties(kind))


def test_mutable_properties_of_a_clone_are_those_of_a_dataset() -> None:
    words = {"compression": "lz4", "sync": "always"}
    assert kernel_properties_of_clone(ZVOL, words) == kernel_properties(ZVOL, words)


def test_no_properties_are_none() -> None:
    assert kernel_properties(ZVOL, {}) == {}
    assert canonical_properties(FILESYSTEM, {}) == {}


def test_errors_are_of_the_families_that_the_interface_promises() -> None:
    assert issubclass(UnknownPropertyError, UnsupportedFeatureError)
    assert issubclass(FixedPropertyError, UnsupportedFeatureError)
    assert issubclass(InvalidPropertyError, InvalidRequestError)
    assert not issubclass(InvalidPropertyError, UnsupportedFeatureError)
