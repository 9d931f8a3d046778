"""What the driver is told at its start: read once, checked as a whole, then frozen."""

from csi_zfs.settings.environment import keep_grpc_fork_support_off
from csi_zfs.settings.grammars import Address
from csi_zfs.settings.loader import load_settings
from csi_zfs.settings.model import (
    POOL_TABLE,
    SETTINGS_TABLE,
    LogFormat,
    LogLevel,
    PoolSettings,
    Settings,
)
from csi_zfs.settings.problems import Problem, SettingsError
from csi_zfs.settings.spec import SettingSpec

__all__ = [
    "POOL_TABLE",
    "SETTINGS_TABLE",
    "Address",
    "LogFormat",
    "LogLevel",
    "PoolSettings",
    "Problem",
    "SettingSpec",
    "Settings",
    "SettingsError",
    "keep_grpc_fork_support_off",
    "load_settings",
]
