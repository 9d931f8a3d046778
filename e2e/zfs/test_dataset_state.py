"""Pools on real OpenZFS against a plain model, over random sequences of a `DatasetManager`'s verbs.

tests/property/test_dataset_state.py does the same on other pools.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from csi_zfs.zfs.binding import DirectLibzfsCore
from tests.property.test_dataset_state import machine_on
from tests.support.pools import PoolUnderTest
from tests.support.zfs_pools import Zpool, made_zpool, zfs_filesystems, zfs_pool

SEQUENCES = 2
STEPS = 15


@pytest.fixture(name="own_zpool")
def fixture_own_zpool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zpool]:
    """A zpool that the sequences export."""
    with made_zpool(tmp_path_factory.mktemp("zpool"), DirectLibzfsCore()) as zpool:
        yield zpool


@pytest.mark.deep
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("opened", [zfs_pool, zfs_filesystems])
def test_pool_in_any_sequence_equals_its_model(
    own_zpool: Zpool, opened: Callable[[Zpool], AbstractContextManager[PoolUnderTest]]
) -> None:
    few = settings(
        max_examples=SEQUENCES,
        stateful_step_count=STEPS,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    run_state_machine_as_test(machine_on(lambda _directory: opened(own_zpool)), settings=few)
