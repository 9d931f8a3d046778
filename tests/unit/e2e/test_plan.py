import dataclasses
from pathlib import Path

import pytest

from e2e.cluster.control_plane import ControlPlane
from e2e.cluster.errors import ClusterError
from e2e.cluster.layout import Layout, prepare_root, state_directory
from e2e.cluster.making import Caches, Wish, build, is_same
from e2e.cluster.plan import OPENZFS_NAME, Guest, Plan, load_plan

GUEST = Guest("/vm/system", "/vm/environment", "/cluster/disk", "/cluster/kept", 4022)
PLAN = Plan(
    native_nodes=2,
    packages="/packages",
    definitions="/definitions",
    images={"a:1": "/a/image.tar"},
    driver_image="d:1",
    driver_archive="/d/image.tar",
    etcd_port=4001,
    etcd_peer_port=4002,
    guest=GUEST,
)


@pytest.mark.parametrize("plan", [PLAN, dataclasses.replace(PLAN, guest=None)])
def test_plan_is_found_again_as_it_was_saved(plan: Plan, tmp_path: Path) -> None:
    plan.save(tmp_path / "cluster.json")
    assert load_plan(tmp_path / "cluster.json") == plan


def test_plan_that_was_never_saved_is_not_found(tmp_path: Path) -> None:
    assert load_plan(tmp_path / "cluster.json") is None


def test_plan_of_another_version_is_no_plan(tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text('{"native_nodes": 2, "guest": null, "colour": "blue"}')
    assert load_plan(tmp_path / "cluster.json") is None


def test_every_node_has_a_name_and_an_address_of_its_own(tmp_path: Path) -> None:
    nodes = PLAN.nodes(Layout(tmp_path))
    assert [node.name for node in nodes] == [OPENZFS_NAME, "node1", "node2"]
    for part in ("ip", "pods", "link", "mac"):
        assert len({getattr(node.address, part) for node in nodes}) == len(nodes)
    # Linux takes no longer name for a network device.
    assert all(len(node.address.link) <= 15 for node in nodes)


def test_plan_without_a_guest_has_native_nodes_only(tmp_path: Path) -> None:
    plan = dataclasses.replace(PLAN, guest=None, native_nodes=1)
    assert [node.name for node in plan.nodes(Layout(tmp_path))] == ["node1"]


def test_every_node_has_the_driver_beside_the_other_images() -> None:
    assert PLAN.archives() == {"a:1": Path("/a/image.tar"), "d:1": Path("/d/image.tar")}


def test_plans_are_the_same_whatever_ports_are_free_and_whatever_the_driver_is() -> None:
    guest = dataclasses.replace(GUEST, port=2, kept="/other/kept")
    other = dataclasses.replace(PLAN, etcd_port=1, driver_archive="/e/image.tar", guest=guest)
    assert is_same(PLAN, other)
    assert not is_same(PLAN, dataclasses.replace(PLAN, images={"a:1": "/other/image.tar"}))
    assert not is_same(PLAN, dataclasses.replace(PLAN, native_nodes=1))
    assert not is_same(PLAN, dataclasses.replace(PLAN, guest=None))


@pytest.mark.parametrize("native_nodes", [0, 10])
def test_cluster_of_no_nodes_or_too_many_is_refused(native_nodes: int, tmp_path: Path) -> None:
    wish = Wish(native_nodes, with_openzfs=False)
    with pytest.raises(ClusterError, match="native nodes"):
        build(wish, tmp_path, Caches(tmp_path, tmp_path, tmp_path))


def test_control_plane_finds_its_store_and_says_who_it_is(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    commands = ControlPlane(layout, PLAN).commands()
    assert "--etcd-servers=http://127.0.0.1:4001" in commands["kube-apiserver"]
    assert f"--kubeconfig={layout.secrets}/scheduler.kubeconfig" in commands["kube-scheduler"]


def test_state_lies_where_the_environment_says() -> None:
    assert state_directory({"CSI_ZFS_CLUSTER_STATE": "/a"}) == Path("/a")
    assert state_directory({}) == Path("/var/tmp/csi-zfs-cluster")


def test_state_directory_is_ours_alone(tmp_path: Path) -> None:
    prepare_root(tmp_path / "state")
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_state_directory_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """Anybody may put one where the state is kept, and it would lead root astray."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "state").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ClusterError, match="not ours"):
        prepare_root(tmp_path / "state")
