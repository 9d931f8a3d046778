"""The driver dies before and after calls and commands of its operations on real OpenZFS.

rules.md B1: tests/crash/test_zfs_calls.py does this on a fake, at every point; here it is the
kernel that keeps what was done.
"""

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from csi_zfs.datasets.api import Dataset, DatasetSnapshot
from csi_zfs.datasets.names import is_deferred_snapshot
from csi_zfs.services.burial import destroy_deferred
from csi_zfs.services.contents import PoolContents
from csi_zfs.zfs.binding import DirectLibzfsCore
from csi_zfs.zfs.datasets import LibzfsCoreDatasets
from csi_zfs.zfs.lzc import LibzfsCore
from csi_zfs.zfs.pools import Doors, create_pool, open_pool
from tests.crash.zfs_scenarios import SCENARIOS, Scenario
from tests.support.commands import run
from tests.support.files import CrashError, CrashingRunner, Effects, Stop

# The calls that change something; a program that only looks in a transaction counts too.
CHANGES = frozenset(
    ("create", "clone", "snapshot", "destroy_snapshots", "rename", "promote", "hold", "release")
) | {"run_program"}
NATIVE = "refreservation,volmode,mountpoint,readonly,volsize,refquota,defer_destroy,userrefs"
# Half a minute each in the emulated machine: the others are `deep`.
SAMPLE = {"create thick"}
_UID = re.compile(r"D-[0-9a-f]{16}")
Lines = list[str]


class CrashingDoor:
    """`LibzfsCore` whose changes are effects, at one of which the process dies."""

    def __init__(self, core: LibzfsCore, effects: Effects) -> None:
        self._core = core
        self._effects = effects

    def __getattr__(self, name: str) -> Callable[..., object]:
        call: Callable[..., object] = getattr(self._core, name)
        return self._counted(name, call) if name in CHANGES else call

    def _counted(self, name: str, call: Callable[..., object]) -> Callable[..., object]:
        def counted(*arguments: Any, **named: Any) -> object:  # noqa: ANN401 - any call
            with self._effects.around(name, ""):
                return call(*arguments, **named)

        return counted


@contextmanager
def opened(parent: str, effects: Effects | None = None) -> Iterator[LibzfsCoreDatasets]:
    """A process of the driver; with `effects` it counts, and dies."""
    doors = Doors(DirectLibzfsCore())
    if effects is not None:
        stop_at, effects.stop_at = effects.stop_at, None
        core = cast("LibzfsCore", CrashingDoor(doors.core, effects))
        doors = Doors(core, CrashingRunner(doors.runner, effects))
        yield from _counting(open_pool(parent, name="tank", doors=doors), effects, stop_at)
        return
    yield open_pool(parent, name="tank", doors=doors)


def _counting(
    manager: LibzfsCoreDatasets, effects: Effects, stop_at: int | None
) -> Iterator[LibzfsCoreDatasets]:
    """From here on: what opens the pool is another's test."""
    effects.done.clear()
    effects.stop_at = stop_at
    yield manager


def prepared(zpool: str, scenario: Scenario) -> str:
    """A new pool on which the scenario can begin; returns its parent."""
    parent = f"{zpool}/{uuid.uuid4().hex[:12]}"
    create_pool(parent, Doors(DirectLibzfsCore()))
    with opened(parent) as manager:
        scenario.prepare(manager)
    run("udevadm", "settle")
    return parent


def contents_of(parent: str) -> Lines:
    """All that is in the pool, but for what differs from run to run."""
    with opened(parent) as manager:
        entries = [*manager.list(), *manager.list_snapshots()]
        told = [_told(entry) for entry in entries]
    shown = run("zfs", "get", "-Hpr", "-o", "name,property,value", NATIVE, f"{parent}/v")
    return sorted(_UID.sub("D-uid", line) for line in [*told, *shown.replace(parent, "").split()])


def _told(entry: object) -> str:
    assert isinstance(entry, Dataset | DatasetSnapshot), entry
    words = [entry.name, entry.kind, entry.size_bytes, entry.is_thick]
    of_user = sorted(entry.user_properties.items())
    if isinstance(entry, Dataset):
        return f"{words} {entry.origin} {sorted(entry.properties.items())} {of_user}"
    return f"{words} {sorted(entry.holds)} {entry.is_deferred} {of_user}"


def undisturbed(zpool: str, scenario: Scenario) -> tuple[int, Lines]:
    """How many effects the operation has, and what it leaves."""
    parent, effects = prepared(zpool, scenario), Effects()
    with opened(parent, effects) as manager:
        scenario.act(manager)
    run("udevadm", "settle")
    return len(effects.done), contents_of(parent)


def finish_destroys(manager: LibzfsCoreDatasets) -> None:
    """What every start does with the hidden snapshots that a crash left."""
    for snapshot in PoolContents.of(manager).readable_snapshots():
        if is_deferred_snapshot(snapshot.name) and not snapshot.is_deferred:
            destroy_deferred(manager, snapshot)


def disturbed(zpool: str, scenario: Scenario, number: int, stop: Stop) -> Lines:
    """What is left by one that dies at this effect and is repeated by another process."""
    parent, effects = prepared(zpool, scenario), Effects(number, stop)
    with pytest.raises(CrashError), opened(parent, effects) as manager:
        scenario.act(manager)
    assert effects.was_reached
    with opened(parent) as manager:
        finish_destroys(manager)
        scenario.act(manager)
        assert manager.health() == ()
    run("udevadm", "settle")
    return contents_of(parent)


def _sampled(scenario: Scenario) -> object:
    marks = () if scenario.name in SAMPLE else pytest.mark.deep
    return pytest.param(scenario, id=scenario.name, marks=marks)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", [*map(_sampled, SCENARIOS)])
def test_operation_that_dies_at_a_call_can_be_repeated(zpool: str, scenario: Scenario) -> None:
    count, wanted = undisturbed(zpool, scenario)
    assert count
    for number in range(count):
        stop = Stop.BEFORE if number % 2 else Stop.AFTER
        assert disturbed(zpool, scenario, number, stop) == wanted, number
