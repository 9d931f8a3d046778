"""The settings themselves, one field each, with what the documentation says about them."""
# ruff: noqa: RUF009 - `setting` only wraps dataclasses.field; its defaults are immutable

import enum
from dataclasses import dataclass, field
from pathlib import Path

from csi_zfs.settings.environment import host_name
from csi_zfs.settings.grammars import (
    ADDRESS,
    DATASET,
    DIRECTORY,
    DRIVER_NAME,
    ENDPOINT,
    NODE_ID,
    OBJECT_NAME,
    OPTIONAL_DIRECTORY,
    POOL_NAME,
    POOL_PATH,
    REQUIRED_ADDRESS,
    SIZE,
    TOPOLOGY_KEY,
    Address,
    ObjectName,
)
from csi_zfs.settings.kinds import YES_OR_NO, choice, number, whole_number
from csi_zfs.settings.spec import described, setting, table_of


class LogFormat(enum.StrEnum):
    """How a log record is written: for people or for machines."""

    TEXT = "text"
    JSON = "json"


class LogLevel(enum.StrEnum):
    """The least important records that are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """One pool of this node: embedded, with a `path`, or on OpenZFS, with a `dataset`."""

    name: str = field(
        metadata=described(
            POOL_NAME, "The name by which storage classes and commands call the pool."
        )
    )
    path: Path | None = field(
        default=None,
        metadata=described(
            POOL_PATH,
            "The directory that holds an embedded pool. A pool has this or `dataset`; no two pools"
            " share one.",
        ),
    )
    size_bytes: int | None = field(
        default=None,
        metadata=described(
            SIZE,
            "The size of an embedded pool's disk image. Left out, the pool is a directory of a file"
            " system that has reflinks already.",
            key="size",
        ),
    )
    dataset: str = field(
        default="",
        metadata=described(
            DATASET,
            "The dataset of OpenZFS below which a pool keeps everything. A pool has this or"
            " `path`; no two pools share one, and none lies below another's.",
        ),
    )
    create: bool = setting(
        YES_OR_NO,
        "Whether a pool that does not exist yet is made when the driver starts. A zpool is never"
        " made.",
        default=False,
    )
    thin_ratio: float = setting(
        number(1, 100),
        "How many times the room that thick volumes leave may be promised to thin ones.",
        default=4.0,
    )
    reserve_percent: int = setting(
        whole_number(0, 50),
        "The part of the pool, in percent, that no new volume may take.",
        default=5,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """What both roles of the driver are told: to serve a node's pools, and to route to them."""

    driver_name: str = setting(
        DRIVER_NAME,
        "The name of the driver, as storage classes give it in `provisioner`.",
        default="csi-zfs.io",
    )
    socket_path: Path = setting(
        ENDPOINT,
        "The unix socket on which the driver serves CSI.",
        default="unix:///run/csi-zfs/csi.sock",
        key="endpoint",
    )
    topology_key: str = setting(
        TOPOLOGY_KEY,
        "The key under which the driver says to the cluster on which node a volume is.",
        default="topology.csi-zfs.io/node",
    )
    tls_dir: Path = setting(
        DIRECTORY,
        "Where ca.crt, tls.crt and tls.key are, by which router and agents know each other; read"
        " anew when they change.",
        default="/etc/csi-zfs/tls",
    )
    shutdown_grace_s: float = setting(
        number(0, 3600),
        "How many seconds running calls get to end when the driver is told to stop.",
        default=25.0,
    )
    rpc_threads: int = setting(whole_number(1, 256), "How many calls run at once.", default=16)
    metrics_address: Address | None = setting(
        ADDRESS,
        "Where /metrics and /healthz are served, such as 127.0.0.1:9808; empty: nowhere.",
        default="",
    )
    log_format: LogFormat = setting(
        choice(LogFormat),
        "How the log is written: `text` for people or `json` for machines.",
        default="text",
    )
    log_level: LogLevel = setting(
        choice(LogLevel),
        "The least important messages that are logged: `debug`, `info`, `warning` or `error`.",
        default="info",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(ServerSettings):
    """Everything that the driver of a node is told at its start."""

    pools: tuple[PoolSettings, ...]
    node_id: str = field(
        default_factory=host_name,
        metadata=described(
            NODE_ID,
            "The name of this node in the cluster. Left out, it is the machine's host name.",
        ),
    )
    agent_address: Address | None = setting(
        ADDRESS,
        "Where the router of a cluster reaches this node, with TLS on both sides, such as"
        " 0.0.0.0:9809; empty: nowhere.",
        default="",
    )
    registration_dir: Path | None = setting(
        OPTIONAL_DIRECTORY,
        "The directory in which the kubelet looks for drivers, such as"
        " /var/lib/kubelet/plugins_registry: the driver announces itself there; empty: nowhere.",
        default="",
    )
    kubelet_dir: Path = setting(
        DIRECTORY,
        "The kubelet's directory: volumes are mounted below it and nowhere else.",
        default="/var/lib/kubelet",
    )
    state_dir: Path = setting(
        DIRECTORY,
        "Where the driver notes what it has mounted; must live exactly as long as the mounts do,"
        " so below /run.",
        default="/run/csi-zfs/state",
    )
    proc_dir: Path = setting(
        DIRECTORY,
        "The kernel's table of processes, in which those are looked up that keep a volume busy; in"
        " a container the one of the machine.",
        default="/proc",
    )
    default_volume_size_bytes: int = setting(
        SIZE,
        "The size of a volume for which no size is asked.",
        default="1Gi",
        key="default_volume_size",
    )
    freeze_limit_s: float = setting(
        number(0.1, 60),
        "How many seconds a snapshot may hold back the writers of a volume; one that would take"
        " longer is given up.",
        default=10.0,
    )
    command_timeout_s: float = setting(
        number(1, 3600),
        "After how many seconds a command such as mkfs.xfs is stopped.",
        default=120.0,
    )


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """One node's driver, for a router that does not look for them in a cluster."""

    node_id: str = field(metadata=described(NODE_ID, "The `node_id` of that driver."))
    address: Address = field(
        metadata=described(REQUIRED_ADDRESS, "Its `agent_address`, as the router reaches it.")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerSettings(ServerSettings):
    """Everything that the router of a cluster is told at its start."""

    agents: tuple[AgentSettings, ...] = ()
    rpc_threads: int = setting(
        whole_number(1, 256),
        "How many calls run at once; each waits for its node, so more than the sidecars have"
        " workers.",
        default=192,
    )
    agents_service: ObjectName | None = setting(
        OBJECT_NAME,
        "The headless service, as `namespace/name`, whose endpoints are the drivers of the nodes;"
        " empty: they are those of `agents`.",
        default="",
    )
    forgotten_config_map: ObjectName | None = setting(
        OBJECT_NAME,
        "The ConfigMap, as `namespace/name`, in which `csi-zfs forget` notes the pools that are"
        " gone for good; empty: none can be forgotten.",
        default="",
    )


SETTINGS_TABLE = table_of(Settings)
POOL_TABLE = table_of(PoolSettings)
CONTROLLER_TABLE = table_of(ControllerSettings)
AGENT_TABLE = table_of(AgentSettings)
