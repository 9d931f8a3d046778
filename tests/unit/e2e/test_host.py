from pathlib import Path

import pytest

from e2e.cluster.host import Host


@pytest.fixture(name="host")
def fixture_host(tmp_path: Path) -> Host:
    """A machine with two settings, and one of the two directories that nodes want."""
    settings = tmp_path / "sys"
    for name in ("net/ipv4/ip_forward", "vm/overcommit_memory"):
        (settings / name).parent.mkdir(parents=True)
        (settings / name).write_text("0\n")
    (tmp_path / "kubelet").mkdir()
    return Host(settings, (tmp_path / "kubelet", tmp_path / "csi-zfs"))


def test_machine_is_as_before_when_the_nodes_are_gone(host: Host, tmp_path: Path) -> None:
    record = tmp_path / "host.json"
    host.prepare(record)
    assert (host.settings / "net/ipv4/ip_forward").read_text() == "1"
    assert all(path.is_dir() for path in host.mount_points)
    (host.settings / "vm/overcommit_memory").write_text("1\n")
    host.restore(record)
    assert (host.settings / "net/ipv4/ip_forward").read_text().strip() == "0"
    assert (host.settings / "vm/overcommit_memory").read_text().strip() == "0"
    assert [path.exists() for path in host.mount_points] == [True, False]
    assert not record.exists()


def test_directory_that_somebody_uses_by_now_stays(host: Host, tmp_path: Path) -> None:
    host.prepare(tmp_path / "host.json")
    (host.mount_points[1] / "theirs").touch()
    host.restore(tmp_path / "host.json")
    assert (host.mount_points[1] / "theirs").exists()


def test_machine_that_was_not_prepared_is_left_alone(host: Host, tmp_path: Path) -> None:
    host.restore(tmp_path / "host.json")
    assert not host.mount_points[1].exists()
