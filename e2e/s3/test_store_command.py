"""`csi-zfs store` on a real server, as somebody types it, from two machines."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.s3.server import Server

Machine = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(name="machine")
def fixture_machine(server: Server, prefix: str, tmp_path: Path) -> Callable[[str], Machine]:
    """A machine of this name: it has a state of its own, and the same key."""
    place = server.place(prefix)
    (tmp_path / "key").write_bytes(os.urandom(32))

    def named(name: str, **changed: str) -> Machine:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path / name),
            "CSI_ZFS_STORE": f"s3://{place.bucket}/{prefix}",
            "CSI_ZFS_STORE_ENDPOINT": place.endpoint,
            "CSI_ZFS_STORE_KEY_FILE": str(tmp_path / "key"),
            "AWS_ACCESS_KEY_ID": place.access_key_id,
            "AWS_SECRET_ACCESS_KEY": place.secret_access_key,
            **changed,
        }

        def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "csi_zfs", "store", *map(str, words)]
            return subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False
            )

        return run

    return named


def test_image_goes_from_one_machine_to_another(
    machine: Callable[[str], Machine], tmp_path: Path
) -> None:
    one, other = machine("one"), machine("other")
    image = tmp_path / "image"
    image.write_bytes(os.urandom(40 << 20))
    made = one("init")
    assert made.returncode == 0, made.stderr
    assert "racing writers" in made.stderr
    assert one("init").returncode == 1

    put = one("put", image, "--json")
    assert put.returncode == 0, put.stderr
    manifest_id = json.loads(put.stdout)["manifest_id"]
    assert other("get", manifest_id[:10], tmp_path / "restored").returncode == 0
    assert (tmp_path / "restored").read_bytes() == image.read_bytes()
    again = json.loads(other("put", image, "--json").stdout)
    assert again["new_bytes"] == 0

    assert other("rm", manifest_id, again["manifest_id"]).returncode == 0
    freed = json.loads(one("gc", "--json").stdout)
    assert freed["deleted_bytes"] > 40 << 20
    assert other("check").returncode == 0


def test_wrong_credentials_and_a_server_that_is_away_are_told(
    machine: Callable[..., Machine],
) -> None:
    denied = machine("one", AWS_SECRET_ACCESS_KEY="wrong")("ls")
    assert denied.returncode == 1
    assert len(denied.stderr.splitlines()) == 1

    missing = machine("one")("ls")
    assert missing.returncode == 1
    assert "store init" in missing.stderr
    none = machine("one", AWS_ACCESS_KEY_ID="")("ls")
    assert "credentials" in none.stderr
