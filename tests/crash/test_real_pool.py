"""The real driver on a real pool, ended by SIGKILL at its effects and while workloads go on.

rules.md B1: the new driver on the same pool, called again, ends where an undisturbed one does.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.demo.writers import CounterWriter, are_of_one_instant, read_counter
from tests.crash.real_rounds import CRASHING, Rounds, kept_in_use
from tests.crash.real_scene import LARGER_XFS_BYTES, XFS_BYTES, Kept
from tests.crash.real_workflows import REAL_WORKFLOWS, RealWorkflow
from tests.crash.real_world import on_embedded_pool, seen_of
from tests.support.csi_messages import from_snapshot, mount_capability
from tests.support.files import Stop
from tests.support.leftovers import scratch_directory
from tests.support.orchestrator import Orchestrator
from tests.support.process import RealDriver, real_driver

pytestmark = [pytest.mark.root, pytest.mark.slow]

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(name="driver")
def fixture_driver() -> Iterator[RealDriver]:
    environment = {"PYTHONPATH": str(CHECKOUT)}
    with (
        scratch_directory("crash-") as root,
        real_driver(root, environment=environment) as driver,
    ):
        yield driver


@pytest.fixture(name="kept")
def fixture_kept(driver: RealDriver) -> Kept:
    """Two volumes that are in use while the driver dies, again and again."""
    return kept_in_use(driver)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("workflow", REAL_WORKFLOWS, ids=str)
def test_call_cut_short_by_sigkill_and_repeated_ends_as_undisturbed(
    workflow: RealWorkflow, driver: RealDriver, kept: Kept
) -> None:
    driver.stop()
    driver.start(module=CRASHING)
    rounds = Rounds(workflow, driver, kept, on_embedded_pool)
    effects, undisturbed = rounds.undisturbed()
    assert effects
    for number in workflow.sample(len(effects)):
        stop = Stop.BEFORE if number < len(effects) else Stop.AFTER
        at = min(number, len(effects) - 1)
        assert rounds.disturbed(at, stop) == undisturbed, f"{stop.value} {effects[at]}"
    driver.stop()
    driver.start()
    assert rounds.seen("nothing") == rounds.before


def test_workload_writes_on_while_driver_is_killed_and_every_call_works_after_it(
    driver: RealDriver,
) -> None:
    client = driver.client
    orchestrator = Orchestrator(client, driver.paths.kubelet_dir)
    xfs = mount_capability("xfs")
    volume = client.create_volume("written", size_bytes=XFS_BYTES, capability=xfs)
    published = orchestrator.publish("written", volume.volume_id, xfs)
    with CounterWriter([published.target_path / name for name in ("a", "b")]) as writer:
        writer.wait_for_more(10)
        driver.kill()
        writer.wait_for_more(10)
        driver.start()
        assert client.stats(volume.volume_id, published.target_path)[0].used > 0
        assert orchestrator.expand(published, LARGER_XFS_BYTES) == LARGER_XFS_BYTES
        snapshot = client.create_snapshot("written", volume.volume_id)
        # Whatever the new driver did: the workload noticed nothing.
        writer.wait_for_more(10)
    orchestrator.unpublish(published)
    client.delete_volume(volume.volume_id)
    restored = client.create_volume(
        "restored", capability=xfs, source=from_snapshot(snapshot.snapshot_id)
    )
    again = orchestrator.publish("restored", restored.volume_id, xfs)
    counts = [read_counter(again.target_path / name) for name in ("a", "b")]
    assert are_of_one_instant(counts)
    assert counts[0] > 0
    orchestrator.unpublish(again)
    client.delete_volume(restored.volume_id)
    client.delete_snapshot(snapshot.snapshot_id)
    left = seen_of(driver, "<no token>", on_embedded_pool(driver))
    assert "written" not in "".join(left)
