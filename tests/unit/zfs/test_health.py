"""What is wrong with a pool is told from what `zpool status` says now (rules.md A12)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from csi_zfs.datasets.api import DatasetKind
from csi_zfs.domain.model import HealthStatus
from csi_zfs.domain.sizes import MIB
from csi_zfs.system.runner import CommandResult
from csi_zfs.zfs.pools import open_pool
from tests.support.zfs_fake_pools import PARENT, ZPOOL, FakeZfs

WELL: Mapping[str, object] = {"vdev_type": "file", "state": "ONLINE"}


class Status:
    """Prints a status of its own, and runs all else on the fake."""

    def __init__(self, zfs: FakeZfs, pool: Mapping[str, object]) -> None:
        self._zfs = zfs
        self._pool = pool

    def run(
        self, argv: Sequence[str], *, timeout_s: float | None = None, expected: Sequence[int] = (0,)
    ) -> CommandResult:
        if "--json-int" in argv:
            return CommandResult(0, json.dumps({"pools": {ZPOOL: self._pool}}), "")
        return self._zfs.commands.run(argv, timeout_s=timeout_s, expected=expected)


def findings(zfs: FakeZfs, **pool: object) -> set[tuple[HealthStatus, str]]:
    status = {"state": "ONLINE", "vdevs": {ZPOOL: {"vdevs": {"/vdev": WELL}}}, **pool}
    doors = replace(zfs.doors, runner=Status(zfs, status))
    found = open_pool(PARENT, name="pool", doors=doors).health()
    return {(finding.status, finding.reason) for finding in found}


def test_pool_that_is_well_has_no_findings(zfs: FakeZfs) -> None:
    assert findings(zfs) == set()


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ({"state": "DEGRADED"}, (HealthStatus.DEGRADED, "PoolDegraded")),
        ({"error_count": 3}, (HealthStatus.DATA_LOSS, "DataLost")),
        (
            {"vdevs": {ZPOOL: {"vdevs": {"/vdev": {**WELL, "read_errors": 1}}}}},
            (HealthStatus.DEGRADED, "DeviceErrors"),
        ),
        (
            {"vdevs": {ZPOOL: {"vdevs": {"/vdev": {**WELL, "state": "OFFLINE"}}}}},
            (HealthStatus.DEGRADED, "DeviceErrors"),
        ),
        (
            {"scan_stats": {"function": "SCRUB", "state": "FINISHED", "errors": 2}},
            (HealthStatus.DEGRADED, "ScanErrors"),
        ),
    ],
    ids=["degraded", "lost", "errors", "offline", "scrub"],
)
def test_pool_that_is_ill_says_how(
    zfs: FakeZfs, pool: dict[str, object], expected: tuple[HealthStatus, str]
) -> None:
    assert findings(zfs, **pool) == {expected}


def test_pool_with_less_free_than_its_reserve_is_nearly_full(zfs: FakeZfs) -> None:
    zfs.core.create(f"{PARENT}/hog", DatasetKind.FILESYSTEM, {"refreservation": 1000 * MIB})
    assert findings(zfs) == {(HealthStatus.DEGRADED, "PoolNearlyFull")}


def test_pool_that_is_away_is_inaccessible_and_not_reachable(zfs: FakeZfs) -> None:
    datasets = open_pool(PARENT, name="pool", doors=zfs.doors)
    assert datasets.is_reachable()
    zfs.export()
    assert [finding.status for finding in datasets.health()] == [HealthStatus.INACCESSIBLE]
    assert not datasets.is_reachable()
