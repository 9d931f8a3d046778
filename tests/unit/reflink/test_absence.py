"""rules.md A5: a pool that went away, died or was swapped is "unavailable", never "not found"."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from csi_zfs.datasets.api import (
    DatasetNotFoundError,
    NewDataset,
    NewSnapshot,
    PoolUnavailableError,
)
from csi_zfs.domain.model import HealthStatus
from csi_zfs.domain.sizes import MIB
from csi_zfs.reflink.creation import create_pool
from csi_zfs.reflink.datasets import ReflinkDatasets
from csi_zfs.reflink.pools import export_pool, open_pool
from csi_zfs.system.runner import SystemRunner
from tests.support.reflink import delete_pool, real_pool, shut_down, top_of, xfs_directory

pytestmark = pytest.mark.root
UID = "0123456789abcdef"
Call = Callable[[ReflinkDatasets], object]
READS: dict[str, Call] = {
    "get": lambda it: it.get("v/a"),
    "get missing": lambda it: it.get("v/none"),
    "get snapshot": lambda it: it.get_snapshot("v/a@s"),
    "get snapshot missing": lambda it: it.get_snapshot("v/none@s"),
    "list": lambda it: list(it.list()),
    "list snapshots": lambda it: list(it.list_snapshots()),
    "data_path": lambda it: it.data_path("v/a"),
    "extents": lambda it: it.extent_count("v/a"),
    "changes": lambda it: list(it.changed_ranges("v/a@s", "v/a@s")),
    "capacity": lambda it: it.capacity(),
}
WRITES: dict[str, Call] = {
    "create": lambda it: it.create(NewDataset("v/new", MIB)),
    "clone": lambda it: it.clone("v/a", NewDataset("v/new", MIB)),
    "snapshot": lambda it: it.snapshot([NewSnapshot("v/a@new")]),
    "resize": lambda it: it.resize("v/a", 2 * MIB),
    "rename": lambda it: it.rename("v/a", "v/new"),
    "set user properties": lambda it: it.set_user_properties("v/a", {"a": "b"}),
    "hold": lambda it: it.hold("v/a@s", "tag"),
    "destroy": lambda it: it.destroy("v/b", uid=it.get("v/b").uid),
    "destroy snapshot": lambda it: it.destroy_snapshot("v/a@s", uid=it.get_snapshot("v/a@s").uid),
}
MISSING: dict[str, Call] = {
    "destroy missing": lambda it: it.destroy("v/none", uid=UID),
    "snapshot missing": lambda it: it.snapshot([NewSnapshot("v/none@new")]),
    "clone missing": lambda it: it.clone("v/none", NewDataset("v/new", MIB)),
}


@pytest.fixture
def filled(datasets: ReflinkDatasets) -> ReflinkDatasets:
    for name in ("v/a", "v/b"):
        datasets.create(NewDataset(name, MIB))
    datasets.snapshot([NewSnapshot("v/a@s")])
    return datasets


def require_unavailable(datasets: ReflinkDatasets, calls: dict[str, Call]) -> None:
    for name, call in calls.items():
        with pytest.raises(PoolUnavailableError):
            pytest.fail(f"{name} returned {call(datasets)}")


def require_inaccessible(datasets: ReflinkDatasets) -> None:
    assert {finding.status for finding in datasets.health()} == {HealthStatus.INACCESSIBLE}


@contextmanager
def unmounted(top: Path) -> Iterator[None]:
    """The pool is unmounted behind the driver's back, as only force can, and mounted again."""
    runner = SystemRunner()
    device = runner.run(["findmnt", "-n", "-o", "SOURCE", str(top)]).output.strip()
    runner.run(["umount", "--lazy", str(top)])
    try:
        yield
    finally:
        runner.run(["mount", device, str(top)])


def test_missing_things_on_a_healthy_pool_are_not_found(filled: ReflinkDatasets) -> None:
    for name in ("get missing", "get snapshot missing"):
        with pytest.raises(DatasetNotFoundError):
            READS[name](filled)
    for call in MISSING.values():
        with pytest.raises(DatasetNotFoundError):
            call(filled)


def test_pool_unmounted_under_the_driver_is_unavailable_until_it_is_back(
    filled: ReflinkDatasets,
) -> None:
    with unmounted(top_of(filled)):
        require_unavailable(filled, READS | WRITES | MISSING)
        require_inaccessible(filled)
        assert list(top_of(filled).iterdir()) == []
    assert filled.get("v/a").size_bytes == MIB
    assert filled.health() == ()


def test_pool_that_an_open_driver_owns_cannot_be_unmounted_by_mistake(
    filled: ReflinkDatasets,
) -> None:
    assert SystemRunner().run(["umount", str(top_of(filled))], expected=(32,)).status == 32
    assert filled.health() == ()


def test_other_pool_in_place_of_the_one_opened_is_unavailable(
    filled: ReflinkDatasets, tmp_path: Path
) -> None:
    """A pool made in the same way has the same inode numbers, and could get the device's number."""
    with real_pool(tmp_path, name="other") as other, unmounted(top_of(filled)):
        runner = SystemRunner()
        runner.run(["mount", "--bind", str(top_of(other)), str(top_of(filled))])
        try:
            require_unavailable(filled, READS | WRITES | MISSING)
            require_inaccessible(filled)
            assert list(other.list()) == []
        finally:
            runner.run(["umount", str(top_of(filled))])


def test_pool_whose_file_system_has_shut_down_is_unavailable_and_comes_back_by_export(
    tmp_path: Path,
) -> None:
    path = tmp_path / "pool"
    create_pool(path, size_bytes=320 * MIB)
    datasets = open_pool(path, name="pool")
    datasets.create(NewDataset("v/a", MIB))
    shut_down(top_of(datasets))
    require_unavailable(datasets, READS | WRITES | MISSING)
    require_inaccessible(datasets)
    datasets.close()
    export_pool(path)
    again = open_pool(path, name="pool")
    assert again.get("v/a").size_bytes == MIB
    again.close()
    delete_pool(path)


def test_read_only_pool_refuses_writes_as_unavailable_and_still_reads(
    filled: ReflinkDatasets,
) -> None:
    runner, top = SystemRunner(), str(top_of(filled))
    runner.run(["mount", "-o", "remount,ro", top])
    try:
        require_unavailable(filled, WRITES)
        require_inaccessible(filled)
        assert filled.get("v/a").size_bytes == MIB
        assert len(list(filled.list())) == 2
        with pytest.raises(DatasetNotFoundError):
            filled.get("v/none")
    finally:
        runner.run(["mount", "-o", "remount,rw", top])
    WRITES["create"](filled)


def test_closed_pool_is_unavailable(filled: ReflinkDatasets) -> None:
    filled.close()
    filled.close()
    require_unavailable(filled, READS | WRITES | MISSING)
    require_inaccessible(filled)


def test_pool_whose_layout_is_taken_apart_under_the_driver_is_unavailable(tmp_path: Path) -> None:
    with xfs_directory(tmp_path) as xfs:
        path = xfs / "pool"
        create_pool(path)
        datasets = open_pool(path, name="pool")
        (path / "v").rename(path / "moved")
        with pytest.raises(PoolUnavailableError):
            datasets.get("v/a")
        with pytest.raises(PoolUnavailableError):
            list(datasets.list())
        (path / "moved").rename(path / "v")
        (path / "t").rename(path / "moved")
        with pytest.raises(PoolUnavailableError, match="changed under the driver"):
            datasets.create(NewDataset("v/a", MIB))
        datasets.close()
