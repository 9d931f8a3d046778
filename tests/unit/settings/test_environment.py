"""The settings are the only reader of the environment, and keep gRPC's fork handlers out."""

import os
import subprocess
import sys

import pytest

from csi_zfs.settings import keep_grpc_fork_support_off


def test_grpc_fork_support_is_off_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """rules.md D: fork handlers can deadlock a server that starts child processes."""
    monkeypatch.setenv("GRPC_ENABLE_FORK_SUPPORT", "1")

    keep_grpc_fork_support_off()

    assert os.environ["GRPC_ENABLE_FORK_SUPPORT"] == "0"


def test_grpc_itself_sees_fork_support_off() -> None:
    """rules.md D: asked of gRPC in a process of its own, since it reads the variable once."""
    program = (
        "from csi_zfs.settings import keep_grpc_fork_support_off as off; off();"
        "from grpc._cython import cygrpc; print(cygrpc.is_fork_support_enabled())"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert result.stdout.strip() == "False"
