"""The real driver as a child process, on a real pool, all below one directory.

For the demo, csi-sanity, benches and tests that kill it.  Needs root, and for an embedded pool loop
devices and mkfs.xfs.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.cleanup import force_unmount_below
from tests.support.csi_client import CsiClient
from tests.support.signals import undisturbed

POOL_NAME = "fast"
_START_LIMIT_S = 60.0
_STOP_LIMIT_S = 30.0
_COMMAND_LIMIT_S = 60.0
_PROBE_S = 0.2
_PROBE_PAUSE_S = 0.02
_LOG_TAIL_BYTES = 4000
NO_VARIABLES: Mapping[str, str] = {}


class DriverFailedError(AssertionError):
    """The driver, or a command of it, did not do what it had to; the text holds what it said."""


@dataclass(frozen=True, slots=True)
class DriverPaths:
    """Where a driver under test keeps everything."""

    root: Path

    @property
    def config(self) -> Path:
        """Its settings."""
        return self.root / "config.yaml"

    @property
    def socket(self) -> Path:
        """Where it serves."""
        return self.root / "csi.sock"

    @property
    def pool(self) -> Path:
        """Its pool."""
        return self.root / "pool"

    @property
    def kubelet_dir(self) -> Path:
        """Where volumes are mounted."""
        return self.root / "kubelet"

    @property
    def state_dir(self) -> Path:
        """Its notes about what is mounted."""
        return self.root / "state"

    @property
    def log(self) -> Path:
        """What it said, over all its starts."""
        return self.root / "driver.log"


@dataclass(slots=True)
class RealDriver:
    """One driver and its pool: started, killed and started again by whoever tests it.

    `role` is the command that it runs as: a node's, or that of a router, which has no pool.
    """

    paths: DriverPaths
    client: CsiClient
    environment: Mapping[str, str] = field(default_factory=dict)
    role: str = "node"
    _process: "subprocess.Popen[bytes] | None" = None
    _pause: threading.Event = field(default_factory=threading.Event)

    @property
    def pid(self) -> int:
        """The running process."""
        return self._running().pid

    def start(self, *, module: str = "csi_zfs") -> None:
        """Start the process; it answers Probe with "ready" when this returns.

        `module` may name another one that takes the arguments of `csi-zfs`.
        """
        command = driver_command(self.role, "--config", str(self.paths.config), module=module)
        with self.paths.log.open("ab") as log:
            # A group of its own: Ctrl-C is for whoever drives it, who then stops it in good order.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | self.environment,
                process_group=0,
            )
        self._await_ready()

    def _await_ready(self) -> None:
        process = self._running()
        deadline = time.monotonic() + _START_LIMIT_S
        while not self.client.is_ready(within_s=_PROBE_S):
            if process.poll() is not None:
                raise DriverFailedError(f"the driver ended with {process.returncode}:{self.tail()}")
            if time.monotonic() > deadline:
                raise DriverFailedError(
                    f"the driver is not ready after {_START_LIMIT_S:g} s:{self.tail()}"
                )
            # It answers at once, and could do little else if it were asked all the time.
            self._pause.wait(_PROBE_PAUSE_S)

    def kill(self) -> None:
        """End the process with SIGKILL: it has no moment to do anything."""
        process = self._running()
        process.kill()
        process.wait(_STOP_LIMIT_S)
        self._process = None

    def wait(self) -> int:
        """Wait until the process ends by itself; returns its status, negative for a signal."""
        status = self._running().wait(_STOP_LIMIT_S)
        self._process = None
        return status

    def stop(self) -> None:
        """End the process with SIGTERM; raises `DriverFailedError` unless it ends well and soon."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(_STOP_LIMIT_S)
        except subprocess.TimeoutExpired as exc:
            self.kill()
            raise DriverFailedError(f"the driver ignores SIGTERM:{self.tail()}") from exc
        self._process = None
        if status != 0:
            raise DriverFailedError(f"the driver ended with {status} on SIGTERM:{self.tail()}")

    def stop_if_running(self) -> None:
        """`stop`, where it runs."""
        if self._process is not None:
            self.stop()

    def pool_status(self) -> dict[str, object]:
        """What `csi-zfs pool list` says about the pool."""
        listed = run_command("pool", "list", "--path", str(self.paths.pool), "--output", "json")
        status: dict[str, object] = json.loads(listed)[0]
        return status

    def export_pool(self) -> None:
        """Unmount the pool, which must not be in use by a driver."""
        run_command("pool", "export", "--path", str(self.paths.pool))

    def tail(self) -> str:
        """The last lines of the log, for the message of an error."""
        if not self.paths.log.exists():
            return ""
        text = self.paths.log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")
        return f"\n--- the driver's log ends with ---\n{text}"

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise DriverFailedError("the driver is not running")
        return self._process


