"""versitygw: an S3 server whose conditional writes are real, in front of a directory.

It does not sync what it writes: what a power cut leaves of it says nothing.
"""

import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from csi_zfs.cas.objects.s3_place import S3Place
from e2e.vm.qemu import free_port
from tests.support.go_programs import GoProgram

PROGRAM = GoProgram("github.com/versity/versitygw/cmd/versitygw", "v1.8.0")
_BUCKET = "objects"
_KEY_ID, _SECRET = "e2e", "e2e-secret-of-a-server-that-lives-for-a-test"
_HEALTH = "/health"
_START_LIMIT_S = 30.0
_STOP_LIMIT_S = 10.0
_POLL_S = 0.02


class ServerFailedError(Exception):
    """The server did not come up; the text holds what it said."""


@dataclass(slots=True)
class Server:
    """A server with one bucket, which can be killed and started again at the same port."""

    program: Path
    directory: Path
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    def place(self, prefix: str = "") -> S3Place:
        """The bucket, or the part of it below a prefix."""
        return S3Place(
            endpoint=f"http://127.0.0.1:{self.port}",
            bucket=_BUCKET,
            prefix=prefix,
            access_key_id=_KEY_ID,
            secret_access_key=_SECRET,
        )

    def start(self) -> None:
        """Start it, and return when it answers; raises `ServerFailedError`."""
        (self.directory / _BUCKET).mkdir(exist_ok=True)
        command = [str(self.program), "--quiet", "--health", _HEALTH]
        command += ["--port", f"127.0.0.1:{self.port}", "posix", str(self.directory)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env={"ROOT_ACCESS_KEY": _KEY_ID, "ROOT_SECRET_KEY": _SECRET},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _START_LIMIT_S
        while not self._is_healthy():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                said = self._log.read_text(encoding="utf-8", errors="replace")
                raise ServerFailedError(f"{self.program.name} does not come up: {said[-2000:]}")
            time.sleep(_POLL_S)

    def kill(self) -> None:
        """End it without a word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_STOP_LIMIT_S)
            self._process = None

    @property
    def _log(self) -> Path:
        return self.directory.with_name(f"{self.directory.name}.log")

    def _is_healthy(self) -> bool:
        url = f"http://127.0.0.1:{self.port}{_HEALTH}"
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@contextmanager
def running(program: Path) -> Iterator[Server]:
    """A server in front of a directory that goes with it; raises `ServerFailedError`."""
    # It wants extended attributes, which /tmp may not have where it is memory.
    with tempfile.TemporaryDirectory(prefix="csi-zfs-s3-", dir="/var/tmp") as directory:
        server = Server(program, Path(directory, "buckets"))
        server.directory.mkdir()
        try:
            server.start()
            yield server
        finally:
            server.kill()
