"""What the process was started with: the only reader of `os.environ`."""

import os
from collections.abc import Mapping


def process_environment() -> Mapping[str, str]:
    """The environment variables of this process."""
    return os.environ


def host_name() -> str:
    """The name of this machine."""
    return os.uname().nodename


def keep_grpc_fork_support_off() -> None:
    """Turn gRPC's fork handlers off, whatever the environment says, before grpc is imported.

    With them, starting a child process while calls run can deadlock the server (rules.md D).
    """
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
