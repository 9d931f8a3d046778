"""The command line over a store in a directory of the test's own."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from csi_zfs.cas.objects.local import LocalObjects
from csi_zfs.cli.main import main

CHUNK = 64 << 10


@dataclass(slots=True)
class Ended:
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:  # noqa: ANN401 - JSON
        """What it printed with `--json`."""
        return json.loads(self.out)


Words = str | Path
Store = Callable[..., Ended]


@pytest.fixture(name="home")
def fixture_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose environment says where the store is and what opens it."""
    for variable in [name for name in os.environ if name.startswith(("CSI_ZFS_", "AWS_"))]:
        monkeypatch.delenv(variable)
    (tmp_path / "key").write_bytes(os.urandom(32))
    monkeypatch.setenv("CSI_ZFS_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("CSI_ZFS_STORE_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("CSI_ZFS_STORE_STATE", str(tmp_path / "state"))
    return tmp_path


@pytest.fixture(name="run")
def fixture_run(home: Path, capfd: pytest.CaptureFixture[str]) -> Store:
    """Run one store command; returns how it ended."""

    def run_command(*words: Words) -> Ended:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["store", *map(str, words)])
        assert isinstance(ended.value.code, int)
        captured = capfd.readouterr()
        return Ended(ended.value.code, captured.out, captured.err)

    return run_command


@pytest.fixture(name="store")
def fixture_store(run: Store) -> Store:
    """The same, on a store that is made."""
    assert run("init", "--chunk-size", "64Ki").status == 0
    return run


@pytest.fixture(name="image")
def fixture_image(home: Path) -> Path:
    """A sparse image with three chunks of data, the last one short."""
    path = home / "image"
    with path.open("wb") as file:
        file.write(os.urandom(2 * CHUNK))
        file.seek(20 * CHUNK)
        file.write(os.urandom(100))
    return path


@pytest.fixture(name="tree")
def fixture_tree(home: Path) -> Path:
    """A directory with a file, a large one, a link and a directory."""
    path = home / "tree"
    (path / "sub").mkdir(parents=True)
    (path / "hello").write_text("hello\n", encoding="utf-8")
    (path / "sub" / "large").write_bytes(os.urandom(3 << 20))
    (path / "link").symlink_to("hello")
    return path


def put(store: Store, source: Path, *words: Words) -> str:
    """Store something; returns the id of its manifest."""
    ended = store("put", source, "--json", *words)
    assert ended.status == 0, ended.err
    return str(ended.document["manifest_id"])


def ids(store: Store, *words: Words) -> list[str]:
    """The ids that `ls` shows."""
    return [one["manifest_id"] for one in store("ls", "--json", *words).document]


def damage_largest_pack(home: Path) -> None:
    """Flip a bit of the first blob of the largest pack: of data."""
    storage = LocalObjects(home / "store")
    largest = max(storage.list("packs/"), key=lambda info: info.size_bytes)
    path = home / "store" / largest.key
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
