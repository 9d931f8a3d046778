"""What the driver is told at its start: read once, checked as a whole, then frozen."""

from csi_zfs.settings.environment import keep_grpc_fork_support_off
from csi_zfs.settings.grammars import Address, ObjectName
from csi_zfs.settings.loader import load_controller_settings, load_settings
from csi_zfs.settings.model import (
    AGENT_TABLE,
    CONTROLLER_TABLE,
    POOL_TABLE,
    SETTINGS_TABLE,
    AgentSettings,
    ControllerSettings,
    LogFormat,
    LogLevel,
    PoolSettings,
    ServerSettings,
    Settings,
)
from csi_zfs.settings.problems import Problem, SettingsError
from csi_zfs.settings.spec import SettingSpec

__all__ = [
    "AGENT_TABLE",
    "CONTROLLER_TABLE",
    "POOL_TABLE",
    "SETTINGS_TABLE",
    "Address",
    "AgentSettings",
    "ControllerSettings",
    "LogFormat",
    "LogLevel",
    "ObjectName",
    "PoolSettings",
    "Problem",
    "ServerSettings",
    "SettingSpec",
    "Settings",
    "SettingsError",
    "keep_grpc_fork_support_off",
    "load_controller_settings",
    "load_settings",
]
