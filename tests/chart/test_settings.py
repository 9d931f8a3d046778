"""The settings in the ConfigMaps are settings for the driver's own loader."""

from pathlib import Path

import pytest

from csi_zfs.domain.sizes import GIB
from csi_zfs.settings import LogFormat, Settings, load_controller_settings, load_settings
from tests.chart.cases import CASES, DEFAULT
from tests.chart.helm import Case, Rendered, container, render

NODE = {"CSI_ZFS_NODE_ID": "node-1"}


def loaded(rendered: Rendered, directory: Path, name: str = "csi-zfs-node") -> Settings:
    file = directory / "config.toml"
    file.write_text(rendered.one("ConfigMap", name)["data"]["config.toml"], encoding="utf-8")
    return load_settings(file, NODE)


@pytest.mark.parametrize("name", CASES)
def test_driver_takes_the_settings_of_every_render(name: str, tmp_path: Path) -> None:
    rendered = render(CASES[name])
    for daemon_set in rendered.of("DaemonSet"):
        settings = loaded(rendered, tmp_path, daemon_set["metadata"]["name"])
        pod = daemon_set["spec"]["template"]["spec"]
        paths = {mount["mountPath"] for mount in container(pod, "driver")["volumeMounts"]}
        assert str(settings.kubelet_dir) in paths
        assert settings.socket_path.is_relative_to(settings.kubelet_dir / "plugins")
        # A pool in the container's own file system would be gone with it.
        assert {str(pool.path.parent) for pool in settings.pools if pool.path} <= paths
        assert settings.agent_address is not None
        assert pod["terminationGracePeriodSeconds"] > settings.shutdown_grace_s


@pytest.mark.parametrize("name", CASES)
def test_router_takes_the_settings_of_every_render(name: str, tmp_path: Path) -> None:
    rendered = render(CASES[name])
    (deployment,) = rendered.of("Deployment")
    file = tmp_path / "config.toml"
    config_map = rendered.one("ConfigMap", deployment["metadata"]["name"])
    file.write_text(config_map["data"]["config.toml"], encoding="utf-8")
    settings = load_controller_settings(file, {})
    assert settings.agents_service is not None
    assert settings.agents_service.name in rendered.names("Service")
    assert settings.forgotten_config_map is not None
    assert settings.forgotten_config_map.name in rendered.names("ConfigMap")
    pod = deployment["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > settings.shutdown_grace_s
    sockets = {
        argument.partition("=")[2]
        for item in pod["containers"]
        for argument in item["args"]
        if argument.startswith("--csi-address=")
    }
    assert sockets == {str(settings.socket_path)}


def test_no_values_give_an_embedded_pool_that_is_made(tmp_path: Path) -> None:
    (pool,) = loaded(render(DEFAULT), tmp_path).pools
    assert (pool.name, pool.size_bytes, pool.create) == ("local", 10 * GIB, True)


def test_values_reach_the_driver(tmp_path: Path) -> None:
    settings = loaded(render(CASES["settings"]), tmp_path)
    assert (settings.shutdown_grace_s, settings.rpc_threads) == (90.5, 32)
    assert settings.default_volume_size_bytes == 2 * GIB
    assert settings.log_format is LogFormat.JSON


def test_group_of_nodes_has_its_own_pools_and_nodes(tmp_path: Path) -> None:
    rendered = render(CASES["two-kinds-of-nodes"])
    (pool,) = loaded(rendered, tmp_path, "csi-zfs-node-tank").pools
    assert pool.dataset == "tank/csi"
    group = rendered.one("DaemonSet", "csi-zfs-node-tank")["spec"]["template"]["spec"]
    assert group["nodeSelector"]["csi-zfs.io/pools"] == "tank"
    others = rendered.one("DaemonSet", "csi-zfs-node")["spec"]["template"]["spec"]
    (term,) = others["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    assert term["matchExpressions"] == [{"key": "csi-zfs.io/pools", "operator": "DoesNotExist"}]


def test_second_driver_shares_no_name_and_no_directory() -> None:
    """Two drivers side by side: nothing of the cluster or of the machine is of both."""
    first, second = render(DEFAULT), render(CASES["second-driver"])
    for kind in ("CSIDriver", "ClusterRole", "ClusterRoleBinding", "StorageClass", "DaemonSet"):
        assert not first.names(kind) & second.names(kind), kind
    assert writable(first) & writable(second) == {"/dev", "/var/lib/kubelet"}


def writable(rendered: Rendered) -> set[str]:
    """The directories of the machine that the driver may write to."""
    (daemon_set,) = rendered.of("DaemonSet")
    pod = daemon_set["spec"]["template"]["spec"]
    mounted = container(pod, "driver")["volumeMounts"]
    read_only = {mount["name"] for mount in mounted if mount.get("readOnly")}
    return {
        volume["hostPath"]["path"]
        for volume in pod["volumes"]
        if "hostPath" in volume and volume["name"] not in read_only
    }


def checksum(rendered: Rendered, kind: str, name: str) -> str:
    annotations = rendered.one(kind, name)["spec"]["template"]["metadata"]["annotations"]
    return str(annotations["checksum/settings"])


@pytest.mark.parametrize(
    ("text", "restarts_node", "restarts_controller"),
    [
        ('pools=[{"name": "a", "path": "/srv/a/b"}]', True, False),
        ('node.settings={"rpc_threads": 3}', True, False),
        ('controller.settings={"rpc_threads": 3}', False, True),
        ('log.level="debug"', True, True),
        ("volumeSnapshotClasses=[]", False, False),
    ],
)
def test_changed_settings_start_what_reads_them_and_nothing_else(
    text: str, *, restarts_node: bool, restarts_controller: bool
) -> None:
    before, after = render(DEFAULT), render(Case(sets=(text,)))
    node, controller = ("DaemonSet", "csi-zfs-node"), ("Deployment", "csi-zfs-controller")
    assert (checksum(before, *node) != checksum(after, *node)) == restarts_node
    assert (checksum(before, *controller) != checksum(after, *controller)) == restarts_controller


def test_disk_that_may_not_be_mounted_is_not_made_up_for() -> None:
    """A directory that the kubelet makes would get a new, empty pool, or hide the disk's."""
    case = Case(sets=('pools=[{"name": "a", "path": "/mnt/nvme/pool"}]',))
    pod = render(case).one("DaemonSet", "csi-zfs-node")["spec"]["template"]["spec"]
    (volume,) = [volume for volume in pod["volumes"] if volume["name"].startswith("pools-")]
    assert volume["hostPath"] == {"path": "/mnt/nvme", "type": "Directory"}
