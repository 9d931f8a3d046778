"""The process dies before and after every call and every command of every operation on OpenZFS.

rules.md B1: a new process opens the pool, the operation is repeated, and what is there then is what
an undisturbed run leaves: nothing lost, leaked or stuck, no hidden snapshot, no device taken away,
no reservation, and a ledger that agrees.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from csi_zfs.datasets.api import Dataset, DatasetSnapshot
from csi_zfs.services.contents import PoolContents
from csi_zfs.zfs.datasets import LibzfsCoreDatasets
from csi_zfs.zfs.pools import Doors, open_pool
from tests.crash.zfs_scenarios import SCENARIOS, Scenario
from tests.support.burials import burial_on
from tests.support.files import CrashError, Effects, Stop
from tests.support.zfs_crashes import crashing_doors
from tests.support.zfs_fake_pools import PARENT, FakeZfs, fake_zfs, write
from tests.support.zfs_properties import is_user_property
from tests.support.zfs_state import FakeDataset, FakeEntry

Contents = dict[str, tuple[object, ...]]
_UID = re.compile(r"D-[0-9a-f]{16}")

every_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda it: it.name)
either_side = pytest.mark.parametrize("stop", [Stop.BEFORE, Stop.AFTER], ids=["before", "after"])
MakeZfs = Callable[[Scenario], FakeZfs]


@pytest.fixture
def make_zfs(tmp_path: Path) -> MakeZfs:
    """Makes machines, each with a pool of its own on which a scenario is prepared."""

    def make(scenario: Scenario) -> FakeZfs:
        directory = tmp_path / str(len([*tmp_path.iterdir()]))
        directory.mkdir()
        zfs = fake_zfs(directory)
        scenario.prepare(opened(zfs.doors))
        return zfs

    return make


def opened(doors: Doors) -> LibzfsCoreDatasets:
    """A process of the driver."""
    return open_pool(PARENT, name="pool", doors=doors)


def act(zfs: FakeZfs, scenario: Scenario, effects: Effects, *, cuts_power: bool = False) -> None:
    """Do the operation in a process of its own; only its own effects count."""
    stop_at, effects.stop_at = effects.stop_at, None
    datasets = opened(crashing_doors(zfs, effects, cuts_power=cuts_power))
    effects.done.clear()
    effects.stop_at = stop_at
    scenario.act(datasets)


def contents_of(zfs: FakeZfs) -> Contents:
    """All that is in the pool and in /dev, but for what differs from run to run."""
    datasets = opened(zfs.doors)
    entries = [*datasets.list(), *datasets.list_snapshots()]
    told = {entry.name: _told(entry) for entry in entries}
    for dataset in list(zfs.pool.datasets.values()):
        name = dataset.name.removeprefix(f"{PARENT}/")
        told[_label(name)] = (*told.pop(name, ()), _kept(zfs, dataset))
        for snapshot in dataset.snapshots.values():
            of_snapshot = snapshot.name.removeprefix(f"{PARENT}/")
            kept = (_native(snapshot), sorted(snapshot.holds), snapshot.is_deferred)
            told[_label(of_snapshot)] = (*told.pop(of_snapshot, ()), kept)
    return told


def _told(entry: object) -> tuple[object, ...]:
    assert isinstance(entry, Dataset | DatasetSnapshot)
    if isinstance(entry, Dataset):
        return (replace(entry, name="", uid="", created_ns=0, origin=_label(entry.origin)),)
    return (replace(entry, name="", uid="", created_ns=0),)


def _kept(zfs: FakeZfs, dataset: FakeDataset) -> tuple[object, ...]:
    origin = _label(dataset.origin.name) if dataset.origin else ""
    device = zfs.dev.name_at(zfs.dev.directory / f"zd{dataset.minor}")
    return (dataset.kind, dataset.volsize_bytes, origin, _native(dataset), device)


def _native(entry: FakeEntry) -> dict[str, object]:
    return {key: value for key, value in entry.properties.items() if not is_user_property(key)}


def _label(name: str) -> str:
    return _UID.sub("D-<uid>", name)


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """A run to its end: its effects, and what is there before and after it."""

    effects: tuple[str, ...]
    before: Contents
    after: Contents


def undisturbed(make_zfs: MakeZfs, scenario: Scenario, *, cuts_power: bool = False) -> Undisturbed:
    zfs, effects = make_zfs(scenario), Effects()
    before = contents_of(zfs)
    act(zfs, scenario, effects, cuts_power=cuts_power)
    assert effects.done
    return Undisturbed(tuple(effects.done), before, contents_of(zfs))


def require_repeatable(zfs: FakeZfs, scenario: Scenario, run: Undisturbed) -> None:
    """A new process starts, repeats the operation, and ends where the undisturbed run did."""
    if scenario.is_atomic:
        assert contents_of(zfs) in (run.before, run.after)
    datasets = opened(zfs.doors)
    burial_on(datasets).finish_deletes(PoolContents.of(datasets))
    scenario.act(datasets)
    assert contents_of(zfs) == run.after
    assert datasets.health() == ()
    assert datasets._engine.ledger.promised == opened(zfs.doors)._engine.ledger.promised


@every_scenario
def test_operation_leaves_a_ledger_that_a_restart_agrees_with(
    make_zfs: MakeZfs, scenario: Scenario
) -> None:
    """rules.md A13."""
    zfs = make_zfs(scenario)
    datasets = opened(zfs.doors)
    scenario.act(datasets)
    assert datasets._engine.ledger.promised == opened(zfs.doors)._engine.ledger.promised


@either_side
@every_scenario
def test_operation_that_dies_at_any_call_can_be_repeated(
    make_zfs: MakeZfs, scenario: Scenario, stop: Stop
) -> None:
    run = undisturbed(make_zfs, scenario)
    for number in range(len(run.effects)):
        zfs, effects = make_zfs(scenario), Effects(number, stop)
        with pytest.raises(CrashError):
            act(zfs, scenario, effects)
        assert effects.was_reached
        require_repeatable(zfs, scenario, run)


CREATIONS = [scenario for scenario in SCENARIOS if scenario.name.startswith("create")]
CLONES = [scenario for scenario in SCENARIOS if "clone of" in scenario.name]


@pytest.mark.expected_logs("was made half when the machine stopped")
@pytest.mark.parametrize("scenario", CREATIONS, ids=lambda it: it.name)
def test_creation_whose_power_is_cut_between_transactions_can_be_repeated(
    make_zfs: MakeZfs, scenario: Scenario
) -> None:
    """The kernel makes a dataset in one transaction, and sets its properties in others."""
    run = undisturbed(make_zfs, scenario, cuts_power=True)
    for number in range(len(run.effects)):
        zfs, effects = make_zfs(scenario), Effects(number, Stop.AFTER)
        with pytest.raises(CrashError):
            act(zfs, scenario, effects, cuts_power=True)
        require_repeatable(zfs, replace(scenario, is_atomic=False), run)


@pytest.mark.expected_logs("was cloned half when the machine stopped")
@pytest.mark.parametrize("scenario", CLONES, ids=lambda it: it.name)
def test_clone_whose_power_is_cut_between_transactions_can_be_repeated(
    make_zfs: MakeZfs, scenario: Scenario
) -> None:
    """It has its name and no record: nobody's, until a repeated call makes it anew."""
    run = undisturbed(make_zfs, scenario, cuts_power=True)
    for number in range(len(run.effects)):
        zfs, effects = make_zfs(scenario), Effects(number, Stop.AFTER)
        with pytest.raises(CrashError):
            act(zfs, scenario, effects, cuts_power=True)
        require_repeatable(zfs, replace(scenario, is_atomic=False), run)


@pytest.mark.parametrize("scenario", CLONES[:1], ids=lambda it: it.name)
def test_clone_of_another_dataset_or_with_data_is_somebodys(
    make_zfs: MakeZfs, scenario: Scenario
) -> None:
    """rules.md A2: what a power cut left is told from what somebody made by hand."""
    zfs = make_zfs(scenario)
    zfs.core.snapshot([f"{PARENT}/v/b@mine"])
    zfs.core.clone(f"{PARENT}/v/new", f"{PARENT}/v/b@mine", {})
    scenario.act(opened(zfs.doors))
    zfs.core.destroy(f"{PARENT}/v/new")
    zfs.core.clone(f"{PARENT}/v/new", f"{PARENT}/v/a@s", {})
    write(zfs.dataset("v/new"), b"of somebody")
    scenario.act(opened(zfs.doors))
    assert opened(zfs.doors).get("v/new").user_properties == {}
    assert zfs.dataset("v/new").blocks
