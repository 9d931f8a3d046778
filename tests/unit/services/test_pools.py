"""The pools of a node, by id, by name and by room."""

import pytest

from csi_zfs.domain.errors import NoSpaceError, NotFoundError, UnavailableError
from csi_zfs.domain.sizes import GIB
from csi_zfs.services.pools import (
    NoSuchPoolError,
    PoolAwayError,
    PoolNotServedError,
    Pools,
    SamePoolError,
)
from tests.support.clock import FakeClock
from tests.support.datasets import FakeDatasets
from tests.support.disk import FakeDisk
from tests.support.pool_core import FakePool
from tests.support.pool_state import Room


def pool(name: str, number: int, total_bytes: int = GIB) -> FakeDatasets:
    made = FakePool(name, f"{number:016x}", room=Room(total_bytes))
    return FakeDatasets(FakeDisk(), FakeClock(), made)


FAST, BIG, SLOW = pool("fast-1", 1), pool("fast-2", 2, 3 * GIB), pool("slow", 3, 2 * GIB)


@pytest.fixture
def pools() -> Pools:
    return Pools([FAST, BIG, SLOW])


def test_pool_is_found_by_its_id(pools: Pools) -> None:
    assert pools.get(BIG.pool_id) is BIG
    assert list(pools) == [FAST, BIG, SLOW]
    assert BIG.pool_id in pools


def test_pool_of_another_node_is_unavailable_and_never_not_found(pools: Pools) -> None:
    """rules.md A5."""
    with pytest.raises(PoolNotServedError, match="f" * 16) as caught:
        pools.get("f" * 16)
    assert isinstance(caught.value, UnavailableError)
    assert not isinstance(caught.value, NotFoundError)
    assert "f" * 16 not in pools


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("", [FAST, BIG, SLOW]),
        ("*", [FAST, BIG, SLOW]),
        ("fast-*", [FAST, BIG]),
        ("slow", [SLOW]),
        ("fast-[2-9]", [BIG]),
    ],
)
def test_pools_match_a_name_or_a_pattern(
    pools: Pools, pattern: str, found: list[FakeDatasets]
) -> None:
    assert pools.matching(pattern) == found


@pytest.mark.parametrize("pattern", ["SLOW", "slo", "../slow", "x*"])
def test_pattern_that_matches_no_pool_is_refused_with_the_names(pools: Pools, pattern: str) -> None:
    with pytest.raises(NoSuchPoolError, match="fast-1, fast-2, slow") as caught:
        pools.matching(pattern)
    # Another node may have such a pool: the scheduler chooses again.
    assert isinstance(caught.value, NoSpaceError)


@pytest.mark.parametrize("is_thick", [False, True])
def test_roomiest_pool_comes_first(pools: Pools, *, is_thick: bool) -> None:
    assert pools.roomiest("", is_thick=is_thick) == [BIG, SLOW, FAST]
    assert pools.roomiest("slow", is_thick=is_thick) == [SLOW]


def test_two_pools_of_one_id_are_refused_by_both_names() -> None:
    """A copied pool: nobody can say on which of the two a volume is."""
    with pytest.raises(SamePoolError, match="fast-1 and copy"):
        Pools([FAST, SLOW, pool("copy", 1)])


def test_pool_that_was_not_opened_counts_for_every_pattern_that_it_matches() -> None:
    """rules.md A5, B1: a name that is new here may be taken there."""
    pools = Pools([FAST], away_names=["fast-2"])
    for pattern in ("", "fast-*", "fast-2"):
        with pytest.raises(PoolAwayError, match="fast-2"):
            pools.matching(pattern)
    assert pools.matching("fast-1") == [FAST]
    assert pools.away_names == ("fast-2",)
