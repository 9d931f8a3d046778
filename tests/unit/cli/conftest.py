"""The command line over a driver that only notes what it is asked for."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from csi_zfs import app
from csi_zfs.cli.main import main
from tests.support.driver import FakeDriver

Run = Callable[..., int]


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    fake = FakeDriver()
    names = ("serve_node", "create_pool", "create_openzfs_pool", "pool_status", "grow_pool")
    for name in (*names, "export_pool", "explain", "adopt"):
        monkeypatch.setattr(app, name, getattr(fake, name))
    return fake


@pytest.fixture
def run(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run one command as root; returns the exit status."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("GRPC_ENABLE_FORK_SUPPORT", "1")
    for variable in [name for name in os.environ if name.startswith("CSI_ZFS_")]:
        monkeypatch.delenv(variable)

    def run_command(*words: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert isinstance(ended.value.code, int)
        return ended.value.code

    return run_command


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A settings file with the embedded pools `fast` and `slow`, and `tank` on OpenZFS."""
    path = tmp_path / "config.toml"
    places = {"fast": "path = '/srv/fast'", "slow": "path = '/srv/slow'"}
    places["tank"] = "dataset = 'tank/csi'"
    path.write_text(
        "".join(f"[[pools]]\nname = '{name}'\n{place}\n" for name, place in places.items()),
        encoding="utf-8",
    )
    return path
