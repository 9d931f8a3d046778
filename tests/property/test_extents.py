"""The difference of two images by their blocks, against the bytes themselves, on a real XFS."""

import itertools
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csi_zfs.domain.model import ChangedRange
from tests.support.lineages import BLOCK_BYTES, Lineage, blocks_of, compared, require_complete
from tests.support.reflink import xfs_directory

pytestmark = [pytest.mark.root]

Step = tuple[str, int, int, int]

_BLOCKS = 96
_KINDS = ["write", "write", "write", "punch", "zero", "allocate", "grow", "take", "take"]
_WHOLE_BLOCKS = 0.7
_RARE = ["go_back", "delete"]
_STEPS = st.tuples(
    st.sampled_from([*_KINDS, *_RARE]),
    st.integers(0, _BLOCKS * BLOCK_BYTES) | st.integers(0, _BLOCKS).map(lambda n: n * BLOCK_BYTES),
    st.integers(1, 3 * BLOCK_BYTES) | st.integers(1, 12).map(lambda n: n * BLOCK_BYTES),
    st.integers(0, 255),
)


def random_steps(seed: int) -> list[Step]:
    """Many, of all kinds: what Hypothesis draws itself is mostly short and of one kind."""
    choose = random.Random(seed)
    whole = choose.random() < _WHOLE_BLOCKS
    unit, count = (BLOCK_BYTES, 1) if whole else (1, BLOCK_BYTES)
    return [
        (
            choose.choice([*_KINDS, *_KINDS, *_RARE]),
            choose.randrange(_BLOCKS * count) * unit,
            choose.randint(1, 6 * count) * unit,
            choose.randrange(256),
        )
        for _ in range(choose.randint(10, 70))
    ]


@pytest.fixture(scope="module", name="xfs")
def fixture_xfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One file system for all examples: blocks that one frees are used by the next."""
    with xfs_directory(tmp_path_factory.mktemp("extents")) as directory:
        yield directory


def do(lineage: Lineage, step: Step) -> None:
    kind, offset, length, value = step
    match kind:
        case "write":
            lineage.write(offset, bytes([value]) * length)
        case "punch":
            lineage.punch(offset, length)
        case "zero":
            lineage.zero(offset, length)
        case "allocate":
            lineage.allocate(offset, length)
        case "grow":
            lineage.grow(length)
        case "take":
            lineage.take()
        case "go_back" if lineage.snapshots:
            lineage.go_back(value % len(lineage.snapshots))
        case "delete" if lineage.snapshots:
            lineage.delete(value % len(lineage.snapshots))


def lineage_of(xfs: Path, steps: list[Step]) -> Lineage:
    lineage = Lineage.begun(xfs / uuid.uuid4().hex, _BLOCKS * BLOCK_BYTES // 2)
    for step in steps:
        do(lineage, step)
    lineage.take()
    for step in steps[:3]:
        do(lineage, step)
    return lineage


def remove(lineage: Lineage) -> None:
    for path in (lineage.live, *lineage.snapshots):
        path.unlink()
    lineage.directory.rmdir()


@given(
    steps=st.lists(_STEPS, max_size=40) | st.integers(0, 1 << 32).map(random_steps),
    page_extents=st.sampled_from([1, 2, 3, 7, 4096]),
)
def test_no_difference_of_two_snapshots_is_missed(
    xfs: Path, steps: list[Step], page_extents: int
) -> None:
    """Of any two, the younger one first too; and little more than what was written is named.

    The live image is one of them: what it has not on its blocks yet is brought there first.
    """
    lineage = lineage_of(xfs, steps)
    try:
        images = [lineage.live, *lineage.snapshots]
        contents = {path: path.read_bytes() for path in images}
        for old, new in itertools.product(images, repeat=2):
            found = compared(old, new, page_extents=page_extents)
            require_complete(contents[old], contents[new], found)
            assert found == compared(old, new)
        numbered = list(enumerate(lineage.snapshots))
        for (first, old), (last, new) in itertools.combinations(numbered, 2):
            written = set().union(*lineage.touched[first + 1 : last + 1])
            assert blocks_in(compared(old, new)) <= written
    finally:
        remove(lineage)


def blocks_in(found: list[ChangedRange]) -> set[int]:
    return blocks_of((one.offset_bytes, one.length_bytes) for one in found)


def scattered(xfs: Path) -> tuple[Path, Path, Lineage]:
    lineage = Lineage.begun(xfs / uuid.uuid4().hex, _BLOCKS * BLOCK_BYTES)
    lineage.write(0, b"a" * (_BLOCKS * BLOCK_BYTES))
    lineage.take()
    for number in range(0, _BLOCKS, 8):
        lineage.write(number * BLOCK_BYTES, b"b")
    lineage.punch(4 * BLOCK_BYTES, BLOCK_BYTES)
    lineage.take()
    return lineage.snapshots[0], lineage.snapshots[1], lineage


def without_one(found: list[ChangedRange]) -> list[ChangedRange]:
    return found[:-1]


def one_byte_shorter(found: list[ChangedRange]) -> list[ChangedRange]:
    return [replace(found[0], offset_bytes=1), *found[1:]]


def all_zeros(found: list[ChangedRange]) -> list[ChangedRange]:
    return [replace(one, is_zero=True) for one in found]


@pytest.mark.parametrize("lie", [without_one, one_byte_shorter, all_zeros])
def test_control_what_is_left_out_or_wrong_is_seen(
    xfs: Path, lie: Callable[[list[ChangedRange]], list[ChangedRange]]
) -> None:
    old, new, lineage = scattered(xfs)
    found = compared(old, new)
    before, after = old.read_bytes(), new.read_bytes()
    remove(lineage)
    require_complete(before, after, found)
    with pytest.raises(AssertionError):
        require_complete(before, after, lie(found))


def test_control_comparison_by_holes_alone_misses_what_was_overwritten(
    xfs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the addresses are what finds it, and the random steps overwrite."""
    old, new, lineage = scattered(xfs)
    monkeypatch.setattr("csi_zfs.reflink.extents._place_of", lambda _shift, _flags: 0)
    found = compared(old, new)
    before, after = old.read_bytes(), new.read_bytes()
    remove(lineage)
    with pytest.raises(AssertionError, match="missed"):
        require_complete(before, after, found)


def test_blocks_that_were_never_written_are_as_good_as_none(xfs: Path) -> None:
    """A thick volume has them everywhere, and its snapshots have holes there."""
    lineage = Lineage.begun(xfs / uuid.uuid4().hex, _BLOCKS * BLOCK_BYTES)
    lineage.allocate(0, _BLOCKS * BLOCK_BYTES)
    lineage.take()
    found = compared(lineage.live, lineage.snapshots[0])
    lineage.write(7 * BLOCK_BYTES, b"x")
    after = compared(lineage.snapshots[0], lineage.live)
    remove(lineage)
    assert found == []
    assert after == [ChangedRange(7 * BLOCK_BYTES, BLOCK_BYTES, is_zero=False)]
