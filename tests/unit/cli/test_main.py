"""How commands end: exit statuses, and what is said on standard error."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from csi_zfs import app
from csi_zfs.domain.errors import UnavailableError
from csi_zfs.settings import load_settings
from tests.support.driver import FakeDriver
from tests.unit.cli.conftest import Run

ROOT_COMMANDS = [
    ["node", "--config", "/none.toml"],
    ["adopt", "--output", "json"],
    ["pool", "create", "fast", "--path", "/srv/fast"],
    ["pool", "create", "tank", "--dataset", "tank/csi"],
    ["pool", "list", "--path", "/srv/fast"],
    ["pool", "show", "fast"],
    ["pool", "grow", "--path", "/srv/fast", "--size", "2Gi"],
    ["pool", "export", "--path", "/srv/fast"],
    ["why", "pvc"],
]


@pytest.mark.parametrize("status", [0, 3])
def test_node_serves_the_settings_and_ends_with_the_drivers_status(
    driver: FakeDriver, run: Run, config: Path, status: int
) -> None:
    driver.exit_status = status

    assert run("node", "--config", str(config)) == status
    assert driver.calls == [("serve_node", load_settings(config, {}))]


def test_main_keeps_grpc_fork_support_off(run: Run) -> None:
    """rules.md D: before anything can import grpc."""
    run("version")

    assert os.environ["GRPC_ENABLE_FORK_SUPPORT"] == "0"


@pytest.fixture
def as_user(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run one command without root's rights."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    return run


@pytest.mark.parametrize("words", ROOT_COMMANDS, ids=" ".join)
def test_command_without_root_says_so_and_does_nothing(
    driver: FakeDriver, as_user: Run, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert as_user(*words) == 1
    assert driver.calls == []
    assert capsys.readouterr() == (
        "",
        "csi-zfs: needs root: run it with sudo, or as a privileged container\n",
    )


def test_main_with_wrong_settings_prints_each_mistake_and_ends_with_2(
    driver: FakeDriver, run: Run, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text("rpc_threads = 0\npools = []\n", encoding="utf-8")

    assert run("node", "--config", str(config)) == 2
    assert driver.calls == []
    assert capsys.readouterr().err == (
        f"{config}:1: rpc_threads: must be a whole number from 1 to 256\n"
        f"{config}:2: pools: must be a list of at least one table with a name, and a path (an"
        " embedded pool) or a dataset (OpenZFS)\n"
    )


def test_main_with_an_error_of_ours_prints_one_line_and_ends_with_1(
    driver: FakeDriver, run: Run, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    driver.failure = UnavailableError("pool fast is not mounted")

    assert run("node", "--config", str(config)) == 1
    assert capsys.readouterr() == ("", "csi-zfs: pool fast is not mounted\n")


def test_main_with_a_bug_prints_its_traceback_and_ends_with_70(
    driver: FakeDriver, run: Run, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    driver.failure = RuntimeError("what is this?")

    assert run("node", "--config", str(config)) == 70
    assert capsys.readouterr().err.endswith("RuntimeError: what is this?\n")


def test_main_after_an_interrupt_ends_with_130(
    driver: FakeDriver, run: Run, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    driver.failure = KeyboardInterrupt()

    assert run("node", "--config", str(config)) == 130
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["nod"],
        ["node", "--confg", "x"],
        ["pool", "create", "fast"],
        ["pool", "create", "tank", "--path", "/srv/tank", "--dataset", "tank/csi"],
        ["pool", "create", "tank", "--dataset", "tank/csi", "--size", "1Gi"],
        ["pool", "create", "tank", "--dataset", "tank/csi", "--preallocate"],
        ["pool", "grow", "--size", "1Gi"],
        ["pool", "export"],
        ["why"],
        ["pool", "list", "--output", "xml"],
    ],
)
def test_main_with_wrong_usage_ends_with_2(run: Run, words: list[str]) -> None:
    assert run(*words) == 2


@pytest.mark.parametrize(
    "words", [[], ["pool"], ["version"], *(words[:-1] for words in ROOT_COMMANDS)], ids=" ".join
)
def test_help_needs_no_root_and_has_an_example(
    as_user: Run, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    command = [word for word in words if word.isalpha() and word not in {"fast", "tank", "pvc"}]

    assert as_user(*command, "--help") == 0
    shown = capsys.readouterr().out
    assert shown.startswith(" ".join(["Usage: csi-zfs", *command]))
    assert ("Example:\n" in shown) == (command not in ([], ["pool"]))


@pytest.mark.parametrize("words", [["version"], ["--version"], ["--version", "node"]], ids=" ".join)
def test_version_is_that_of_the_installed_package(
    driver: FakeDriver, run: Run, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert run(*words) == 0
    assert driver.calls == []
    assert capsys.readouterr().out == metadata.version("csi-zfs") + "\n"


def test_module_runs_as_the_command() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "csi_zfs", "pool", "creat"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 2
    assert "No such command 'creat'" in result.stderr


def test_command_line_loads_neither_grpc_nor_rich_before_a_command_needs_them() -> None:
    """GetPluginInfo must be answered within 1 s of the start (rules.md B9), and help at once."""
    heavy = "{'grpc', 'google', 'rich', 'prometheus_client', 'csi_zfs.app'}"
    program = f"import sys, csi_zfs.cli.main; sys.exit(len({heavy} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_command_about_a_store_loads_no_server() -> None:
    """It runs every hour, and beside what it copies."""
    heavy = "{'grpc', 'google', 'kubernetes', 'prometheus_client', 'obstore', 'fastcdc'}"
    program = f"import sys, csi_zfs.app.stores; sys.exit(len({heavy} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_app_has_all_that_it_says() -> None:
    assert sum(getattr(app, name).__name__ == name for name in app.__all__) == len(app.__all__)
    assert not hasattr(app, "serve_everything")


def test_driver_and_commands_load_nothing_of_openzfs_before_a_pool_needs_it() -> None:
    """rules.md B9: a machine without one pays nothing for it, neither time nor a library."""
    program = (
        "import sys, csi_zfs.cli.main; from csi_zfs.app import *;"
        "sys.exit(sum(name.startswith(('csi_zfs.zfs', 'libzfs_core')) for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
