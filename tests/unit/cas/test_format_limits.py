"""What docs/reference/formats.md says in words and numbers, outside its tables of bytes."""

import re
import struct
from collections.abc import Iterator
from hashlib import shake_128

import pytest
from blake3 import blake3
from fastcdc.fastcdc_py import GEAR  # type: ignore[import-untyped]

from csi_zfs.cas import collection, slots, tree_entries, tree_nodes
from csi_zfs.cas.cutting import LARGEST_BYTES, SMALLEST_BYTES, cut
from csi_zfs.cas.documents import MAX_DOCUMENT_BYTES
from csi_zfs.cas.file_attributes import _MOST_IN_ENTRY
from csi_zfs.cas.file_content import ZERO_BLOCK_BYTES
from csi_zfs.cas.file_tree import MOST_LEVELS
from csi_zfs.cas.header import MAX_CHUNK_BYTES, MIN_CHUNK_BYTES
from csi_zfs.cas.image_nodes import FAN_OUT
from csi_zfs.cas.keys import DEFAULT_DOMAIN
from csi_zfs.cas.objects import limits
from csi_zfs.cas.packs import MAX_PACK_BYTES, PACK_BYTES
from tests.support.format_tables import PAGE, Page

_TEXT = " ".join(PAGE.read_text().split())
_ROWS = {row["what"]: row["limit"] for row in Page.read(PAGE.read_text()).lists["what"]}
# Two cuts by the hash and one by the length.
_DATA = shake_128(b"where the page cuts").digest(700 * 1024) + bytes([1]) * (1100 * 1024)


@pytest.mark.parametrize(
    ("what", "numbers"),
    [
        ("any object", [limits.LARGEST_BYTES]),
        ("pack", [MAX_PACK_BYTES, PACK_BYTES]),
        ("chunk", [MAX_CHUNK_BYTES, 1]),
        ("document", [MAX_DOCUMENT_BYTES, 29900, collection._MOST_PACKS]),
        ("scrypt's N", [slots._MAX_COST, 256]),
        ("tree of files", [MOST_LEVELS]),
    ],
)
def test_limit_is_that_of_the_code(what: str, numbers: list[int]) -> None:
    assert [int(text) for text in re.findall(r"\d+", _ROWS[what])] == numbers


@pytest.mark.parametrize(
    "words",
    [
        f"a power of two from {MIN_CHUNK_BYTES} to {MAX_CHUNK_BYTES}",
        f"A tree of fan-out {FAN_OUT}",
        f"it has {tree_nodes._FEWEST_RECORDS} or more",
        f"behind its {tree_nodes._MOST_RECORDS}th record",
        f"more than {tree_nodes._MOST_BYTES} bytes",
        f"levels of nodes below this one, {tree_nodes._HIGHEST_LEVEL} at most",
        f"| number | {tree_entries.LONGEST_NAME} at most |",
        f"Attributes of more than {_MOST_IN_ENTRY} bytes are in a node",
        f"A file of up to {LARGEST_BYTES} bytes is one chunk",
        f"aligned blocks of {ZERO_BLOCK_BYTES} zeros",
        f"at least {SMALLEST_BYTES} bytes, at most {LARGEST_BYTES}",
        f"where none is named is `{DEFAULT_DOMAIN}`",
    ],
)
def test_number_in_a_sentence_is_that_of_the_code(words: str) -> None:
    assert words in _TEXT


def test_files_are_cut_where_the_page_says() -> None:
    found = [length for _, length in cut(_DATA, is_whole=True)]
    assert found == list(lengths_by_page(_DATA))
    assert LARGEST_BYTES in found
    assert len(found) > 2


def test_table_of_the_cuts_is_the_one_that_the_page_names() -> None:
    digest = blake3(struct.pack("<256I", *GEAR)).hexdigest()
    assert digest in _TEXT
    assert f"from {GEAR[0]} to {GEAR[-1]}" in _TEXT


def lengths_by_page(data: bytes) -> Iterator[int]:
    while data:
        length = _first_length(data)
        yield length
        data = data[length:]


def _first_length(data: bytes) -> int:
    value = 0
    for at in range(65536, min(len(data), 1048576)):
        value = (value >> 1) + GEAR[data[at]]
        if not value & (2**19 - 1 if at < 163840 else 2**17 - 1):
            return at + 1
    return min(len(data), 1048576)
