import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from csi_zfs.rpc.generated import csi_pb2
from tests.support.csi_messages import mount_capability
from tests.support.leftovers import find_leftovers, scratch_directory
from tests.support.orchestrator import Orchestrator
from tests.support.process import (
    DriverFailedError,
    RealDriver,
    driver_command,
    real_driver,
    run_command,
)

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture(name="driver")
def fixture_driver() -> Iterator[RealDriver]:
    with scratch_directory("driver-") as root, real_driver(root) as driver:
        yield driver


def test_driver_that_was_stopped_leaves_only_the_pool_mounted(driver: RealDriver) -> None:
    driver.stop()
    assert not driver.paths.socket.exists()
    assert len(find_leftovers(driver.paths.root).mounts) == 1
    driver.export_pool()
    find_leftovers(driver.paths.root, driver.paths.kubelet_dir).require_none()


def test_driver_that_was_killed_finds_what_it_had(driver: RealDriver) -> None:
    """The pool is the truth; mounts outlive the driver, and unpublish works after a restart."""
    orchestrator = Orchestrator(driver.client, driver.paths.kubelet_dir)
    volume = driver.client.create_volume("kept")
    snapshot = driver.client.create_snapshot("kept-too", volume.volume_id)
    published = orchestrator.publish("kept", volume.volume_id, mount_capability())
    driver.kill()
    assert published.target_path.is_mount()
    driver.start()
    assert [list(page) for page in driver.client.list_volumes()] == [[volume]]
    assert [list(page) for page in driver.client.list_snapshots()] == [[snapshot]]
    orchestrator.unpublish(published)
    assert not published.target_path.exists()


def test_second_driver_on_the_same_pool_is_refused_and_the_first_goes_on(
    driver: RealDriver,
) -> None:
    second = subprocess.run(
        driver_command("node", "--config", str(driver.paths.config)),
        capture_output=True,
        check=False,
        text=True,
        timeout=30,
    )
    assert second.returncode == 1, second.stderr
    assert "csi-zfs: " in second.stderr
    assert driver.client.is_ready(within_s=5)


def test_volumes_of_an_embedded_pool_are_printed_once_its_driver_has_stopped(
    driver: RealDriver,
) -> None:
    """Nobody but one process opens such a pool."""
    volume = driver.client.create_volume("pvc-1")
    words = ("adopt", "--config", str(driver.paths.config), "--output", "json")
    with pytest.raises(DriverFailedError, match="pool fast: another process of the driver owns"):
        run_command(*words)
    driver.stop()
    (printed,) = json.loads(run_command(*words, "--storage-class", "fast"))["items"]
    assert printed["metadata"]["name"] == "pvc-1"
    assert printed["spec"]["csi"] == {
        "driver": "csi-zfs.io",
        "volumeHandle": volume.volume_id,
        "fsType": "ext4",
    }
    assert printed["spec"]["capacity"] == {"storage": str(volume.capacity_bytes)}
    assert printed["spec"]["storageClassName"] == "fast"


def test_driver_that_answers_probe_has_the_socket_for_root_alone(driver: RealDriver) -> None:
    """rules.md C9."""
    assert driver.paths.socket.stat().st_mode & 0o777 == 0o600
    info = driver.client.call(driver.client.identity.GetPluginInfo, csi_pb2.GetPluginInfoRequest())
    assert info.name == "csi-zfs.io"


def test_driver_that_does_not_start_is_reported_with_its_log() -> None:
    with scratch_directory("driver-") as root, pytest.raises(DriverFailedError) as caught:
        start_with_wrong_settings(root)
    assert "ended with 2" in str(caught.value)
    assert "no_such_setting" in str(caught.value)


def start_with_wrong_settings(root: Path) -> None:
    with real_driver(root, settings={"no_such_setting": 1}):
        pytest.fail("the driver started with wrong settings")


def test_pool_that_cannot_be_opened_keeps_the_others_from_nothing() -> None:
    """rules.md B5: its loss is told, what may be on it is never "not found", the rest is served."""
    with scratch_directory("driver-") as root:
        pools = [
            {"name": "fast", "path": str(root / "pool"), "size": "2Gi"},
            {"name": "gone", "path": str(root / "gone"), "size": "2Gi"},
        ]
        with real_driver(root, settings={"pools": pools}) as driver:
            client = driver.client
            orchestrator = Orchestrator(client, driver.paths.kubelet_dir)
            volume = client.create_volume("kept", parameters={"pool": "fast"})
            published = orchestrator.publish("kept", volume.volume_id, mount_capability())
            orchestrator.unpublish(published)
            with pytest.raises(grpc.RpcError, match=r"StatusCode\.UNAVAILABLE"):
                client.create_volume("anywhere")
            health = client.call(
                client.node.NodeGetStorageHealth, csi_pb2.NodeGetStorageHealthRequest()
            )
            assert [found.reason for found in health.backend_health] == ["PoolNotOpened"]
