"""The unix socket as a file: who may use it, and whose it is.

gRPC binds a socket with the mode that the umask leaves, and first removes whatever socket bears the
name, alive or not.  So it binds in a private directory beside the real place; the socket is then
moved there with its right mode in one step.
"""

import fcntl
import os
import socket
import stat
import zlib
from pathlib import Path

from csi_zfs.domain.errors import InUseError, InvalidRequestError

MAX_SOCKET_PATH_BYTES = 107


class SocketInUseError(InUseError):
    """A living server answers at the path, or is about to."""


class SocketPathError(InvalidRequestError):
    """There can be no socket at the path."""


class SocketFile:
    """One path for a socket: claimed, then published, then released.  Not thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Its own for each socket of a directory, and short, as the paths of sockets have to be.
        self._private_dir = path.with_name(f".{zlib.crc32(os.fsencode(path.name)):08x}")
        self._lock: int | None = None
        self._identity: tuple[int, int] | None = None

    @property
    def path(self) -> Path:
        """Where the socket is, between `publish` and `release`."""
        return self._path

    @property
    def bind_path(self) -> Path:
        """Where to bind, between `claim` and `publish`."""
        return self._private_dir / "s"

    def claim(self) -> None:
        """Make the path ours until `release`; of several servers at once, one succeeds.

        A socket that nobody answers is no obstacle.  The lock file stays for good: whoever removed
        it could remove one that somebody has just locked.

        Raises:
            SocketInUseError: somebody else serves here.
            SocketPathError: the path is too long, is no socket, or cannot be written.
        """
        longest = max(len(os.fsencode(path)) for path in (self.bind_path, self._path))
        if longest > MAX_SOCKET_PATH_BYTES:
            raise SocketPathError(f"socket path {self._path} is too long: choose a shorter one")
        try:
            self._path.parent.mkdir(exist_ok=True)
            self._lock = self._take_lock()
            self._refuse_living()
            self._remove_private_dir()  # a server may have been killed while it started
            self._private_dir.mkdir(mode=0o700)
        except OSError as exc:
            self.release()
            raise SocketPathError(f"no socket can be made at {self._path}: {exc}") from exc
        except (SocketInUseError, SocketPathError):
            self.release()
            raise

    def _take_lock(self) -> int:
        lock_path = self._path.with_name(f"{self._path.name}.lock")
        lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            os.close(lock)
            raise SocketInUseError(f"another csi-zfs serves {self._path}") from exc
        return lock

    def _refuse_living(self) -> None:
        try:
            mode = self._path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise SocketPathError(f"{self._path} exists and is no socket: choose another path")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(0)
            try:
                probe.connect(str(self._path))
            except ConnectionRefusedError:
                return
            except BlockingIOError:
                pass  # its queue is full: busy, and alive
        raise SocketInUseError(f"another server answers at {self._path}: stop it first")

    def _remove_private_dir(self) -> None:
        if self._private_dir.is_dir():
            self.bind_path.unlink(missing_ok=True)
            self._private_dir.rmdir()

    def publish(self) -> None:
        """Show the socket that was bound at `bind_path`, for root alone; replaces a dead one."""
        self.bind_path.chmod(0o600)
        status = self.bind_path.lstat()
        self.bind_path.rename(self._path)
        self._identity = (status.st_dev, status.st_ino)
        self._remove_private_dir()

    def release(self) -> None:
        """Remove the socket if it is still ours, and let others claim the path.  Safe to repeat."""
        if self._lock is None:
            return
        if self._identity is not None and self._identity == self._identity_at_path():
            self._path.unlink()
        self._remove_private_dir()
        os.close(self._lock)
        self._lock = self._identity = None

    def _identity_at_path(self) -> tuple[int, int] | None:
        try:
            status = self._path.lstat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino
