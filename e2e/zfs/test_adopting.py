"""Datasets made by hand become volumes in place, beside a driver that serves their pool."""

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from csi_zfs.domain.sizes import MIB
from tests.support.commands import run
from tests.support.csi_messages import from_volume, mount_capability
from tests.support.leftovers import scratch_directory
from tests.support.orchestrator import Orchestrator
from tests.support.process import (
    DriverFailedError,
    DriverPaths,
    RealDriver,
    run_command,
    running_driver,
    write_settings,
)

LIMIT_S = 900
SIZE_BYTES = 64 * MIB
DATA = os.urandom(MIB)


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool with a driver that serves it, and a place where somebody mounts things by hand."""

    dataset: str
    driver: RealDriver
    mount_point: Path

    def full(self, leaf: str) -> str:
        """The whole name of a volume's dataset."""
        return f"{self.dataset}/v/{leaf}"

    def adopt(self, *words: str) -> dict[str, dict[str, object]]:
        """The PersistentVolume of one dataset."""
        config = ("--config", str(self.driver.paths.config), "--output", "json")
        printed: dict[str, dict[str, object]]
        (printed,) = json.loads(run_command("adopt", *config, *words))["items"]
        return printed

    def refuse(self, words: str, *arguments: str) -> None:
        """An adoption is refused with these words, and leaves no record."""
        with pytest.raises(DriverFailedError, match=words):
            self.adopt(*arguments)
        properties = run("zfs", "get", "-H", "-o", "value", "all", self.full(arguments[-1]))
        assert "uid" not in properties

    def read(self, printed: dict[str, dict[str, object]], fs_type: str) -> bytes:
        """Its data, as a pod has it."""
        source = printed["spec"]["csi"]
        assert isinstance(source, dict)
        assert source["fsType"] == fs_type
        orchestrator = Orchestrator(self.driver.client, self.driver.paths.kubelet_dir)
        name = str(printed["metadata"]["name"])
        capability = mount_capability(fs_type)
        published = orchestrator.publish(name, source["volumeHandle"], capability)
        found = (published.target_path / "file").read_bytes()
        orchestrator.unpublish(published)
        return found

    @contextmanager
    def mounted(self, *words: str) -> Iterator[Path]:
        """Something is mounted by hand."""
        run("mount", *words, str(self.mount_point))
        try:
            yield self.mount_point
        finally:
            run("umount", str(self.mount_point))


@pytest.fixture(name="pool")
def fixture_pool(zpool: str) -> Iterator[Pool]:
    dataset = f"{zpool}/{uuid.uuid4().hex[:12]}"
    run_command("pool", "create", "tank", "--dataset", dataset)
    with scratch_directory("adopting-") as root:
        paths = DriverPaths(root)
        settings = {"pools": [{"name": "tank", "dataset": dataset, "thin_ratio": 10}]}
        write_settings(paths, pool_size="", more=settings)
        (root / "by-hand").mkdir()
        with running_driver(paths) as driver:
            yield Pool(dataset, driver, root / "by-hand")


