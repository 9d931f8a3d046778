"""What `csi-zfs adopt` asks of the driver, and how it prints the objects."""

import json
from pathlib import Path

import pytest
import yaml

from csi_zfs.app import Adopted, AdoptionRequest, SecretName
from csi_zfs.settings import PoolSettings
from tests.support.driver import FakeDriver
from tests.unit.cli.conftest import Run

FAST = PoolSettings("fast", Path("/srv/fast"))
SLOW = PoolSettings("slow", Path("/srv/slow"))
TANK = PoolSettings("tank", dataset="tank/csi")
OBJECTS: list[dict[str, object]] = [
    {"kind": "PersistentVolume", "metadata": {"name": name}, "spec": {"on": "yes"}}
    for name in ("a", "b")
]


@pytest.fixture(name="adopt")
def fixture_adopt(
    driver: FakeDriver, run: Run, config: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Run the command on a node, over a driver that finds two volumes."""
    monkeypatch.setenv("CSI_ZFS_NODE_ID", "node-2")
    driver.adopted = Adopted(OBJECTS, [])
    return lambda *words: run("adopt", "--config", str(config), *words)


def test_adopt_asks_for_all_volumes_and_prints_documents(
    driver: FakeDriver, adopt: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adopt() == 0
    assert driver.calls == [("adopt", "node-2", (FAST, SLOW, TANK), AdoptionRequest())]
    printed = capsys.readouterr().out
    assert list(yaml.safe_load_all(printed)) == OBJECTS
    # In the order of people; a text that looks like something else is in quotes.
    assert printed.splitlines()[:2] == ["---", "kind: PersistentVolume"]
    assert "'on': 'yes'" in printed


def test_adopt_as_json_prints_a_list(adopt: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert adopt("--output", "json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["apiVersion"], printed["kind"]) == ("v1", "List")
    assert printed["items"] == OBJECTS


def test_adopt_without_volumes_prints_nothing(
    driver: FakeDriver, adopt: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    driver.adopted = Adopted([], [])
    assert adopt() == 0
    assert capsys.readouterr().out == ""


def test_adopt_with_names_asks_for_them_in_one_pool(driver: FakeDriver, adopt: Run) -> None:
    words = ["--pool", "tank", "--fs-type", "ext4", "--storage-class", "fast", "--dry-run"]
    assert adopt(*words, "a", "b") == 0
    request = AdoptionRequest(
        names=("a", "b"), content="ext4", storage_class="fast", is_dry_run=True
    )
    assert driver.calls == [("adopt", "node-2", (TANK,), request)]


def test_adopt_that_cannot_take_all_says_what_and_prints_the_rest(
    driver: FakeDriver, adopt: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    driver.adopted = Adopted(OBJECTS, ["pool tank: it is away", "c: it is encrypted"])
    assert adopt() == 1
    printed = capsys.readouterr()
    assert list(yaml.safe_load_all(printed.out)) == OBJECTS
    assert printed.err.splitlines() == [
        "csi-zfs: pool tank: it is away",
        "csi-zfs: c: it is encrypted",
    ]


def test_adopt_from_an_unknown_pool_names_a_near_one(
    driver: FakeDriver, adopt: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adopt("--pool", "tonk") == 1
    assert driver.calls == []
    assert "did you mean 'tank'?" in capsys.readouterr().err


def test_adopt_names_the_secret_of_encrypted_volumes(driver: FakeDriver, adopt: Run) -> None:
    assert adopt("--secret", "keys/data-key") == 0
    request = AdoptionRequest(secret=SecretName("keys", "data-key"))
    assert driver.calls == [("adopt", "node-2", (FAST, SLOW, TANK), request)]
    for wrong in ("data-key", "/x", "x/", "a/b/c"):
        assert adopt("--secret", wrong) == 2


def test_adopt_of_another_content_is_wrong_usage(adopt: Run) -> None:
    assert adopt("--fs-type", "ntfs", "a") == 2
