"""Contract: calls on different names run at the same time, and none is lost."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from csi_zfs.datasets.api import NewDataset, NewSnapshot, PoolFullError
from csi_zfs.domain.sizes import MIB
from tests.contract.datasets.world import SIZE_BYTES, entries, make
from tests.support.pools import PoolUnderTest

THREADS = 8
NAMES = [f"v/vol-{number}" for number in range(48)]


def test_creates_of_different_names_in_parallel_all_happen(pool: PoolUnderTest) -> None:
    with ThreadPoolExecutor(THREADS) as executor:
        datasets = list(executor.map(partial(make, pool), NAMES))
    assert len({dataset.uid for dataset in datasets}) == len(NAMES)
    assert entries(pool.manager) == {dataset.name: dataset for dataset in datasets}


def whole_life(pool: PoolUnderTest, name: str) -> None:
    """Everything that can happen to a volume."""
    volume = make(pool, name, content=name.encode())
    [snapshot] = pool.manager.snapshot([NewSnapshot(f"{name}@snap")])
    clone = pool.manager.clone(snapshot.name, NewDataset(f"{name}.clone", SIZE_BYTES))
    assert pool.read(clone.name, len(name)) == name.encode()
    assert any(dataset == volume for dataset in pool.manager.list())
    pool.manager.destroy(clone.name, uid=clone.uid)
    pool.manager.destroy_snapshot(snapshot.name, uid=snapshot.uid)
    pool.manager.destroy(name, uid=volume.uid)


def test_lives_of_different_volumes_in_parallel_do_not_disturb_each_other(
    pool: PoolUnderTest,
) -> None:
    """rules.md B1: also a listing in the middle of creates and deletes fails nobody."""
    make(pool, "v/canary", content=b"canary")
    before = entries(pool.manager)
    with ThreadPoolExecutor(THREADS) as executor:
        for done in [executor.submit(whole_life, pool, name) for name in NAMES[:24]]:
            done.result()
    assert entries(pool.manager) == before


def test_creates_in_parallel_do_not_promise_the_last_room_twice(pool: PoolUnderTest) -> None:
    """rules.md A13: one of them gets it."""
    size_bytes = pool.manager.capacity().admissible_thick_bytes // 3 * 2 // MIB * MIB

    def is_created(name: str) -> bool:
        try:
            pool.manager.create(NewDataset(name, size_bytes, is_thick=True))
        except PoolFullError:
            return False
        return True

    with ThreadPoolExecutor(THREADS) as executor:
        assert sum(executor.map(is_created, NAMES[:THREADS])) == 1
    assert len(entries(pool.manager)) == 1


@pytest.mark.parametrize("rounds", [3])
def test_group_snapshots_of_disjoint_volumes_in_parallel_all_happen(
    pool: PoolUnderTest, rounds: int
) -> None:
    for name in NAMES[:16]:
        make(pool, name)
    groups = [
        [NewSnapshot(f"{name}@round-{number}") for name in NAMES[first : first + 4]]
        for first in range(0, 16, 4)
        for number in range(rounds)
    ]
    with ThreadPoolExecutor(THREADS) as executor:
        list(executor.map(pool.manager.snapshot, groups))
    assert sum("@" in name for name in entries(pool.manager)) == 16 * rounds
