"""What files and variables make of the settings, and which mistakes are told, all at once."""

import os
from pathlib import Path

import pytest

from csi_zfs.domain.ids import MAX_POOL_PARENT_BYTES
from csi_zfs.domain.sizes import GIB
from csi_zfs.settings import Address, LogFormat, LogLevel, PoolSettings, Settings, load_settings
from tests.unit.settings.support import problems_of, write

ONE_POOL = '[[pools]]\nname = "fast"\npath = "/srv/fast"\n'
ONLY_POOL = PoolSettings("fast", Path("/srv/fast"))
WHOLE_TOML = """
driver_name = "disks.example.com"
endpoint = "unix:///run/disks/csi.sock"
node_id = "worker-7"
topology_key = "disks.example.com/host"
kubelet_dir = "/data/kubelet"
state_dir = "/run/disks"
default_volume_size = "2Gi"
freeze_limit_s = 2
command_timeout_s = 30.5
shutdown_grace_s = 5
rpc_threads = 8
metrics_address = "127.0.0.1:9808"
log_format = "json"
log_level = "debug"
[[pools]]
name = "fast"
path = "/srv/fast"
size = "100Gi"
thin_ratio = 2
reserve_percent = 0
[[pools]]
name = "slow"
path = "/srv/slow"
[[pools]]
name = "tank"
dataset = "tank/csi"
thin_ratio = 3
"""
WHOLE_YAML = """
driver_name: disks.example.com
endpoint: /run/disks/csi.sock
node_id: worker-7
topology_key: disks.example.com/host
kubelet_dir: /data/kubelet
state_dir: /run/disks
default_volume_size: 2147483648
freeze_limit_s: 2
command_timeout_s: 30.5
shutdown_grace_s: 5
rpc_threads: 8
metrics_address: 127.0.0.1:9808
log_format: json
log_level: debug
pools:
- {name: fast, path: //srv/fast/, size: 100Gi, thin_ratio: 2, reserve_percent: 0}
- name: slow
  path: /srv/slow
- {name: tank, dataset: tank/csi, thin_ratio: 3}
"""
WHOLE = Settings(
    driver_name="disks.example.com",
    socket_path=Path("/run/disks/csi.sock"),
    node_id="worker-7",
    topology_key="disks.example.com/host",
    kubelet_dir=Path("/data/kubelet"),
    state_dir=Path("/run/disks"),
    default_volume_size_bytes=2 * GIB,
    freeze_limit_s=2.0,
    command_timeout_s=30.5,
    shutdown_grace_s=5.0,
    rpc_threads=8,
    metrics_address=Address("127.0.0.1", 9808),
    log_format=LogFormat.JSON,
    log_level=LogLevel.DEBUG,
    pools=(
        PoolSettings("fast", Path("/srv/fast"), 100 * GIB, thin_ratio=2.0, reserve_percent=0),
        PoolSettings("slow", Path("/srv/slow")),
        PoolSettings("tank", dataset="tank/csi", thin_ratio=3.0),
    ),
)


@pytest.mark.parametrize(("suffix", "text"), [("toml", WHOLE_TOML), ("yaml", WHOLE_YAML)])
def test_load_settings_reads_every_key(tmp_path: Path, suffix: str, text: str) -> None:
    assert load_settings(write(tmp_path, text, suffix), {}) == WHOLE


def test_load_settings_without_a_key_takes_its_default(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, ONE_POOL), {})

    assert settings == Settings(pools=(ONLY_POOL,))
    assert settings.driver_name == "csi-zfs.io"
    assert settings.socket_path == Path("/run/csi-zfs/csi.sock")
    assert settings.node_id == os.uname().nodename
    assert settings.default_volume_size_bytes == GIB
    assert (ONLY_POOL.size_bytes, ONLY_POOL.thin_ratio, ONLY_POOL.reserve_percent) == (None, 4, 5)


def test_load_settings_puts_variables_over_the_file(tmp_path: Path) -> None:
    """A wrong value in the file does not count either."""
    environ = {
        "CSI_ZFS_NODE_ID": "17",
        "CSI_ZFS_RPC_THREADS": "4",
        "CSI_ZFS_FREEZE_LIMIT_S": "0.5",
        "CSI_ZFS_DEFAULT_VOLUME_SIZE": "3Gi",
        "CSI_ZFS_METRICS_ADDRESS": "localhost:80",
        "HOME": "/root",
    }

    settings = load_settings(write(tmp_path, "rpc_threads = 'many'\n" + ONE_POOL), environ)

    assert settings == Settings(
        pools=(ONLY_POOL,),
        node_id="17",
        rpc_threads=4,
        freeze_limit_s=0.5,
        default_volume_size_bytes=3 * GIB,
        metrics_address=Address("localhost", 80),
    )


