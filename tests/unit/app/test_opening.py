"""Which pools are served where some cannot be opened."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from csi_zfs.app.opening import open_pools
from csi_zfs.datasets.api import DatasetManager, PoolUnavailableError
from csi_zfs.domain.sizes import GIB
from csi_zfs.services.pools import SamePoolError
from csi_zfs.settings import PoolSettings
from tests.support.clock import FakeClock
from tests.support.datasets import FakeDatasets
from tests.support.disk import FakeDisk
from tests.support.node import FakeNode
from tests.support.pool_core import FakePool
from tests.support.pool_state import Room

FAST = PoolSettings("fast", Path("/srv/fast"))
TANK = PoolSettings("tank", dataset="tank/csi")
GONE = PoolSettings("gone", dataset="gone/csi")


@pytest.fixture(name="pool")
def fixture_pool(tmp_path: Path) -> FakeDatasets:
    """A pool that is there."""
    return FakeNode(tmp_path).pool


def pool_of_id(number: int) -> FakeDatasets:
    """A pool of this id."""
    made = FakePool("pool", f"{number:016x}", room=Room(GIB))
    return FakeDatasets(FakeDisk(), FakeClock(), made)


def opener(pools: Mapping[str, DatasetManager]) -> Callable[[PoolSettings], DatasetManager]:
    """What opens these, by their names in the settings."""
    return lambda settings: pools[settings.name]


def test_pools_that_can_be_opened_are_in_the_order_of_the_settings(pool: FakeDatasets) -> None:
    other = pool_of_id(7)

    opened = open_pools([TANK, FAST], opener({"tank": pool, "fast": other}))

    assert (opened.pools, opened.away_names) == ([pool, other], [])


@pytest.mark.expected_logs("pool gone is not served until the driver is restarted: no zpool")
def test_pool_that_cannot_be_opened_is_away_by_its_name(
    pool: FakeDatasets, caplog: pytest.LogCaptureFixture
) -> None:
    """rules.md B5: the volumes of the others are served and let go of."""

    def open_one(settings: PoolSettings) -> DatasetManager:
        if settings is GONE:
            raise PoolUnavailableError("no zpool")
        return pool

    with caplog.at_level(logging.ERROR):
        opened = open_pools([GONE, FAST], open_one)

    assert (opened.pools, opened.away_names) == ([pool], ["gone"])


@pytest.mark.expected_logs("pools tank and copy have the same id")
def test_pools_of_one_id_are_both_away_and_the_others_served(
    pool: FakeDatasets, caplog: pytest.LogCaptureFixture
) -> None:
    """A copied disk: nobody can say on which of the two a volume is."""
    copy = PoolSettings("copy", Path("/srv/copy"))
    twins = {"tank": pool_of_id(7), "copy": pool_of_id(7)}

    with caplog.at_level(logging.ERROR):
        opened = open_pools([TANK, FAST, copy], opener(twins | {"fast": pool}))

    assert (opened.pools, opened.away_names) == ([pool], ["tank", "copy"])
    assert [message.partition(":")[0] for message in caplog.messages] == [
        f"pool {name} is not served until the driver is restarted" for name in ("tank", "copy")
    ]


def test_pools_of_one_id_alone_end_the_start() -> None:
    twins = {"tank": pool_of_id(7), "fast": pool_of_id(7)}

    with pytest.raises(SamePoolError, match="pools tank and fast have the same id"):
        open_pools([TANK, FAST], opener(twins))


def test_no_pool_that_can_be_opened_ends_the_start_with_the_first_reason() -> None:
    def open_one(settings: PoolSettings) -> DatasetManager:
        raise PoolUnavailableError(f"no {settings.name}")

    with pytest.raises(PoolUnavailableError, match="no gone"):
        open_pools([GONE, FAST], open_one)
