"""The commands of a cluster: the router, pools that are gone, and whether the driver can go."""

import io
import json
from pathlib import Path

import pytest

from csi_zfs import app
from csi_zfs.app import forgetting
from csi_zfs.cluster.leftovers import Leftovers
from csi_zfs.domain.errors import InUseError
from csi_zfs.settings import ControllerSettings, load_controller_settings
from csi_zfs.system.clock import Clock
from tests.unit.cli.conftest import Run

POOL = "0123456789abcdef"


@pytest.fixture(name="router_config")
def fixture_router_config(tmp_path: Path) -> Path:
    path = tmp_path / "router.yaml"
    path.write_text(json.dumps({"agents_service": "kube-system/csi-zfs"}))
    return path


def test_controller_serves_with_the_settings_of_its_file(
    run: Run, router_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[ControllerSettings] = []

    def serve(settings: ControllerSettings) -> int:
        served.append(settings)
        return 3

    monkeypatch.setattr(app, "serve_controller", serve)

    assert run("controller", "--config", str(router_config)) == 3
    assert served == [load_controller_settings(router_config, {})]


def test_controller_refuses_the_settings_of_a_node(
    run: Run, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("controller", "--config", str(config)) == 2
    assert "pools: there is no such setting" in capsys.readouterr().err


class Forgetting:
    """In place of `forget_pool`."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.calls: list[tuple[str, bool]] = []
        self.failure = failure

    def __call__(
        self, settings: ControllerSettings, pool_id: str, *, is_sure: bool, clock: Clock
    ) -> None:
        self.calls.append((pool_id, is_sure))
        if self.failure is not None:
            raise self.failure


@pytest.mark.parametrize("text", [POOL, f"zfs1:{POOL}:v:pvc-1:1111111111111111"])
def test_pool_is_forgotten_by_its_id_or_that_of_what_was_on_it(
    run: Run, router_config: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    forget = Forgetting()
    monkeypatch.setattr(forgetting, "forget_pool", forget)
    words = ("forget", text, "--config", str(router_config), "--yes")

    assert run(*words) == 0
    assert run(*words, "--even-if-away") == 0
    assert forget.calls == [(POOL, False), (POOL, True)]


def test_pool_is_not_forgotten_without_a_yes(
    run: Run, router_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget = Forgetting()
    monkeypatch.setattr(forgetting, "forget_pool", forget)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))

    assert run("forget", POOL, "--config", str(router_config)) == 1
    assert forget.calls == []


def test_refusal_to_forget_is_told(
    run: Run,
    router_config: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(forgetting, "forget_pool", Forgetting(InUseError("node-1 serves it")))

    assert run("forget", POOL, "--config", str(router_config), "--yes") == 1
    assert capsys.readouterr().err == "csi-zfs: node-1 serves it\n"


def test_text_that_is_no_id_is_refused_before_anything_else(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("forget", "pvc-1") == 1
    assert "'pvc-1' is neither 16 hex digits" in capsys.readouterr().err


def test_driver_can_go_once_nothing_is_left(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left = Leftovers(tuple(f"pv-{number}" for number in range(12)), ("snap-1",))
    for found, status in ((left, 1), (Leftovers((), ()), 0)):
        monkeypatch.setattr(forgetting, "find_leftovers", {"other.example.io": found}.get)
        assert run("uninstall-check", "--driver-name", "other.example.io") == status
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("12 PersistentVolumes: pv-0, pv-1, ")
    assert shown[0].endswith("pv-9 and 2 more")
    assert shown[1:] == [
        "1 VolumeSnapshotContents: snap-1",
        "other.example.io is still in use: delete these first",
        "nothing in the cluster is of other.example.io",
    ]
