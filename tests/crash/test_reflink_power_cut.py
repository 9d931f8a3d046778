"""The power goes: what the pool's file system had not on the disk is lost, at any moment.

The file system is shut down without its log (XFS_IOC_GOINGDOWN), unmounted and mounted again, so
that only what was durable comes back.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from csi_zfs.domain.sizes import MIB
from csi_zfs.reflink.datasets import ReflinkDatasets
from csi_zfs.reflink.place import Tools
from csi_zfs.reflink.pools import export_pool, open_pool
from tests.crash.reflink_scenarios import SCENARIOS, Scenario
from tests.support.files import CrashError, CrashingFiles, Effects, Stop
from tests.support.reflink import contents_of, pool_path, shut_down

pytestmark = [pytest.mark.root, pytest.mark.slow]
SIZE_BYTES = 320 * MIB
# Each of the others does what one of these does.
CUT_ANYWHERE = {
    "create",
    "thick larger clone of a snapshot",
    "snapshots of a group",
    "retire",
    "destroy of a snapshot",
    "resize",
}


@contextmanager
def opened(path: Path, effects: Effects | None = None) -> Iterator[ReflinkDatasets]:
    tools = Tools(files=CrashingFiles(effects or Effects()))
    datasets = open_pool(path, name="pool", tools=tools)
    try:
        yield datasets
    finally:
        datasets.close()


def cut_power(path: Path) -> None:
    shut_down(path / "mnt")
    export_pool(path)


def act(path: Path, scenario: Scenario, effects: Effects) -> None:
    """Do the operation on what is durable; only its own effects count."""
    stop_at, effects.stop_at = effects.stop_at, None
    with opened(path, effects) as datasets:
        scenario.prepare(datasets)
        effects.done.clear()
        effects.stop_at = stop_at
        scenario.act(datasets)


def undisturbed(tmp_path: Path, scenario: Scenario) -> tuple[int, dict[str, object]]:
    effects = Effects()
    with pool_path(tmp_path, size_bytes=SIZE_BYTES, name="undisturbed") as path:
        act(path, scenario, effects)
        return len(effects.done), contents_of(path / "mnt")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda it: it.name)
def test_operation_that_has_returned_survives_a_power_cut(
    tmp_path: Path, scenario: Scenario
) -> None:
    """Every operation is durable when it returns; only leftovers in `t/` may come back."""
    _, after = undisturbed(tmp_path, scenario)
    with pool_path(tmp_path, size_bytes=SIZE_BYTES) as path:
        act(path, scenario, Effects())
        cut_power(path)
        with opened(path) as datasets:
            assert contents_of(path / "mnt") == after
            assert datasets.health() == ()


@pytest.mark.parametrize(
    "scenario",
    [scenario for scenario in SCENARIOS if scenario.name in CUT_ANYWHERE],
    ids=lambda it: it.name,
)
def test_operation_during_which_the_power_goes_can_be_repeated(
    tmp_path: Path, scenario: Scenario
) -> None:
    """rules.md B1."""
    number_of_effects, after = undisturbed(tmp_path, scenario)
    for number in range(number_of_effects):
        with pool_path(tmp_path, size_bytes=SIZE_BYTES, name=str(number)) as path:
            effects = Effects(number, Stop.AFTER)
            with pytest.raises(CrashError):
                act(path, scenario, effects)
            assert effects.was_reached
            cut_power(path)
            with opened(path) as datasets:
                scenario.act(datasets)
                assert contents_of(path / "mnt") == after, effects.done
                assert datasets.health() == ()


def test_power_cut_scenarios_exist() -> None:
    assert {scenario.name for scenario in SCENARIOS} >= CUT_ANYWHERE
