"""Which pools are served where some cannot be opened."""

import logging
from pathlib import Path

import pytest

from csi_zfs.app.opening import open_pools
from csi_zfs.datasets.api import DatasetManager, PoolUnavailableError
from csi_zfs.settings import PoolSettings
from tests.support.datasets import FakeDatasets
from tests.support.node import FakeNode

FAST = PoolSettings("fast", Path("/srv/fast"))
TANK = PoolSettings("tank", dataset="tank/csi")
GONE = PoolSettings("gone", dataset="gone/csi")


@pytest.fixture(name="pool")
def fixture_pool(tmp_path: Path) -> FakeDatasets:
    """A pool that is there."""
    return FakeNode(tmp_path).pool


def test_pools_that_can_be_opened_are_in_the_order_of_the_settings(pool: FakeDatasets) -> None:
    asked: list[PoolSettings] = []

    def open_one(settings: PoolSettings) -> DatasetManager:
        asked.append(settings)
        return pool

    opened = open_pools([TANK, FAST], open_one)

    assert asked == [TANK, FAST]
    assert (opened.pools, opened.away_names) == ([pool, pool], [])


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


def test_no_pool_that_can_be_opened_ends_the_start_with_the_first_reason() -> None:
    def open_one(settings: PoolSettings) -> DatasetManager:
        raise PoolUnavailableError(f"no {settings.name}")

    with pytest.raises(PoolUnavailableError, match="no gone"):
        open_pools([GONE, FAST], open_one)
