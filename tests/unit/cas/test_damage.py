"""I12, I13: whatever is damaged, no wrong data comes back, and nobody says "not found".

`check` of the whole store has tests of its own; here a client opens, lists, reads and writes.
"""

from collections.abc import Iterable

import pytest

from csi_zfs.cas.api import (
    ChunkCorruptError,
    ChunkNotFoundError,
    StoreCorruptError,
    UnknownFormatError,
    WrongKeyError,
)
from csi_zfs.domain.errors import CsiZfsError
from tests.support.damage import Damage, SmallStore, walk

# Before a key opens it, a slot that is damaged looks like another one's; so does another header.
EXPECTED: dict[str, tuple[type[CsiZfsError], ...]] = {
    "store": (StoreCorruptError, UnknownFormatError, WrongKeyError),
    "slots": (StoreCorruptError, UnknownFormatError, WrongKeyError),
    "packs": (ChunkCorruptError, ChunkNotFoundError),
}
OTHERS = (StoreCorruptError, UnknownFormatError)


@pytest.fixture(scope="module")
def small() -> SmallStore:
    return SmallStore.make()


def require_told(
    small: SmallStore, damages: Iterable[Damage], caplog: pytest.LogCaptureFixture
) -> int:
    count = 0
    for damage in damages:
        count += 1
        caplog.clear()
        found = list(walk(small.after(damage), small.memory, small.content))
        kind = damage.key.partition("/")[0]
        for error in found:
            assert isinstance(error, EXPECTED.get(kind, OTHERS)), (damage.name, error)
        if kind == "packs":
            # What the index says too is not read from the pack: `check` does.
            continue
        is_logged = any(damage.key in record.getMessage() for record in caplog.records)
        assert found or is_logged or is_superfluous(small, damage), damage.name
    return count


def is_superfluous(small: SmallStore, damage: Damage) -> bool:
    """An index or a mark that is gone: packs are read themselves; a mark of nothing is no loss."""
    gone = damage.key not in small.after(damage).kept
    return gone and damage.key.startswith(("indexes/", "marks/"))


def test_store_that_is_whole_is_found_whole(
    small: SmallStore, caplog: pytest.LogCaptureFixture
) -> None:
    untouched = Damage("none", {})
    assert list(walk(small.after(untouched), small.memory, small.content)) == []
    assert not caplog.records
    kinds = {key.partition("/")[0] for key in small.objects}
    assert kinds == {
        "store", "slots", "packs", "indexes", "sessions", "journal", "collector", "marks"
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.expected_logs("is passed over")
def test_some_flipped_bits_are_found_and_never_returned(
    small: SmallStore, caplog: pytest.LogCaptureFixture
) -> None:
    assert require_told(small, small.flips(30), caplog) > 150


@pytest.mark.deep
@pytest.mark.expected_logs("is passed over")
def test_every_flipped_bit_is_found_and_never_returned(
    small: SmallStore, caplog: pytest.LogCaptureFixture
) -> None:
    bits = 8 * sum(len(data) for data in small.objects.values())
    assert require_told(small, small.flips(0), caplog) == bits


@pytest.mark.slow
@pytest.mark.expected_logs("is passed over")
def test_objects_that_are_cut_off_or_gone_are_found(
    small: SmallStore, caplog: pytest.LogCaptureFixture
) -> None:
    assert require_told(small, small.losses(), caplog) > 5 * len(small.objects)


@pytest.mark.expected_logs("is passed over")
def test_objects_that_are_swapped_are_found(
    small: SmallStore, caplog: pytest.LogCaptureFixture
) -> None:
    assert require_told(small, small.swaps(), caplog) > len(small.objects)


@pytest.mark.expected_logs("is passed over")
def test_objects_that_are_put_back_are_found(
    small: SmallStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Those that change are the sessions, and the epoch, which no collection has changed here."""
    assert require_told(small, small.returns(), caplog) == len(small.content)