@pytest.mark.timeout(LIMIT_S)
def test_zvol_made_by_hand_is_a_volume_with_its_data(pool: Pool) -> None:
    """rules.md A4: it is not formatted, and not taken while somebody has it mounted."""
    full_name = pool.full("database")
    run("zfs", "create", "-s", "-V", str(SIZE_BYTES), "-o", "compression=lz4", full_name)
    run("udevadm", "settle")
    run("mkfs.ext4", "-q", f"/dev/zvol/{full_name}")
    with pool.mounted(f"/dev/zvol/{full_name}") as by_hand:
        (by_hand / "file").write_bytes(DATA)
        pool.refuse("is in use", "--fs-type", "ext4", "database")
    pool.refuse("say whether it holds block or ext4 or xfs", "database")
    run("udevadm", "settle")
    pool.adopt("--fs-type", "ext4", "--dry-run", "database")
    assert run("zfs", "get", "-H", "-o", "source", "io.csi-zfs:dataset", full_name).strip() == "-"

    printed = pool.adopt("--fs-type", "ext4", "database")
    assert pool.adopt("--fs-type", "ext4", "database") == printed
    assert pool.read(printed, "ext4") == DATA
    client = pool.driver.client
    assert [one.volume_id for page in client.list_volumes() for one in page] == [
        str(handle_of(printed))
    ]
    clone = client.create_volume(
        "copy",
        size_bytes=SIZE_BYTES,
        capability=mount_capability("ext4"),
        source=from_volume(handle_of(printed)),
    )
    compression = run("zfs", "get", "-H", "-o", "value,source", "compression", pool.full("copy"))
    assert compression.split() == ["lz4", "local"]
    client.delete_volume(handle_of(printed))
    client.delete_volume(clone.volume_id)
    assert run("zfs", "list", "-H", "-o", "name", "-r", f"{pool.dataset}/v").split() == [
        f"{pool.dataset}/v"
    ]


def handle_of(printed: dict[str, dict[str, object]]) -> str:
    source = printed["spec"]["csi"]
    assert isinstance(source, dict)
    return str(source["volumeHandle"])


@pytest.mark.timeout(LIMIT_S)
def test_file_system_brought_by_a_rename_is_a_volume_with_its_data(pool: Pool, zpool: str) -> None:
    """Snapshots that somebody took of it are not the driver's."""
    mine, full_name = f"{zpool}/{uuid.uuid4().hex[:12]}", pool.full("photos")
    run("zfs", "create", "-o", f"mountpoint={pool.mount_point}", mine)
    (pool.mount_point / "file").write_bytes(DATA)
    run("zfs", "snapshot", f"{mine}@by-hand")
    run("zfs", "rename", mine, full_name)
    pool.refuse(f"run `zfs set refquota=SIZE {full_name}`", "photos")
    run("zfs", "set", f"refquota={SIZE_BYTES}", full_name)
    pool.refuse("is mounted: run `zfs unmount", "photos")
    run("zfs", "unmount", full_name)

    printed = pool.adopt("photos")
    assert printed["spec"]["capacity"] == {"storage": str(SIZE_BYTES)}
    place = run("zfs", "get", "-H", "-o", "value", "mountpoint", full_name).strip()
    assert place == "legacy"
    assert pool.read(printed, "zfs") == DATA
    assert [list(page) for page in pool.driver.client.list_snapshots()] == [[]]
    larger = pool.driver.client.expand_volume(handle_of(printed), 2 * SIZE_BYTES)
    assert larger.capacity_bytes == 2 * SIZE_BYTES
    run("zfs", "destroy", f"{full_name}@by-hand")
    pool.driver.client.delete_volume(handle_of(printed))


@pytest.mark.timeout(LIMIT_S)
def test_dataset_that_is_no_good_as_a_volume_is_refused_with_what_to_do(
    pool: Pool, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_bytes(os.urandom(32))
    encrypted = ("-o", "encryption=on", "-o", "keyformat=raw", "-o", f"keylocation=file://{key}")
    size = ("-o", f"refquota={SIZE_BYTES}")
    run("zfs", "create", *encrypted, *size, pool.full("secret"))
    run("zfs", "create", *size, pool.full("tree"))
    run("zfs", "create", pool.full("tree/below"))
    run("zfs", "snapshot", pool.full("tree@s"))
    run("zfs", "clone", *size, pool.full("tree@s"), pool.full("copy"))
    run("zfs", "create", "-s", "-V", str(SIZE_BYTES), "-o", "volmode=full", pool.full("disk"))
    pool.refuse("is encrypted", "secret")
    pool.refuse("has datasets below it", "tree")
    pool.refuse(f"run `zfs promote {pool.full('copy')}`", "copy")
    pool.refuse(f"run `zfs inherit volmode {pool.full('disk')}`", "--fs-type", "block", "disk")
