"""A pool, a driver, and who it says that it is."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from csi_zfs.rpc.generated import csi_pb2
from e2e.demo.scene import Scene
from e2e.demo.table import StepTable
from tests.support.orchestrator import Orchestrator
from tests.support.process import real_driver

_POOL_SIZE = "4Gi"


@contextmanager
def begun(root: Path, steps: StepTable) -> Iterator[Scene]:
    """A driver on a new pool below `root`, for the length of a `with` block."""
    with ExitStack() as stack:
        with steps.step("make a pool, start the driver") as say:
            driver = stack.enter_context(real_driver(root, pool_size=_POOL_SIZE))
            say(f"{_POOL_SIZE} of files on a loop device; the driver is process {driver.pid}")
        scene = Scene(driver, Orchestrator(driver.client, driver.paths.kubelet_dir), steps)
        _introduce(scene)
        yield scene


def _introduce(scene: Scene) -> None:
    client = scene.client
    with scene.steps.step("ask it who it is") as say:
        info = client.call(client.identity.GetPluginInfo, csi_pb2.GetPluginInfoRequest())
        controller = client.call(
            client.controller.ControllerGetCapabilities,
            csi_pb2.ControllerGetCapabilitiesRequest(),
        )
        node = client.call(client.node.NodeGetInfo, csi_pb2.NodeGetInfoRequest())
        topology = ", ".join("=".join(item) for item in node.accessible_topology.segments.items())
        say(
            f"{info.name} {info.vendor_version} at {topology},"
            f" {len(controller.capabilities)} controller capabilities"
        )
