"""The servers that the driver is measured beside, as child processes for a `with` block."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_START_LIMIT_S = 30
_STOP_LIMIT_S = 10
_PAUSE_S = 0.02


class ServerFailedError(Exception):
    """A server did not start."""


@contextmanager
def mock_server(program: Path, socket_path: Path) -> Iterator[Path]:
    """The mock of Kubernetes' storage tests; yields its socket."""
    with _served([str(program), "-endpoint", str(socket_path)], socket_path):
        yield socket_path


@contextmanager
def bare_server(socket_path: Path, directory: Path) -> Iterator[Path]:
    """The bare loop behind gRPC, in a new directory; yields its socket."""
    command = [sys.executable, "-m", "tests.bench.bare_server", str(socket_path), str(directory)]
    with _served(command, socket_path):
        yield socket_path


@contextmanager
def _served(command: Sequence[str], socket_path: Path) -> Iterator[None]:
    with socket_path.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _await_socket(process, socket_path)
        yield
    finally:
        process.terminate()
        process.wait(_STOP_LIMIT_S)


def _await_socket(process: "subprocess.Popen[bytes]", socket_path: Path) -> None:
    deadline = time.monotonic() + _START_LIMIT_S
    while not socket_path.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise ServerFailedError(f"{process.args!r} does not serve: see {socket_path.parent}")
        time.sleep(_PAUSE_S)
