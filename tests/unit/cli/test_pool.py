"""What the pool commands ask of the driver, and how they show its answers."""

import json
from pathlib import Path

import pytest

from csi_zfs.domain.sizes import GIB
from csi_zfs.settings import PoolSettings
from tests.support.driver import FakeDriver
from tests.unit.cli.conftest import Run

FAST = PoolSettings("fast", Path("/srv/fast"))
SLOW = PoolSettings("slow", Path("/srv/slow"))
TANK = PoolSettings("tank", dataset="tank/csi")
FAST_AS_JSON = {
    "name": "fast",
    "path": "/srv/fast",
    "dataset": "",
    "pool_id": "0123456789abcdef",
    "kind": "image",
    "state": "mounted",
    "total_bytes": 100 * GIB,
    "free_bytes": 25 * GIB,
    "volumes": 3,
    "snapshots": 1,
    "findings": [],
}


def test_create_asks_for_an_image_of_the_size(
    driver: FakeDriver, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--path", "/srv/fast", "--size", "100Gi", "--preallocate", "--output", "json"]

    assert run("pool", "create", "fast", *words) == 0
    assert driver.calls == [("create_pool", Path("/srv/fast"), "fast", 100 * GIB, True)]
    assert json.loads(capsys.readouterr().out) == FAST_AS_JSON


def test_create_without_a_size_asks_for_a_directory_below_the_current_one(
    driver: FakeDriver, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert run("pool", "create", "fast", "--path", "pools/fast") == 0
    assert driver.calls == [("create_pool", tmp_path / "pools/fast", "fast", None, False)]


def test_create_asks_for_a_pool_below_a_dataset_and_says_its_id(
    driver: FakeDriver, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("pool", "create", "disks", "--dataset", "tank/csi/k8s") == 0
    assert driver.calls == [("create_openzfs_pool", "tank/csi/k8s", "disks")]
    assert _squeezed(capsys.readouterr().out)[:5] == [
        "name  disks",
        "dataset  tank/csi/k8s",
        "pool id  0123456789abcdef",
        "kind  openzfs",
        "state  DEGRADED",
    ]


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["tank", "--dataset", "tank"], "--dataset"),
        (["tank", "--dataset", "tank/" + "a" * 116], "--dataset"),
        (["tank", "--dataset", "tank/csi", "--size", "1Gi"], "--dataset"),
        (["tank"], "--path"),
        (["Fast", "--path", "/srv/fast"], "NAME"),
        (["fast", "--path", "/srv/../fast"], "--path"),
        (["fast", "--path", "/" + "a" * 120], "--path"),
        (["fast", "--path", "/srv/fast", "--size", "10Xi"], "--size"),
        (["fast", "--path", "/srv/fast", "--size", "0"], "--size"),
    ],
)
def test_create_with_a_wrong_value_names_the_option(
    run: Run, capsys: pytest.CaptureFixture[str], words: list[str], option: str
) -> None:
    assert run("pool", "create", *words) == 2
    assert f"Invalid value for '{option}'" in capsys.readouterr().err


def test_list_shows_the_pools_of_the_settings_in_rows(
    driver: FakeDriver, run: Run, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("pool", "list", "--config", str(config)) == 0
    assert driver.calls == [("pool_status", pool) for pool in (FAST, SLOW, TANK)]
    assert [line.split("  ") for line in _squeezed(capsys.readouterr().out)] == [
        ["NAME", "KIND", "STATE", "FREE", "TOTAL", "VOLUMES", "SNAPSHOTS", "HEALTH", "PLACE"],
        ["fast", "image", "mounted", "25 GiB", "100 GiB", "3", "1", "healthy", "/srv/fast"],
        ["slow", "directory", "unknown", "0 B", "0 B", "0", "0", "PoolMissing", "/srv/slow"],
        ["tank", "openzfs", "DEGRADED", "25 GiB", "100 GiB", "3", "1", "PoolDegraded", "tank/csi"],
    ]


def test_list_as_json_is_a_list(run: Run, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pool", "list", "--config", str(config), "--output", "json") == 0
    fast, slow, tank = json.loads(capsys.readouterr().out)
    assert fast == FAST_AS_JSON
    assert slow["findings"] == [
        {"status": "INACCESSIBLE", "reason": "PoolMissing", "message": "no pool [is] here"}
    ]
    assert (tank["path"], tank["dataset"], tank["state"]) == (None, "tank/csi", "DEGRADED")


def test_list_with_places_needs_no_settings(driver: FakeDriver, run: Run) -> None:
    words = ["--path", "/srv/fast", "--dataset", "other/tank", "--path", "/srv/slow"]

    assert run("pool", "list", *words) == 0
    assert driver.calls == [
        ("pool_status", FAST),
        ("pool_status", SLOW),
        ("pool_status", PoolSettings("tank", dataset="other/tank")),
    ]


def test_show_prints_each_fact_and_finding_in_a_line(
    driver: FakeDriver, run: Run, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("pool", "show", "slow", "--config", str(config)) == 0
    assert driver.calls == [("pool_status", SLOW)]
    lines = _squeezed(capsys.readouterr().out)
    assert lines[:3] == ["name  slow", "path  /srv/slow", "pool id  not known"]
    assert lines[-2:] == ["health  PoolMissing", "INACCESSIBLE no pool [is] here"]


def test_show_of_an_unknown_pool_names_a_near_one(
    driver: FakeDriver, run: Run, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("pool", "show", "fsat", "--config", str(config)) == 1
    assert run("pool", "show", "other", "--config", str(config)) == 1
    assert driver.calls == []
    assert capsys.readouterr().err.splitlines() == [
        "csi-zfs: the settings have no pool 'fsat'; did you mean 'fast'?",
        "csi-zfs: the settings have no pool 'other'; there are: fast, slow, tank",
    ]


def test_grow_asks_for_the_new_size(
    driver: FakeDriver, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("pool", "grow", "--path", "/srv/fast", "--size", "200Gi") == 0
    assert driver.calls == [("grow_pool", Path("/srv/fast"), 200 * GIB)]
    assert "free  25 GiB of 200 GiB" in _squeezed(capsys.readouterr().out)


def test_export_says_what_it_did(
    driver: FakeDriver, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("pool", "export", "--path", "/srv/fast") == 0
    assert driver.calls == [("export_pool", Path("/srv/fast"))]
    assert capsys.readouterr().out == "/srv/fast is exported\n"


def test_command_that_openzfs_has_of_its_own_names_that_one(
    driver: FakeDriver, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("pool", "grow", "--dataset", "tank/csi", "--size", "2Gi") == 1
    said = capsys.readouterr().err
    assert "`zpool add tank`" in said
    assert "`zfs set quota=SIZE tank/csi`" in said
    assert run("pool", "export", "--dataset", "tank/csi") == 1
    assert "`zpool export tank`" in capsys.readouterr().err
    assert driver.calls == []


def _squeezed(text: str) -> list[str]:
    """Lines with exactly two spaces between columns, however wide these are."""
    return [
        "  ".join(part.strip() for part in line.split("  ") if part.strip())
        for line in text.splitlines()
    ]
