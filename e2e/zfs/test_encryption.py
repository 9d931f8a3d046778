"""Encrypted volumes through the driver as a process: keys in the kernel, and nowhere else."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import grpc
import pytest

from csi_zfs.domain.sizes import GIB, MIB
from csi_zfs.rpc.generated import csi_pb2
from tests.support.commands import run
from tests.support.csi_messages import (
    block_capability,
    from_snapshot,
    from_volume,
    mount_capability,
)
from tests.support.leftovers import scratch_directory
from tests.support.orchestrator import Orchestrator, PublishedVolume
from tests.support.process import (
    DriverPaths,
    RealDriver,
    running_driver,
    write_settings,
)

LIMIT_S = 900
KEY, OTHER_KEY = "canary-of-a-key-that-nobody-may-see", "another-canary-of-a-key-of-32-bytes"
CLASS = {"pool": "tank", "encryption": "on"}
EXT4, ZFS, BLOCK = mount_capability("ext4"), mount_capability(), block_capability()
CONTENT = b"something that is known" * 100


@pytest.fixture(name="driver")
def fixture_driver(dataset: str) -> Iterator[RealDriver]:
    """A driver on that pool, to which the Secret of its class is sent."""
    with scratch_directory("encryption-") as root:
        paths = DriverPaths(root)
        pool = {"name": "tank", "dataset": dataset, "thin_ratio": 10}
        write_settings(paths, pool_size="", more={"pools": [pool]})
        with running_driver(paths) as driver:
            driver.client.secrets = {"encryptionKey": KEY}
            yield driver


@pytest.fixture(name="orchestrator")
def fixture_orchestrator(driver: RealDriver) -> Orchestrator:
    return Orchestrator(driver.client, driver.paths.kubelet_dir)


def statuses(dataset: str) -> dict[str, str]:
    """Whether the keys of volumes are loaded, by name; clones share those of their origin."""
    shown = run(
        *("zfs", "get", "-Hp", "-r", "-t", "filesystem,volume", "-o", "name,value"),
        *("keystatus", f"{dataset}/v"),
    )
    rows = [line.split("\t") for line in shown.splitlines()]
    return {name.rpartition("/")[2]: value for name, value in rows if name != f"{dataset}/v"}


def refusal(driver: RealDriver, secrets: Mapping[str, str], volume_id: str, path: Path) -> str:
    """What a stage with these secrets is told; it is refused as a failed precondition."""
    driver.client.secrets = secrets
    with pytest.raises(grpc.RpcError) as caught:
        driver.client.stage(volume_id, path, EXT4)
    driver.client.secrets = {"encryptionKey": KEY}
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    return str(caught.value.details())


def write(volume: PublishedVolume) -> None:
    if volume.target_path.is_dir():
        (volume.target_path / "file").write_bytes(CONTENT)
        return
    with volume.target_path.open("r+b") as device:
        device.write(CONTENT)


def read(volume: PublishedVolume) -> bytes:
    if volume.target_path.is_dir():
        return (volume.target_path / "file").read_bytes()
    with volume.target_path.open("rb") as device:
        return device.read(len(CONTENT))


@pytest.mark.timeout(LIMIT_S)
@pytest.mark.parametrize("capability", [EXT4, ZFS, BLOCK], ids=["ext4", "zfs", "block"])
def test_encrypted_volume_lives_with_its_secret_and_copies_share_it(
    driver: RealDriver,
    orchestrator: Orchestrator,
    dataset: str,
    capability: csi_pb2.VolumeCapability,
) -> None:
    """rules.md A3, C5: through a kill -9, a copy that is larger, and a delete of the first."""
    client = driver.client
    volume = client.create_volume("a", size_bytes=64 * MIB, capability=capability, parameters=CLASS)
    assert statuses(dataset) == {"a": "unavailable"}
    first = orchestrator.publish("a", volume.volume_id, capability)
    write(first)
    snapshot = client.create_snapshot("s", volume.volume_id)
    driver.kill()
    driver.start()
    copy = client.create_volume(
        "c",
        size_bytes=GIB,
        capability=capability,
        parameters=CLASS,
        source=from_snapshot(snapshot.snapshot_id),
    )
    second = orchestrator.publish("c", copy.volume_id, capability)
    assert read(first) == read(second) == CONTENT
    orchestrator.unpublish(first)
    assert set(statuses(dataset).values()) == {"available"}
    client.delete_volume(volume.volume_id)
    orchestrator.unpublish(second)
    assert set(statuses(dataset).values()) == {"unavailable"}
    assert client.expand_volume(copy.volume_id, 2 * GIB).capacity_bytes == 2 * GIB
    assert set(statuses(dataset).values()) == {"unavailable"}
    assert read(orchestrator.publish("c", copy.volume_id, capability)) == CONTENT
    orchestrator.unpublish(orchestrator.published["c"])
    client.delete_snapshot(snapshot.snapshot_id)
    client.delete_volume(copy.volume_id)
    run("udevadm", "settle")
    assert statuses(dataset) == {}
    assert KEY not in driver.paths.log.read_text()


@pytest.mark.timeout(LIMIT_S)
def test_key_that_is_missing_wrong_or_rotated(
    driver: RealDriver, orchestrator: Orchestrator, dataset: str
) -> None:
    """rules.md C5: refused in words that name the field; a rotation ends at the next stage."""
    client = driver.client
    volume = client.create_volume("a", size_bytes=64 * MIB, capability=EXT4, parameters=CLASS)
    path = orchestrator.pod_directory("refused")
    assert "encryptionKey" in refusal(driver, {}, volume.volume_id, path)
    assert "v/a" in refusal(driver, {"encryptionKey": OTHER_KEY}, volume.volume_id, path)
    assert statuses(dataset) == {"a": "unavailable"}

    write(orchestrator.publish("a", volume.volume_id, EXT4))
    # The key is loaded, and a wrong one is told from it all the same.
    copy = client.create_volume(
        "c",
        size_bytes=64 * MIB,
        capability=EXT4,
        source=from_volume(volume.volume_id),
    )
    assert "v/c" in refusal(driver, {"encryptionKey": OTHER_KEY}, copy.volume_id, path)
    orchestrator.unpublish(orchestrator.published["a"])
    assert set(statuses(dataset).values()) == {"unavailable"}

    client.secrets = {"encryptionKey": OTHER_KEY, "previousEncryptionKey": KEY}
    assert read(orchestrator.publish("c", copy.volume_id, EXT4)) == CONTENT
    orchestrator.unpublish(orchestrator.published["c"])
    client.secrets = {"encryptionKey": OTHER_KEY}
    assert read(orchestrator.publish("a", volume.volume_id, EXT4)) == CONTENT
    orchestrator.unpublish(orchestrator.published["a"])
    assert "v/a" in refusal(driver, {"encryptionKey": KEY}, volume.volume_id, path)
    _require_seen_nowhere(driver, dataset)
    client.delete_volume(volume.volume_id)
    client.delete_volume(copy.volume_id)
    run("udevadm", "settle")
    assert statuses(dataset) == {}


def _require_seen_nowhere(driver: RealDriver, dataset: str) -> None:
    """No key is in the log, in the node's state, in a property, or in how a process was called."""
    files = [path for path in driver.paths.state_dir.rglob("*") if path.is_file()]
    calls = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
    texts = [
        driver.paths.log.read_bytes(),
        *(path.read_bytes() for path in files),
        *calls,
        run("zfs", "get", "-Hp", "-r", "all", dataset).encode(),
        run("zpool", "history", "-il", dataset.partition("/")[0]).encode(),
    ]
    for key in (KEY, OTHER_KEY):
        assert not any(key.encode() in text for text in texts)