def test_load_settings_reads_the_environment_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CSI_ZFS_NODE_ID", "worker-9")

    assert load_settings(write(tmp_path, ONE_POOL)).node_id == "worker-9"


def test_load_settings_without_a_file_misses_the_pools() -> None:
    (problem,) = problems_of(None)

    assert str(problem) == (
        "settings: pools: must be a list of at least one table with a name, and a path (an embedded"
        " pool) or a dataset (OpenZFS)"
    )


def test_load_settings_tells_every_mistake_with_its_line(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """driver_nam = "disks.example.com"
rpc_threads = "16"

[[pools]]
name = "fast"
path = "srv/fast"

[[pools]]
name = "slow"
size = "10Xi"
colour = "red"
""",
    )

    found = problems_of(path, {"CSI_ZFS_LOG_LEVEL": "loud", "CSI_ZFS_LOGFORMAT": "json"})

    assert [(problem.source, problem.line, problem.where) for problem in found] == [
        (str(path), 1, "driver_nam"),
        ("environment", None, "CSI_ZFS_LOGFORMAT"),
        (str(path), 2, "rpc_threads"),
        ("environment", None, "CSI_ZFS_LOG_LEVEL"),
        (str(path), 6, "pools[0].path"),
        (str(path), 11, "pools[1].colour"),
        (str(path), 8, "pools[1]"),
        (str(path), 10, "pools[1].size"),
    ]
    messages = [problem.message for problem in found]
    assert messages[0] == "there is no such setting; did you mean 'driver_name'?"
    assert messages[1] == "there is no such variable; did you mean CSI_ZFS_LOG_FORMAT?"
    assert messages[2] == "must be a whole number from 1 to 256, not text"
    assert messages[3] == "'loud' is not one of debug, info, warning, error"
    assert messages[5].endswith(
        "there are: name, path, size, dataset, create, thin_ratio, reserve_percent"
    )
    assert messages[6] == "needs a path (an embedded pool) or a dataset (OpenZFS)"


def test_settings_error_prints_one_line_for_each_mistake(tmp_path: Path) -> None:
    path = write(tmp_path, "rpc_threads: 0\npools: [fast]\n", "yml")

    assert "\n".join(map(str, problems_of(path))) == (
        f"{path}:1: rpc_threads: must be a whole number from 1 to 256\n"
        f"{path}:2: pools[0]: must be a table with a name, and a path (an embedded pool) or a"
        " dataset (OpenZFS)"
    )


@pytest.mark.parametrize("text", ["", "pools = []", "pools = 'fast'", "[pools]\nname = 'a'"])
def test_load_settings_without_a_list_of_pools_is_refused(tmp_path: Path, text: str) -> None:
    assert [problem.where for problem in problems_of(write(tmp_path, text))] == ["pools"]


def test_load_settings_with_pools_of_one_name_or_path_is_refused(tmp_path: Path) -> None:
    """A mistake elsewhere in the pool hides neither."""
    text = """
pools:
- {name: fast, path: /srv/fast, thin_ratio: 0}
- {name: fast, path: /srv/other}
- {name: slow, path: //srv/fast/}
"""

    ratio, *found = problems_of(write(tmp_path, text, "yaml"))

    assert ratio.where == "pools[0].thin_ratio"
    assert [(problem.where, problem.line, problem.message) for problem in found] == [
        ("pools[1].name", 4, "'fast' is that of pools[0] already"),
        ("pools[2].path", 5, "'/srv/fast' is that of pools[0] already"),
    ]


def test_load_settings_with_a_long_pool_path_is_refused(tmp_path: Path) -> None:
    """The names below it must fit into ZFS's 255 bytes."""
    longest = "/" + "ä" * ((MAX_POOL_PARENT_BYTES - 1) // 2) + "a"
    assert len(longest.encode()) == MAX_POOL_PARENT_BYTES
    text = "[[pools]]\nname = 'fast'\npath = '{}'\n"

    load_settings(write(tmp_path, text.format(longest)), {})
    (problem,) = problems_of(write(tmp_path, text.format(longest + "b")))

    assert (problem.where, problem.line) == ("pools[0].path", 3)
    assert problem.message == "has 121 bytes: it may have 120"


@pytest.mark.parametrize(
    "name", ["CSI_ZFS_PORT", "CSI_ZFS_SERVICE_HOST", "CSI_ZFS_NODE_PORT_9808_TCP", "CSI_ZFS"]
)
def test_load_settings_ignores_variables_that_kubernetes_sets(tmp_path: Path, name: str) -> None:
    """For a Service csi-zfs or csi-zfs-node in the driver's namespace."""
    load_settings(write(tmp_path, ONE_POOL), {name: "tcp://10.0.0.1:9808"})
