"""Sizes: units, rounding, and the choice of a capacity in a range."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from csi_zfs.domain.errors import OutOfRangeError
from csi_zfs.domain.sizes import (
    GIB,
    GRANULE_BYTES,
    KIB,
    MAX_BYTES,
    MIB,
    TIB,
    CapacityRange,
    InvalidSizeError,
    format_size,
    parse_size,
    round_up,
)

sizes = st.integers(0, MAX_BYTES)
small_sizes = st.integers(1, 1000 * GIB)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("1048576", MIB),
        ("512B", 512),
        ("1Ki", KIB),
        ("10Gi", 10 * GIB),
        ("512MiB", 512 * MIB),
        ("3Ti", 3 * TIB),
        ("2G", 2_000_000_000),
        ("2GB", 2_000_000_000),
        ("1K", 1000),
        ("1T", 10**12),
    ],
)
def test_size_with_unit_is_read_in_bytes(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Gi",
        "-1",
        "+1",
        "1.5Gi",
        "1 Gi",
        "1gi",
        "1Pi",
        "1e9",
        "0x10",
        "٣",
        "1\n",
        "1,000",
        "1_0",
    ],
)
def test_text_that_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidSizeError, match="not a size"):
        parse_size(text)


@pytest.mark.parametrize("text", [str(MAX_BYTES + 1), "9223372036854775807", "9999999Ti"])
def test_size_above_the_largest_is_refused(text: str) -> None:
    with pytest.raises(InvalidSizeError, match="largest"):
        parse_size(text)


@given(sizes)
@example(MAX_BYTES)
def test_number_of_bytes_is_read_back(size_bytes: int) -> None:
    assert parse_size(str(size_bytes)) == size_bytes


@given(st.integers(0, 1023), st.sampled_from(["B", "KiB", "MiB", "GiB", "TiB"]))
def test_size_that_is_even_is_formatted_so_that_it_reads_back(number: int, unit: str) -> None:
    size_bytes = parse_size(f"{number}{unit}")
    assert parse_size(format_size(size_bytes).replace(" ", "")) == size_bytes


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (KIB, "1 KiB"),
        (1536, "1.5 KiB"),
        (10 * GIB, "10 GiB"),
        (10 * GIB + 1, "10.0 GiB"),
        (2048 * TIB, "2048 TiB"),
    ],
)
def test_size_is_formatted_for_people(size_bytes: int, text: str) -> None:
    assert format_size(size_bytes) == text


@given(sizes, st.integers(1, TIB))
def test_rounding_up_gives_the_next_multiple(size_bytes: int, granule_bytes: int) -> None:
    rounded = round_up(size_bytes, granule_bytes)
    assert rounded % granule_bytes == 0
    assert 0 <= rounded - size_bytes < granule_bytes


@pytest.mark.parametrize(("required", "limit"), [(-1, 0), (0, -1), (2, 1), (2 * GIB, GIB)])
def test_range_that_nothing_satisfies_is_refused(required: int, limit: int) -> None:
    with pytest.raises(InvalidSizeError, match="capacity_range"):
        CapacityRange(required, limit)


def test_range_above_the_largest_size_is_out_of_range() -> None:
    with pytest.raises(OutOfRangeError, match="largest"):
        CapacityRange(MAX_BYTES + 1)


def test_range_at_the_largest_size_is_chosen_as_it_is() -> None:
    chosen = CapacityRange(MAX_BYTES).choose(minimum_bytes=MIB, default_bytes=GIB)
    assert chosen == MAX_BYTES


@given(small_sizes, small_sizes, small_sizes, small_sizes)
def test_chosen_capacity_is_a_whole_number_of_granules_in_the_range(
    required: int, slack: int, minimum: int, default: int
) -> None:
    """rules.md A9."""
    wanted = CapacityRange(required, required + slack)
    try:
        chosen = wanted.choose(minimum_bytes=minimum, default_bytes=default)
    except OutOfRangeError:
        assert round_up(max(required, minimum)) > required + slack
        return
    assert chosen % GRANULE_BYTES == 0
    assert chosen >= minimum
    assert wanted.admits(chosen)
    assert chosen == round_up(max(required, minimum))


@given(small_sizes, small_sizes, small_sizes)
@example(limit=10_000_000, minimum=1, default=GIB)
def test_capacity_with_a_limit_only_is_found_wherever_there_is_one(
    limit: int, minimum: int, default: int
) -> None:
    """A limit that is no whole number of MiB is rounded down: 9 MiB fit below 10,000,000 bytes."""
    wanted = CapacityRange(limit_bytes=limit)
    if round_up(minimum) > limit:
        with pytest.raises(OutOfRangeError, match="smallest"):
            wanted.choose(minimum_bytes=minimum, default_bytes=default)
    else:
        chosen = wanted.choose(minimum_bytes=minimum, default_bytes=default)
        assert wanted.admits(chosen)
        assert chosen % GRANULE_BYTES == 0
        assert chosen <= max(round_up(default), round_up(minimum))


def test_range_that_says_nothing_takes_the_default() -> None:
    assert CapacityRange().choose(minimum_bytes=MIB, default_bytes=GIB) == GIB


@given(small_sizes, small_sizes, sizes)
def test_range_admits_exactly_what_lies_in_it(required: int, slack: int, capacity: int) -> None:
    assert CapacityRange(required).admits(capacity) is (capacity >= required)
    both = CapacityRange(required, required + slack)
    assert both.admits(capacity) is (required <= capacity <= required + slack)
    assert CapacityRange(limit_bytes=slack).admits(capacity) is (capacity <= slack)
    assert CapacityRange().admits(capacity)
