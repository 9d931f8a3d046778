"""Parameters of classes: an allow-list, with the near match for a typing error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csi_zfs.domain.parameters import (
    MAX_VALUE_BYTES,
    PROPERTY_PARAMETERS,
    InvalidParameterError,
    UnknownParameterError,
    parse_ephemeral_parameters,
    parse_mutable_parameters,
    parse_volume_parameters,
    refuse_parameters,
)
from csi_zfs.domain.sizes import GIB, InvalidSizeError

METADATA = {
    "csi.storage.k8s.io/pvc/name": "data",
    "csi.storage.k8s.io/pv/name": "pvc-1",
    "storage.kubernetes.io/csiProvisionerIdentity": "1-csi",
}
# Properties that reach beyond a dataset, weaken the node or belong to the driver (rules.md C2).
FORBIDDEN = (
    "mountpoint",
    "sharenfs",
    "sharesmb",
    "exec",
    "setuid",
    "devices",
    "canmount",
    "keylocation",
    "keyformat",
    "zoned",
    "quota",
    "refquota",
    "volsize",
    "origin",
    "io.csi-zfs:volume_name",
)


def test_no_parameters_mean_any_pool_and_thin() -> None:
    parsed = parse_volume_parameters({})
    assert (parsed.pool_pattern, parsed.is_thick) == ("", False)
    assert parsed.properties == parsed.given == {}


def test_parameters_are_read_and_metadata_is_left_out() -> None:
    chosen = {"pool": "fast-*", "provisioning": "thick", "compression": "zstd-3"}
    parsed = parse_volume_parameters(METADATA | chosen)
    assert (parsed.pool_pattern, parsed.is_thick) == ("fast-*", True)
    assert parsed.properties == {"compression": "zstd-3"}
    assert parsed.given == chosen


@pytest.mark.parametrize(
    ("name", "near"),
    [("pol", "pool"), ("provisionig", "provisioning"), ("compresion", "compression")],
)
def test_unknown_parameter_is_refused_with_the_near_match(name: str, near: str) -> None:
    """rules.md C2."""
    with pytest.raises(UnknownParameterError, match=f"did you mean '{near}'"):
        parse_volume_parameters({name: "x"})


def test_unknown_parameter_without_a_near_match_is_refused_with_the_list() -> None:
    """rules.md C2."""
    with pytest.raises(UnknownParameterError, match=r"there are: acltype, .*pool, .*xattr"):
        parse_volume_parameters({"qqqq": "x"})


@pytest.mark.parametrize("name", FORBIDDEN)
def test_property_that_reaches_beyond_the_dataset_is_refused(name: str) -> None:
    """rules.md C2."""
    for parse in (parse_volume_parameters, parse_ephemeral_parameters, parse_mutable_parameters):
        with pytest.raises(UnknownParameterError):
            parse({name: "x"})


@pytest.mark.parametrize(
    ("said", "cipher"),
    [("off", ""), ("on", "aes-256-gcm"), ("aes-256-gcm", "aes-256-gcm")],
)
def test_encryption_names_a_cipher(said: str, cipher: str) -> None:
    for parsed in (
        parse_volume_parameters({"encryption": said}),
        parse_ephemeral_parameters({"encryption": said})[0],
    ):
        assert parsed.cipher == cipher
        assert parsed.given == {"encryption": said}
        assert parsed.properties == {}
    assert parse_volume_parameters({}).cipher == ""


def test_encryption_of_another_cipher_is_refused_and_never_changed_later() -> None:
    with pytest.raises(InvalidParameterError, match="aes-256-gcm"):
        parse_volume_parameters({"encryption": "aes-128-ccm"})
    with pytest.raises(UnknownParameterError):
        parse_mutable_parameters({"encryption": "on"})


@given(st.text(), st.text())
def test_any_parameter_is_taken_from_the_lists_or_refused(name: str, value: str) -> None:
    try:
        parsed = parse_volume_parameters({name: value})
    except (UnknownParameterError, InvalidParameterError):
        return
    assert parsed.given.keys() <= PROPERTY_PARAMETERS | {"encryption", "pool", "provisioning"}


@pytest.mark.parametrize("value", ["fat", "", "THICK", "thick "])
def test_provisioning_outside_its_values_is_refused(value: str) -> None:
    with pytest.raises(InvalidParameterError, match="provisioning"):
        parse_volume_parameters({"provisioning": value})


@pytest.mark.parametrize("value", ["", "a\0b", "a\nb", "\x1b[2J", "x" * (MAX_VALUE_BYTES + 1)])
def test_value_that_is_no_short_printable_text_is_refused(value: str) -> None:
    for parse in (parse_volume_parameters, parse_mutable_parameters):
        with pytest.raises(InvalidParameterError, match="printable"):
            parse({"compression": value})


def test_ephemeral_volume_has_a_size_of_its_own() -> None:
    parsed, size_bytes = parse_ephemeral_parameters(
        METADATA | {"size": "2Gi", "pool": "a", "provisioning": "thick"}
    )
    assert size_bytes == 2 * GIB
    assert (parsed.pool_pattern, parsed.is_thick) == ("a", True)


def test_ephemeral_volume_without_a_size_has_one_gib() -> None:
    assert parse_ephemeral_parameters({})[1] == GIB


@pytest.mark.parametrize("size", ["", "big", "-1"])
def test_ephemeral_volume_with_a_size_that_is_none_is_refused(size: str) -> None:
    with pytest.raises(InvalidSizeError):
        parse_ephemeral_parameters({"size": size})


def test_ephemeral_volume_of_size_zero_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="size"):
        parse_ephemeral_parameters({"size": "0"})


def test_size_is_no_parameter_of_a_provisioned_volume() -> None:
    with pytest.raises(UnknownParameterError):
        parse_volume_parameters({"size": "1Gi"})


def test_mutable_parameters_are_properties_only() -> None:
    assert parse_mutable_parameters(METADATA | {"compression": "lz4"}) == {"compression": "lz4"}
    with pytest.raises(UnknownParameterError):
        parse_mutable_parameters({"pool": "a"})


def test_class_without_parameters_refuses_all_but_metadata() -> None:
    refuse_parameters(METADATA)
    with pytest.raises(UnknownParameterError, match="there are: none"):
        refuse_parameters({"pool": "a"})
