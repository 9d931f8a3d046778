"""Both roles as processes: a router, and the driver of a node with a pool of its own making."""

from collections.abc import Iterator

import grpc
import pytest

from csi_zfs.rpc.generated import pluginregistration_pb2 as registration
from csi_zfs.rpc.generated import pluginregistration_pb2_grpc as registration_grpc
from tests.support.csi_messages import from_snapshot, mount_capability
from tests.support.leftovers import find_leftovers, scratch_directory
from tests.support.orchestrator import Orchestrator
from tests.support.process import DriverPaths, RealDriver, running_driver, write_settings
from tests.support.real_router import Link, real_router

pytestmark = [pytest.mark.root, pytest.mark.slow]
LIMIT_S = 30


@pytest.fixture(name="link")
def fixture_link() -> Iterator[Link]:
    with scratch_directory("router-") as root:
        yield Link(root)


@pytest.fixture(name="node")
def fixture_node(link: Link) -> Iterator[RealDriver]:
    """A driver that makes its own pool and registers itself."""
    paths = DriverPaths(link.root)
    (link.root / "plugins_registry").mkdir()
    more = {
        **link.node_settings(),
        "registration_dir": str(link.root / "plugins_registry"),
        "pools": [{"name": "fast", "path": str(paths.pool), "size": "2Gi", "create": True}],
    }
    write_settings(paths, pool_size="2Gi", more=more)
    with running_driver(paths) as driver:
        yield driver


@pytest.fixture(name="router")
def fixture_router(link: Link, node: RealDriver) -> Iterator[RealDriver]:
    with real_router(link) as router:
        yield router


def test_volume_lives_through_the_router_and_the_node(router: RealDriver, node: RealDriver) -> None:
    client, orchestrator = router.client, Orchestrator(node.client, node.paths.kubelet_dir)
    volume = client.create_volume("pvc-1")
    published = orchestrator.publish("pvc-1", volume.volume_id, mount_capability())
    (published.target_path / "file").write_text("kept")
    snapshot = client.create_snapshot("snap-1", volume.volume_id)
    orchestrator.unpublish(published)
    restored = client.create_volume("pvc-2", source=from_snapshot(snapshot.snapshot_id))
    shown = orchestrator.publish("pvc-2", restored.volume_id, mount_capability())
    assert (shown.target_path / "file").read_text() == "kept"
    orchestrator.unpublish(shown)
    for volume_id in (volume.volume_id, restored.volume_id):
        client.delete_volume(volume_id)
    client.delete_snapshot(snapshot.snapshot_id)
    assert list(client.list_volumes()) == [[]]


def test_node_that_was_killed_is_away_and_then_has_what_it_had(
    router: RealDriver, node: RealDriver
) -> None:
    """rules.md A5."""
    volume = router.client.create_volume("pvc-1")
    node.kill()
    with pytest.raises(grpc.RpcError, match=r"StatusCode\.UNAVAILABLE"):
        router.client.delete_volume(volume.volume_id)
    node.start()
    while True:
        try:
            assert list(router.client.list_volumes()) == [[volume]]
            break
        except grpc.RpcError as exc:  # gRPC is still waiting before it connects again
            assert exc.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017 - each time


def test_pool_that_is_made_at_the_first_start_is_kept_at_the_next(
    node: RealDriver, link: Link
) -> None:
    volume = node.client.create_volume("pvc-1")
    node.stop()
    node.start()
    assert [list(page) for page in node.client.list_volumes()] == [[volume]]
    node.client.delete_volume(volume.volume_id)
    node.stop()
    node.export_pool()
    find_leftovers(link.root, node.paths.kubelet_dir).require_none()


def test_node_tells_the_kubelet_of_itself_while_it_serves(node: RealDriver, link: Link) -> None:
    path = link.root / "plugins_registry" / "csi-zfs.io-reg.sock"
    options = (("grpc.default_authority", "localhost"),)
    with grpc.insecure_channel(f"unix://{path}", options) as channel:
        stub = registration_grpc.RegistrationStub(channel)
        # It is there a moment after the driver says that it is ready.
        info = stub.GetInfo(registration.InfoRequest(), timeout=LIMIT_S, wait_for_ready=True)
    assert (info.name, info.endpoint) == ("csi-zfs.io", str(node.paths.socket))
    node.stop()
    assert not path.exists()
