"""A fault leaves the journal of a group behind, and then the process dies, at any two effects.

rules.md B1: what a caller was told to be gone stays gone, a group is there as a whole or not at
all, and nothing ever gets a name that is not whole.
"""

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import combinations, count, product
from pathlib import Path

import pytest

from csi_zfs.datasets.api import (
    DatasetNotFoundError,
    NewDataset,
    NewSnapshot,
    PoolUnavailableError,
)
from csi_zfs.domain.sizes import GIB, MIB
from csi_zfs.reflink.creation import create_pool
from csi_zfs.reflink.datasets import ReflinkDatasets
from csi_zfs.reflink.layout import IMAGE
from csi_zfs.reflink.place import Tools
from csi_zfs.reflink.pools import open_pool
from tests.support.files import CrashError, CrashingFiles, Effects, Stop
from tests.support.reflink import xfs_directory

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.expected_logs("of a group was cut short"),
]
VOLUMES = ("v/a", "v/b")
GROUP = {f"{volume}@group" for volume in VOLUMES}
_numbers = count()


@dataclass(slots=True)
class SeveralStops(Effects):
    """Effects that stop at several of them; every fault is an EIO."""

    stops: Mapping[int, Stop] = field(default_factory=dict)

    @contextmanager
    def around(self, verb: str, what: str) -> Iterator[None]:
        """See `Effects`."""
        number = len(self.done)
        self.stop_at, self.fault = (number if number in self.stops else None), errno.EIO
        self.stop = self.stops.get(number, Stop.AFTER)
        with Effects.around(self, verb, what):
            yield


@pytest.fixture(scope="module")
def xfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with xfs_directory(tmp_path_factory.mktemp("journals"), size_bytes=16 * GIB) as directory:
        yield directory


@contextmanager
def opened(path: Path, effects: Effects | None = None) -> Iterator[ReflinkDatasets]:
    tools = Tools(files=CrashingFiles(effects or Effects()))
    datasets = open_pool(path, name="pool", tools=tools)
    try:
        yield datasets
    finally:
        datasets.close()


def fresh_pool(xfs: Path) -> Path:
    path = xfs / str(next(_numbers))
    create_pool(path)
    with opened(path) as datasets:
        for name in VOLUMES:
            datasets.create(NewDataset(name, MIB))
    return path


def begun(effects: SeveralStops, stops: Mapping[int, Stop]) -> None:
    """Count from here on, and stop at these."""
    effects.done.clear()
    effects.stops = stops


def take(datasets: ReflinkDatasets) -> None:
    datasets.snapshot([NewSnapshot(name) for name in sorted(GROUP)])


def is_told_gone(datasets: ReflinkDatasets, name: str) -> bool:
    """Delete a snapshot as a caller does: once more after an error; whether it is told "gone"."""
    for _ in range(2):
        try:
            datasets.destroy_snapshot(name, uid=datasets.get_snapshot(name).uid)
        except PoolUnavailableError:
            continue
        except DatasetNotFoundError:
            return True
        return True
    return False


def found_whole(path: Path) -> set[str]:
    """The snapshots that a new process finds; fails if it finds anything odd."""
    with opened(path) as datasets:
        names = {snapshot.name for snapshot in datasets.list_snapshots() if whole(snapshot)}
        assert all((datasets._engine.layout.snapshot(name) / IMAGE).exists() for name in names)
        assert datasets.health() == ()
        assert [*(path / "t").iterdir(), *(path / "j").iterdir()] == []
        assert datasets._engine.ledger.promised == datasets._engine._claims()
        return names


def whole(snapshot: object) -> bool:
    assert not isinstance(snapshot, Exception), snapshot
    return True


def number_of_effects(xfs: Path) -> int:
    effects = SeveralStops()
    with opened(fresh_pool(xfs), effects) as datasets:
        begun(effects, {})
        take(datasets)
    return len(effects.done)


def destroy_effects(xfs: Path) -> int:
    """How many effects a delete has at most: also that of a journal which a fault left."""
    effects = SeveralStops()
    last = number_of_effects(xfs) - 1
    with opened(fresh_pool(xfs), effects) as datasets:
        begun(effects, {last: Stop.FAULT})
        with pytest.raises(PoolUnavailableError):
            take(datasets)
        begun(effects, {})
        assert is_told_gone(datasets, "v/b@group")
    return len(effects.done)


@pytest.mark.parametrize("stop", Stop, ids=lambda stop: stop.name.lower())
def test_deleted_member_of_a_group_that_met_a_fault_stays_deleted(xfs: Path, stop: Stop) -> None:
    """Also where the delete meets a fault itself, or the process dies in it."""
    faults, deletes = range(number_of_effects(xfs)), range(destroy_effects(xfs))
    for fault, number in product(faults, deletes):
        path, effects = fresh_pool(xfs), SeveralStops()
        is_gone = False
        with opened(path, effects) as datasets:
            begun(effects, {fault: Stop.FAULT})
            with pytest.raises(PoolUnavailableError):
                take(datasets)
            begun(effects, {number: stop})
            try:
                is_gone = is_told_gone(datasets, "v/b@group")
            except CrashError:
                assert stop is not Stop.FAULT
        found = found_whole(path)
        assert not (is_gone and "v/b@group" in found), (fault, effects.done)


@pytest.mark.parametrize("stop", [Stop.BEFORE, Stop.AFTER], ids=["before", "after"])
def test_group_that_met_a_fault_before_the_crash_is_whole_or_not_there(
    xfs: Path, stop: Stop
) -> None:
    """What a fault made the driver take back is half taken apart when the process dies."""
    # Each fault adds the effects of taking everything back.
    for fault, crash in combinations(range(3 * number_of_effects(xfs)), 2):
        path, effects = fresh_pool(xfs), SeveralStops()
        with opened(path, effects) as datasets:
            begun(effects, {fault: Stop.FAULT, crash: stop})
            try:
                take(datasets)
            except CrashError:
                pass
            except PoolUnavailableError:
                continue  # the call ended before the second stop
            else:
                break  # and before the first
        assert found_whole(path) in (set(), GROUP), (fault, effects.done)
