import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from csi_zfs.rpc.socket_file import SocketFile, SocketInUseError, SocketPathError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "csi.sock"


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    opened: list[socket.socket] = []
    yield opened
    for one in opened:
        one.close()


def listen(path: Path, sockets: list[socket.socket]) -> socket.socket:
    server = socket.socket(socket.AF_UNIX)
    sockets.append(server)
    server.bind(str(path))
    server.listen(1)
    return server


def publish(path: Path, sockets: list[socket.socket]) -> SocketFile:
    socket_file = SocketFile(path)
    socket_file.claim()
    listen(socket_file.bind_path, sockets)
    socket_file.publish()
    return socket_file


def test_publish_shows_a_socket_for_the_owner_alone(
    path: Path, sockets: list[socket.socket]
) -> None:
    """rules.md C9."""
    old_mask = os.umask(0)
    try:
        socket_file = publish(path, sockets)
    finally:
        os.umask(old_mask)
    mode = path.lstat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["csi.sock", "csi.sock.lock"]
    socket_file.release()


def test_socket_is_bound_where_nobody_else_can_reach_it(path: Path) -> None:
    """Between bind and chmod it has the mode that the umask leaves."""
    socket_file = SocketFile(path)
    socket_file.claim()
    assert stat.S_IMODE(socket_file.bind_path.parent.stat().st_mode) == 0o700
    socket_file.release()


def test_release_removes_the_socket_and_lets_the_next_one_in(
    path: Path, sockets: list[socket.socket]
) -> None:
    publish(path, sockets).release()
    assert not path.exists()
    publish(path, sockets).release()


def test_release_of_a_socket_that_somebody_removed_is_no_error(
    path: Path, sockets: list[socket.socket]
) -> None:
    socket_file = publish(path, sockets)
    path.unlink()
    socket_file.release()
    publish(path, sockets).release()


def test_release_twice_is_no_error(path: Path, sockets: list[socket.socket]) -> None:
    socket_file = publish(path, sockets)
    socket_file.release()
    socket_file.release()


def test_release_leaves_the_socket_of_somebody_else(
    path: Path, sockets: list[socket.socket]
) -> None:
    socket_file = publish(path, sockets)
    path.unlink()
    listen(path, sockets)
    socket_file.release()
    assert path.is_socket()


def test_claim_of_a_stale_socket_replaces_it(path: Path, sockets: list[socket.socket]) -> None:
    listen(path, sockets).close()
    assert path.is_socket()
    publish(path, sockets)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_claim_of_a_living_socket_is_refused(path: Path, sockets: list[socket.socket]) -> None:
    listen(path, sockets)
    with pytest.raises(SocketInUseError, match="answers"):
        SocketFile(path).claim()
    assert path.is_socket()


def test_claim_of_a_socket_too_busy_to_answer_is_refused(
    path: Path, sockets: list[socket.socket]
) -> None:
    listen(path, sockets)
    for _ in range(2):  # its queue holds two
        client = socket.socket(socket.AF_UNIX)
        sockets.append(client)
        client.connect(str(path))
    with pytest.raises(SocketInUseError):
        SocketFile(path).claim()


def test_claim_of_a_claimed_path_is_refused(path: Path) -> None:
    first, second = SocketFile(path), SocketFile(path)
    first.claim()
    with pytest.raises(SocketInUseError, match="another csi-zfs"):
        second.claim()
    assert first.bind_path.parent.is_dir()
    first.release()
    second.claim()
    second.release()


def test_claim_after_a_start_that_was_killed_cleans_up(
    path: Path, sockets: list[socket.socket]
) -> None:
    killed = SocketFile(path)
    killed.claim()
    listen(killed.bind_path, sockets)
    assert killed._lock is not None
    os.close(killed._lock)  # all that a process loses when it is killed
    assert killed.bind_path.is_socket()
    publish(path, sockets).release()


def test_release_before_publish_leaves_nothing_but_the_lock(
    path: Path, sockets: list[socket.socket]
) -> None:
    socket_file = SocketFile(path)
    socket_file.claim()
    listen(socket_file.bind_path, sockets)
    socket_file.release()
    assert [entry.name for entry in path.parent.iterdir()] == ["csi.sock.lock"]


def test_claim_makes_the_directory_of_the_socket(tmp_path: Path) -> None:
    """/run is empty after a boot."""
    socket_file = SocketFile(tmp_path / "csi-zfs" / "csi.sock")
    socket_file.claim()
    socket_file.release()


@pytest.mark.parametrize("content", ["file", "directory", "link"])
def test_claim_of_what_is_no_socket_is_refused_and_keeps_it(path: Path, content: str) -> None:
    match content:
        case "file":
            path.write_text("precious")
        case "directory":
            path.mkdir()
        case _:
            path.symlink_to(path.parent / "elsewhere")
    with pytest.raises(SocketPathError, match="no socket"):
        SocketFile(path).claim()
    assert os.path.lexists(path)


def test_claim_of_a_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SocketPathError, match="too long"):
        SocketFile(tmp_path / ("s" * 108)).claim()


def test_claim_without_a_place_for_the_directory_says_so(tmp_path: Path) -> None:
    with pytest.raises(SocketPathError, match="No such file"):
        SocketFile(tmp_path / "missing" / "missing" / "csi.sock").claim()


def test_claim_does_not_follow_a_link_in_place_of_the_lock(path: Path) -> None:
    path.with_name("csi.sock.lock").symlink_to(path.parent / "victim")
    with pytest.raises(SocketPathError):
        SocketFile(path).claim()
    assert not (path.parent / "victim").exists()
