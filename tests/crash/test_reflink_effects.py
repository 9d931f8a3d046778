"""The process dies before and after every effect of every operation of the embedded pool.

rules.md B1: a new process opens the pool, the operation is repeated, and what is there then is what
an undisturbed run leaves: nothing lost, leaked or stuck, nothing in `t/` or `j/`.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from csi_zfs.datasets.api import (
    DatasetNotFoundError,
    NewDataset,
    NewSnapshot,
    PoolFullError,
    PoolUnavailableError,
)
from csi_zfs.domain.sizes import GIB
from csi_zfs.reflink.creation import create_pool
from csi_zfs.reflink.datasets import ReflinkDatasets
from csi_zfs.reflink.layout import IMAGE
from csi_zfs.reflink.place import Tools
from csi_zfs.reflink.pools import open_pool
from tests.crash.reflink_scenarios import SCENARIOS, SIZE_BYTES, TOMBSTONE, Scenario, world
from tests.support.burials import burial_on
from tests.support.files import CrashError, CrashingFiles, Effects, Stop
from tests.support.reflink import contents_of, promises_of, xfs_directory

pytestmark = [pytest.mark.root, pytest.mark.slow]
NEEDS_NO_ROOM = {"sync", "unlink", "remove_directory"}
_numbers = count()

every_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda it: it.name)


@pytest.fixture(scope="module")
def xfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with xfs_directory(tmp_path_factory.mktemp("crash"), size_bytes=16 * GIB) as directory:
        yield directory


@contextmanager
def opened(path: Path, effects: Effects | None = None) -> Iterator[ReflinkDatasets]:
    """A process of the driver on the pool; its locks go with it, as the kernel would have it."""
    tools = Tools(files=CrashingFiles(effects or Effects()))
    datasets = open_pool(path, name="pool", tools=tools)
    try:
        yield datasets
    finally:
        datasets.close()


def fresh_pool(xfs: Path, scenario: Scenario) -> Path:
    path = xfs / str(next(_numbers))
    create_pool(path)
    with opened(path) as datasets:
        scenario.prepare(datasets)
    return path


def act(path: Path, scenario: Scenario, effects: Effects) -> None:
    """Do the operation in a process of its own; only its own effects count."""
    stop_at, effects.stop_at = effects.stop_at, None
    with opened(path, effects) as datasets:
        effects.done.clear()
        effects.stop_at = stop_at
        scenario.act(datasets)


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """A run to its end: its effects, and what is there before and after it."""

    effects: tuple[str, ...]
    before: dict[str, object]
    contents: dict[str, object]


def undisturbed(xfs: Path, scenario: Scenario) -> Undisturbed:
    path, effects = fresh_pool(xfs, scenario), Effects()
    before = contents_of(path)
    act(path, scenario, effects)
    assert effects.done
    return Undisturbed(tuple(effects.done), before, contents_of(path))


def require_repeatable(path: Path, scenario: Scenario, after: Undisturbed) -> None:
    """A new process can repeat the operation, and ends where the undisturbed run did."""
    with opened(path) as datasets:
        if scenario.is_atomic:
            found = promises_of(contents_of(path))
            assert found in (promises_of(after.before), promises_of(after.contents))
        scenario.act(datasets)
        assert contents_of(path) == after.contents
        assert datasets.health() == ()
        assert datasets._engine.ledger.promised == datasets._engine._claims()


@every_scenario
@pytest.mark.parametrize("stop", [Stop.BEFORE, Stop.AFTER], ids=["before", "after"])
def test_operation_that_dies_at_any_effect_can_be_repeated(
    xfs: Path, scenario: Scenario, stop: Stop
) -> None:
    after = undisturbed(xfs, scenario)
    for number in range(len(after.effects)):
        path = fresh_pool(xfs, scenario)
        effects = Effects(number, stop)
        with pytest.raises(CrashError):
            act(path, scenario, effects)
        assert effects.was_reached
        require_repeatable(path, scenario, after)


@every_scenario
def test_operation_on_a_disk_that_is_full_at_any_effect_changes_nothing(
    xfs: Path, scenario: Scenario
) -> None:
    """rules.md A13, B10: "full" means that nothing was done."""
    after = undisturbed(xfs, scenario)
    for number, effect in enumerate(after.effects):
        if effect.split()[0] in NEEDS_NO_ROOM:
            continue
        path = fresh_pool(xfs, scenario)
        effects = Effects(number, Stop.FAULT, errno.ENOSPC)
        with pytest.raises(PoolFullError):
            act(path, scenario, effects)
        assert effects.was_reached
        found = contents_of(path)
        assert promises_of(found) in (promises_of(after.before), promises_of(after.contents))
        if scenario.is_undone:
            assert found == after.before, effects.done
        require_repeatable(path, scenario, after)


@every_scenario
def test_operation_on_a_disk_that_fails_at_any_effect_is_unavailable_and_can_be_repeated(
    xfs: Path, scenario: Scenario
) -> None:
    """rules.md A5: an ill pool is never "not found"."""
    after = undisturbed(xfs, scenario)
    for number in range(len(after.effects)):
        path = fresh_pool(xfs, scenario)
        effects = Effects(number, Stop.FAULT, errno.EIO)
        with pytest.raises(PoolUnavailableError):
            act(path, scenario, effects)
        assert effects.was_reached
        require_repeatable(path, scenario, after)


def with_thick_snapshot(it: ReflinkDatasets) -> None:
    world(it)
    it.snapshot([NewSnapshot("v/thick@s")])


@pytest.mark.parametrize("stop", [Stop.BEFORE, Stop.AFTER], ids=["before", "after"])
def test_retire_that_dies_at_any_effect_and_is_not_repeated_leaves_no_data(
    xfs: Path, stop: Stop
) -> None:
    """A new volume has the name by then; a start looks at every tombstone."""
    scenario = Scenario(
        "retire of a thick one", with_thick_snapshot, lambda it: it.retire("v/thick", TOMBSTONE)
    )
    effects = undisturbed(xfs, scenario).effects
    for number in range(len(effects)):
        path = fresh_pool(xfs, scenario)
        with pytest.raises(CrashError):
            act(path, scenario, Effects(number, stop))
        with opened(path) as datasets:
            try:
                datasets.get(TOMBSTONE)
            except DatasetNotFoundError:
                continue  # it died before it had an effect that stays
            datasets.create(NewDataset("v/thick", SIZE_BYTES, is_thick=True))
            burial_on(datasets).bury(datasets, TOMBSTONE)
            assert not (path / TOMBSTONE / IMAGE).exists(), effects[number]
            assert datasets.data_path("v/thick").size_bytes == SIZE_BYTES
            assert datasets.get_snapshot(f"{TOMBSTONE}@s").size_bytes == SIZE_BYTES
            assert datasets._engine.ledger.promised == datasets._engine._claims()


@pytest.mark.parametrize("stop", [Stop.BEFORE, Stop.AFTER], ids=["before", "after"])
def test_opening_that_dies_at_any_effect_can_be_repeated(xfs: Path, stop: Stop) -> None:
    """A group snapshot died after its commit point: it is there as a whole, after any crashes."""
    [group] = [scenario for scenario in SCENARIOS if scenario.name == "snapshots of a group"]
    after = undisturbed(xfs, group)
    committed = 1 + next(n for n, done in enumerate(after.effects) if done.startswith("rename "))
    effects = Effects()
    path = crashed_pool(xfs, group, committed)
    with opened(path, effects):
        assert contents_of(path) == after.contents
    for number in range(len(effects.done)):
        path = crashed_pool(xfs, group, committed)
        dying = Effects(number, stop)
        with pytest.raises(CrashError), opened(path, dying):
            pass
        assert dying.was_reached
        with opened(path):
            assert contents_of(path) == after.contents, dying.done


def crashed_pool(xfs: Path, scenario: Scenario, number: int) -> Path:
    """A pool on which an operation, and beside it a destroy, died on the way."""
    path = fresh_pool(xfs, scenario)
    with pytest.raises(CrashError):
        act(path, scenario, Effects(number, Stop.AFTER))
    half_destroyed = path / "t" / "0123456789abcdef"
    half_destroyed.mkdir()
    (half_destroyed / "record.json").write_bytes(b"{}")
    return path
