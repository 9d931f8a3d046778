"""The driver on OpenZFS, ended by SIGKILL at its effects and in the middle of its calls.

rules.md B1: the new driver on the same pool, called again, ends where an undisturbed one does.
"""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from tests.crash.real_rounds import CRASHING, Rounds, kept_in_use
from tests.crash.real_scene import Kept
from tests.crash.real_workflows import REAL_WORKFLOWS, RealWorkflow
from tests.support.commands import run
from tests.support.files import Stop
from tests.support.leftovers import scratch_directory
from tests.support.process import (
    DriverPaths,
    RealDriver,
    run_command,
    running_driver,
    write_settings,
)

pytestmark = [pytest.mark.deep, pytest.mark.timeout(1800)]

CHECKOUT = Path(__file__).parents[2]
POINTS = 3
# What OpenZFS's library does is no effect of the driver's own process, which dies meanwhile.
OF_THE_LIBRARY = ("create", "snapshot", "delete", "clone", "group")
KILLS = 4
LONGEST_S = 1.0
NATIVE = "io.csi-zfs:dataset,io.csi-zfs:snapshot,volsize,refquota,refreservation,volmode,userrefs"


@pytest.fixture(name="dataset", scope="module")
def fixture_dataset(zpool: str) -> str:
    """The parent of the pool."""
    dataset = f"{zpool}/csi"
    run_command("pool", "create", "tank", "--dataset", dataset)
    return dataset


@pytest.fixture(name="driver", scope="module")
def fixture_driver(dataset: str) -> Iterator[RealDriver]:
    """One driver after the other, of which each may die."""
    with scratch_directory("killed-") as root:
        paths = DriverPaths(root)
        pool = {"name": "tank", "dataset": dataset, "thin_ratio": 100}
        write_settings(paths, pool_size="", more={"pools": [pool]})
        with running_driver(paths, environment={"PYTHONPATH": str(CHECKOUT)}) as driver:
            driver.stop()
            driver.start(module=CRASHING)
            yield driver


@pytest.fixture(name="kept", scope="module")
def fixture_kept(driver: RealDriver) -> Kept:
    """Two volumes that are in use while the driver dies, again and again."""
    return kept_in_use(driver)


@pytest.fixture(name="rounds")
def fixture_rounds(
    request: pytest.FixtureRequest, driver: RealDriver, kept: Kept, dataset: str
) -> Rounds:
    """Rounds of the workflow that is asked for."""

    def on_pool(_driver: RealDriver) -> list[str]:
        run("udevadm", "settle")
        columns = ("-Hpr", "-t", "all", "-o", "name,property,value")
        return run("zfs", "get", *columns, NATIVE, f"{dataset}/v").splitlines()

    return Rounds(request.param, driver, kept, on_pool)


def workflows(*names: str) -> list[RealWorkflow]:
    """Those of these names, of each a few points."""
    return [replace(one, points=POINTS) for one in REAL_WORKFLOWS if one.name in names]


@pytest.mark.parametrize(
    "rounds",
    workflows("delete-with-snapshot", "stage", "publish", "expand", "put-away"),
    ids=str,
    indirect=True,
)
def test_call_cut_short_at_an_effect_and_repeated_ends_as_undisturbed(rounds: Rounds) -> None:
    effects, undisturbed = rounds.undisturbed()
    assert effects
    for number in rounds.workflow.sample(len(effects)):
        stop = Stop.BEFORE if number < len(effects) else Stop.AFTER
        at = min(number, len(effects) - 1)
        assert rounds.disturbed(at, stop) == undisturbed, f"{stop.value} {effects[at]}"


@pytest.mark.parametrize("rounds", workflows(*OF_THE_LIBRARY), ids=str, indirect=True)
def test_call_cut_short_at_any_moment_and_repeated_ends_as_undisturbed(rounds: Rounds) -> None:
    _, undisturbed = rounds.undisturbed()
    moments = random.Random(rounds.workflow.name)
    for number in range(KILLS):
        scene = rounds.begin(f"kill-{number}")
        with ThreadPoolExecutor(1) as threads:
            call = threads.submit(rounds.workflow.call, scene)
            threading.Event().wait(moments.uniform(0, LONGEST_S))
            rounds.driver.kill()
            with suppress(grpc.RpcError):  # it may have been faster
                call.result()
        rounds.driver.start(module=CRASHING)
        assert rounds.repeated(scene) == undisturbed
