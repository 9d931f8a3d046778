"""Contract: a pool that is away is "unavailable", never "not found"; what is in it comes back."""

from collections.abc import Callable

import pytest

from csi_zfs.datasets.api import (
    DatasetExistsError,
    DatasetManager,
    NewDataset,
    NewSnapshot,
    PoolUnavailableError,
    RecordCorruptError,
)
from csi_zfs.domain.model import HealthStatus
from tests.contract.datasets.test_missing import CALLS as MISSING_CALLS
from tests.contract.datasets.world import SIZE_BYTES, changes_nothing, make, take, world
from tests.support.pools import PoolUnderTest

UID = "0123456789abcdef"
Call = Callable[[DatasetManager], object]

PRESENT_CALLS: dict[str, Call] = {
    "create": lambda it: it.create(NewDataset("v/new", SIZE_BYTES)),
    "create over": lambda it: it.create(NewDataset("v/a", SIZE_BYTES)),
    "clone a dataset": lambda it: it.clone("v/a", NewDataset("v/new", SIZE_BYTES)),
    "clone a snapshot": lambda it: it.clone("v/a@snap", NewDataset("v/new", SIZE_BYTES)),
    "get that exists": lambda it: it.get("v/a"),
    "list": lambda it: list(it.list()),
    "resize that exists": lambda it: it.resize("v/a", 2 * SIZE_BYTES),
    "rename that exists": lambda it: it.rename("v/a", "v/new"),
    "destroy that exists": lambda it: it.destroy("v/a", uid=UID),
    "snapshot that exists": lambda it: it.snapshot([NewSnapshot("v/a@new")]),
    "get_snapshot that exists": lambda it: it.get_snapshot("v/a@snap"),
    "list_snapshots": lambda it: list(it.list_snapshots()),
    "hold that exists": lambda it: it.hold("v/a@snap", "tag"),
    "capacity": lambda it: it.capacity(),
}
CALLS = MISSING_CALLS | PRESENT_CALLS


def test_call_on_absent_pool_is_unavailable_and_changes_nothing(pool: PoolUnderTest) -> None:
    """rules.md A5: "not found" would make a caller forget a volume that is only away."""
    make(pool, "v/a", content=b"kept")
    take(pool, "v/a@snap")
    with changes_nothing(pool), pool.away():
        for call in CALLS.values():
            with pytest.raises(PoolUnavailableError):
                call(pool.manager)


def test_health_of_absent_pool_is_inaccessible(pool: PoolUnderTest) -> None:
    assert pool.manager.is_reachable()
    with pool.away():
        findings = pool.manager.health()
        assert not pool.manager.is_reachable()
    assert HealthStatus.INACCESSIBLE in {finding.status for finding in findings}
    assert pool.manager.is_reachable()


def test_health_of_good_pool_has_no_findings(pool: PoolUnderTest) -> None:
    assert pool.manager.health() == ()


def test_reopen_finds_everything_again(pool: PoolUnderTest) -> None:
    """rules.md B2: creation times and sizes outlive the driver too."""
    make(pool, "v/a", content=b"kept")
    snapshot = take(pool, "v/a@snap")
    pool.manager.hold(snapshot.name, "tag")
    pool.manager.clone("v/a@snap", NewDataset("v/clone", 2 * SIZE_BYTES, is_thick=True))
    pool.manager.set_user_properties("v/a", {"io.csi-zfs:record": "ünïcode"})
    before, pool_id = world(pool), pool.manager.pool_id
    pool.reopen()
    assert world(pool) == before
    assert pool.manager.pool_id == pool_id


def test_reopen_keeps_what_is_promised(pool: PoolUnderTest) -> None:
    """rules.md A13: a restart does not forget what thick volumes were promised."""
    pool.manager.create(NewDataset("v/thick", SIZE_BYTES, is_thick=True))
    pool.manager.snapshot([NewSnapshot("v/thick@snap")])
    before = pool.manager.capacity().admissible_thin_bytes
    pool.reopen()
    assert pool.manager.capacity().admissible_thin_bytes == before


def test_list_with_damaged_dataset_yields_its_error_and_the_rest(pool: PoolUnderTest) -> None:
    """rules.md B8: one damaged object stops nothing else."""
    whole = [make(pool, "v/a"), make(pool, "v/c")]
    make(pool, "v/b", content=b"still there")
    pool.damage("v/b")
    listed = list(pool.manager.list())
    assert (
        sorted(
            (entry for entry in listed if not isinstance(entry, RecordCorruptError)),
            key=lambda dataset: dataset.name,
        )
        == whole
    )
    damaged = [entry for entry in listed if isinstance(entry, RecordCorruptError)]
    assert [error.name for error in damaged] == ["v/b"]


def test_damaged_dataset_is_neither_absent_nor_free(pool: PoolUnderTest) -> None:
    """rules.md A2, A5: what cannot be read is not destroyed and not made anew."""
    uid = make(pool, "v/b").uid
    pool.damage("v/b")
    with pytest.raises(RecordCorruptError):
        pool.manager.get("v/b")
    with pytest.raises(RecordCorruptError):
        pool.manager.destroy("v/b", uid=uid)
    with pytest.raises((RecordCorruptError, DatasetExistsError)):
        pool.manager.create(NewDataset("v/b", SIZE_BYTES))
    assert len(list(pool.manager.list())) == 1


def test_list_snapshots_with_damaged_snapshot_yields_its_error_and_the_rest(
    pool: PoolUnderTest,
) -> None:
    """rules.md B8: one damaged object stops nothing else."""
    make(pool, "v/a")
    whole = take(pool, "v/a@whole")
    take(pool, "v/a@bad")
    pool.damage("v/a@bad")
    listed = list(pool.manager.list_snapshots())
    assert [entry for entry in listed if not isinstance(entry, RecordCorruptError)] == [whole]
    damaged = [entry for entry in listed if isinstance(entry, RecordCorruptError)]
    assert [error.name for error in damaged] == ["v/a@bad"]
    with pytest.raises(RecordCorruptError):
        pool.manager.get_snapshot("v/a@bad")
