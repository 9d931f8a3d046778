"""What `csi-zfs why` asks of the driver's rooms, and how it shows the answer."""

import json
from pathlib import Path

import pytest

from csi_zfs.domain.errors import NotFoundError
from csi_zfs.settings import load_settings
from tests.support.driver import KEPT, FakeDriver
from tests.unit.cli.conftest import Run


def test_why_prints_each_keeper_with_what_to_do_next(
    driver: FakeDriver, run: Run, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("why", "kept", "--config", str(config)) == 0
    assert driver.calls == [("explain", load_settings(config, {}), "kept")]
    hold = KEPT.keepers[0]
    assert capsys.readouterr().out.splitlines() == [
        f"deleted volume {KEPT.id}, {KEPT.name} on pool tank",
        f"hold      {hold.name}: {hold.words} since 2023-11-14 22:13:20 UTC. Next: {hold.advice}",
        "open      tank/csi/v/a: open. Next: end it",
    ]


def test_why_of_what_nothing_keeps_says_so(
    run: Run, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("why", "free", "--config", str(config)) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["nothing keeps it"]


def test_why_as_json_has_all_fields(
    run: Run, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("why", "kept", "--config", str(config), "--output", "json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["title"] == "deleted volume"
    held, opened = shown["keepers"]
    assert (held["kind"], held["since_ns"]) == ("hold", 1_700_000_000_000_000_000)
    assert opened["processes"] == [{"pid": 17, "command": "dd", "pod_uid": "pod-1"}]


def test_why_of_what_is_not_there_ends_with_1(
    driver: FakeDriver, run: Run, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    driver.failure = NotFoundError("there is no pvc-9: nothing keeps it")
    assert run("why", "pvc-9", "--config", str(config)) == 1
    assert capsys.readouterr() == ("", "csi-zfs: there is no pvc-9: nothing keeps it\n")
