"""A driver with a pool of its own on a zpool, behind its socket, and what tests ask around it.

It is served by the process of the tests: under emulation a process of its own takes half a minute
to start.  Those that end it have one.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from csi_zfs.app import Engines
from csi_zfs.app.openzfs import OpenZfs
from csi_zfs.domain.ids import VolumeId
from csi_zfs.mount.linux import LinuxMounter
from csi_zfs.rpc.generated import csi_pb2
from csi_zfs.rpc.metrics import Metrics
from csi_zfs.settings import PoolSettings, Settings
from csi_zfs.system.clock import SystemClock
from csi_zfs.system.files import Files
from csi_zfs.system.runner import SystemRunner
from csi_zfs.system.state_files import StateDirectory
from tests.support.commands import run
from tests.support.csi_client import CsiClient
from tests.support.leftovers import find_leftovers, scratch_directory
from tests.support.orchestrator import Orchestrator, PublishedVolume
from tests.support.served import served_driver

POOL = "tank"
_READY_S = 30.0
_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class ZfsNode:
    """A node whose driver serves one pool, below `dataset`; all else is below `root`."""

    client: CsiClient
    orchestrator: Orchestrator
    root: Path
    dataset: str

    @property
    def kubelet_dir(self) -> Path:
        """Where volumes are mounted."""
        return self.root / "kubelet"

    @property
    def zpool_name(self) -> str:
        """The zpool of its pool."""
        return self.dataset.partition("/")[0]

    def dataset_of(self, volume_id: str) -> str:
        """The whole name of a volume's dataset."""
        return f"{self.dataset}/v/{VolumeId.parse(volume_id).leaf}"

    def published(
        self, name: str, capability: csi_pb2.VolumeCapability, size_bytes: int
    ) -> PublishedVolume:
        """A new volume, in use."""
        volume = self.client.create_volume(name, size_bytes=size_bytes, capability=capability)
        return self.orchestrator.publish(name, volume.volume_id, capability)

    def published_copy(
        self,
        name: str,
        source: csi_pb2.VolumeContentSource,
        capability: csi_pb2.VolumeCapability,
    ) -> PublishedVolume:
        """A new volume with the content of another one, in use."""
        volume = self.client.create_volume(name, capability=capability, source=source)
        return self.orchestrator.publish(name, volume.volume_id, capability)

    def findings(self) -> dict[str, str]:
        """What the driver says is wrong with its pool: reasons, and words."""
        request = csi_pb2.NodeGetStorageHealthRequest()
        health = self.client.call(self.client.node.NodeGetStorageHealth, request)
        return {found.reason: found.message for found in health.backend_health}

    def names(self) -> list[str]:
        """All datasets and snapshots of the pool."""
        listed = run("zfs", "list", "-H", "-r", "-t", "all", "-o", "name", f"{self.dataset}/v")
        return listed.split()[1:]

    def require_empty(self) -> None:
        """Raise unless nothing is left in the pool, of mounts, or of what the driver notes."""
        assert self.names() == []
        find_leftovers(self.root, self.kubelet_dir, self.root / "state").require_none()


@contextmanager
def zfs_node(zpool_name: str) -> Iterator[ZfsNode]:
    """Make a pool on a zpool, and serve it; the pool goes with the zpool."""
    with scratch_directory("node-") as root:
        pool = PoolSettings(POOL, dataset=f"{zpool_name}/{root.name}", thin_ratio=100)
        settings = Settings(
            pools=(pool,),
            node_id="this-node",
            socket_path=root / "csi.sock",
            kubelet_dir=root / "kubelet",
            state_dir=root / "state",
        )
        settings.kubelet_dir.mkdir()
        with served(settings), CsiClient(settings.socket_path, timeout_s=_LIMIT_S) as client:
            assert client.is_ready(within_s=_READY_S)
            orchestrator = Orchestrator(client, settings.kubelet_dir)
            yield ZfsNode(client, orchestrator, root, pool.dataset)


@contextmanager
def served(settings: Settings) -> Iterator[None]:
    """A driver on its pools, which are made where there are none, behind its socket."""
    runner, metrics = SystemRunner(), Metrics()
    with closing(OpenZfs(runner, SystemClock())) as openzfs:
        for pool in settings.pools:
            openzfs.create(pool.dataset)
        engines = Engines(
            pools=[openzfs.open(pool) for pool in settings.pools],
            mounter=LinuxMounter(runner, root=settings.kubelet_dir),
            state_store=StateDirectory(settings.state_dir, Files()),
            observe_extents=metrics.observe_extents,
        )
        with served_driver(settings, engines, metrics):
            yield


@contextmanager
def refused(code: grpc.StatusCode, words: str = ".") -> Iterator[None]:
    """The call in the block ends with this code, and with these words (an expression)."""
    with pytest.raises(grpc.RpcError, match=words) as caught:
        yield
    assert caught.value.code() is code, str(caught.value)


def outcome_of(call: Callable[[], object]) -> grpc.StatusCode:
    """How a call of the client ends."""
    try:
        call()
    except grpc.RpcError as exc:
        return exc.code()
    return grpc.StatusCode.OK


def property_of(dataset_name: str, name: str) -> str:
    """The value of one native property."""
    return run("zfs", "get", "-Hp", "-o", "value", name, dataset_name).strip()