@contextmanager
def real_driver(
    root: Path,
    *,
    pool_size: str = "4Gi",
    settings: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[RealDriver]:
    """Make a pool below `root`, start a driver on it, and take both down, however the block ends.

    Args:
        root: an existing directory; its path must be short enough for a socket.
        pool_size: of the pool's disk image, which is sparse.
        settings: further settings of the driver, as its file has them.
        environment: further variables of its process.

    Raises:
        DriverFailedError: it did not start or did not stop as it has to.
    """
    paths = DriverPaths(root.resolve())
    create_pool(paths, pool_size=pool_size)
    write_settings(paths, pool_size=pool_size, more=settings or {})
    with running_driver(paths, environment=environment or {}) as driver:
        yield driver


@contextmanager
def running_driver(
    paths: DriverPaths, *, environment: Mapping[str, str] = NO_VARIABLES, role: str = "node"
) -> Iterator[RealDriver]:
    """Start a driver on the settings that are there, and take it down, however the block ends.

    Raises `DriverFailedError`, as `real_driver`.
    """
    with CsiClient(paths.socket) as client:
        driver = RealDriver(paths, client, environment, role)
        try:
            driver.start()
            yield driver
            driver.stop_if_running()
        except DriverFailedError:
            raise
        except BaseException as exc:
            exc.add_note(driver.tail())
            raise
        finally:
            with undisturbed():
                _take_down(driver)


def driver_command(*arguments: str, module: str = "csi_zfs") -> list[str]:
    """The words that start `csi-zfs`, or another module in its place, with these arguments."""
    return [sys.executable, "-m", module, *arguments]


def create_pool(paths: DriverPaths, *, pool_size: str) -> None:
    """Make the pool with the driver's own command."""
    run_command("pool", "create", POOL_NAME, "--path", str(paths.pool), "--size", pool_size)


def write_settings(paths: DriverPaths, *, pool_size: str, more: Mapping[str, object]) -> None:
    """Write the settings file, and make the kubelet's directory."""
    paths.kubelet_dir.mkdir()
    settings = {
        "endpoint": f"unix://{paths.socket}",
        "node_id": "this-node",
        "kubelet_dir": str(paths.kubelet_dir),
        "state_dir": str(paths.state_dir),
        "pools": [{"name": POOL_NAME, "path": str(paths.pool), "size": pool_size}],
    }
    # JSON is YAML too.
    paths.config.write_text(json.dumps(settings | dict(more), indent=2))


def _take_down(driver: RealDriver) -> None:
    if driver._process is not None:
        driver.kill()
    force_unmount_below(driver.paths.root)


def run_command(*arguments: str) -> str:
    """Run `csi-zfs` with these arguments to its end; returns what it printed.

    Raises `DriverFailedError`.
    """
    done = subprocess.run(
        driver_command(*arguments),
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=_COMMAND_LIMIT_S,
    )
    if done.returncode != 0:
        raise DriverFailedError(f"csi-zfs {' '.join(arguments)}: {done.stderr or done.returncode}")
    return done.stdout
