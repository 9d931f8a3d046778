"""A pool that stops all I/O holds neither the driver nor other pools, and is used again after.

Whatever may block is in a process of its own: the helper, or a command with a deadline.  A pool
that does not come back can wedge the machine, so this runs in a boot of its own.
"""

import errno
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from csi_zfs.app.openzfs import OpenZfs
from csi_zfs.datasets.api import DatasetKind, NewDataset
from csi_zfs.domain.sizes import MIB
from csi_zfs.settings import PoolSettings
from csi_zfs.system.clock import SystemClock
from csi_zfs.system.runner import SystemRunner
from csi_zfs.zfs.calls import Calls
from csi_zfs.zfs.errors import PoolSuspendedError
from csi_zfs.zfs.lzc import LzcError
from csi_zfs.zfs.pool_state import PoolState, PoolStates
from csi_zfs.zfs.pool_status import read_status
from csi_zfs.zfs.remote import RemoteLibzfsCore

SECTORS = 512 * 1024
LIMIT_S = 60
FAST_S = 2
END_S = 10
FILESYSTEM = DatasetKind.FILESYSTEM


class Frail:
    """A pool on a disk that can be made to fail and to work again."""

    def __init__(self, file: Path) -> None:
        self.name = f"frail-{uuid.uuid4().hex[:8]}"
        self.runner = SystemRunner(default_timeout_s=LIMIT_S)
        with file.open("wb") as backing:
            backing.truncate(SECTORS * 512)
        self.loop = self.runner.run(["losetup", "--find", "--show", str(file)]).output.strip()
        self.working = f"0 {SECTORS} linear {self.loop} 0"
        self.runner.run(["dmsetup", "create", self.name, "--table", self.working])
        options = ["-o", "failmode=wait", "-O", "mountpoint=none"]
        self.runner.run(["zpool", "create", *options, self.name, f"/dev/mapper/{self.name}"])

    def fail(self) -> None:
        """From now on, every read and write fails."""
        self._become(f"0 {SECTORS} error")

    def repair(self) -> None:
        """The disk works again, and the administrator says so."""
        self._become(self.working)
        self.runner.run(["zpool", "clear", self.name])

    def remove(self) -> None:
        """Destroy the pool, which must not be suspended now."""
        self.runner.run(["zpool", "destroy", "-f", self.name])
        self.runner.run(["dmsetup", "remove", "--retry", self.name])
        self.runner.run(["losetup", "--detach", self.loop])

    def _become(self, table: str) -> None:
        self.runner.run(["dmsetup", "suspend", "--noflush", "--nolockfs", self.name])
        self.runner.run(["dmsetup", "load", self.name, "--table", table])
        self.runner.run(["dmsetup", "resume", self.name])


@pytest.fixture(name="frail")
def fixture_frail(tmp_path: Path) -> Iterator[Frail]:
    pool = Frail(tmp_path / "disk")
    yield pool
    pool.repair()
    pool.remove()


@pytest.fixture(name="calls")
def fixture_calls() -> Iterator[Calls]:
    calls = Calls(states=PoolStates(), clock=SystemClock())
    yield calls
    calls.close()


def test_suspended_pool_is_given_up_refused_and_used_again(
    frail: Frail, calls: Calls, zpool: str, tmp_path: Path
) -> None:
    core = RemoteLibzfsCore(calls)
    core.create(f"{frail.name}/before", FILESYSTEM, {})
    frail.fail()
    with ThreadPoolExecutor() as threads:
        cut_short = threads.submit(core.create, f"{frail.name}/during", FILESYSTEM, {}).exception(
            LIMIT_S
        )
    assert isinstance(cut_short, PoolSuspendedError)
    assert cut_short.is_outcome_unknown
    assert PoolStates().read(frail.name) is PoolState.SUSPENDED
    assert read_status(frail.runner, frail.name).state is PoolState.SUSPENDED

    begin_s = time.monotonic()
    for _ in range(3):
        with pytest.raises(PoolSuspendedError, match="nothing was done"):
            core.create(f"{frail.name}/after", FILESYSTEM, {})
    core.create(f"{zpool}/{frail.name}", FILESYSTEM, {})
    assert time.monotonic() - begin_s < FAST_S

    # The kernel refuses by itself what is asked of a pool that is already suspended.
    blind = Calls(states=PoolStates(tmp_path), clock=SystemClock())
    with pytest.raises(LzcError) as refused:
        RemoteLibzfsCore(blind).destroy_snapshots([f"{frail.name}/before@s"])
    assert refused.value.errno == errno.EAGAIN
    blind.close()

    (stuck,) = calls._stuck[frail.name]
    assert not stuck.is_there
    frail.repair()
    assert stuck.wait(LIMIT_S)
    assert PoolStates().read(frail.name) is PoolState.ONLINE
    assert core.exists(f"{frail.name}/during")
    core.create(f"{frail.name}/after", FILESYSTEM, {})


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_driver_can_end_while_a_call_is_stuck(frail: Frail) -> None:
    """The helper stays behind until the kernel lets it go; nobody waits for that."""
    calls = Calls(states=PoolStates(), clock=SystemClock())
    core = RemoteLibzfsCore(calls)
    core.create(f"{frail.name}/before", FILESYSTEM, {})
    assert calls._running is not None
    helper = Path(f"/proc/{calls._running.pid}")
    frail.fail()
    with pytest.raises(PoolSuspendedError):
        core.create(f"{frail.name}/during", FILESYSTEM, {})
    begin_s = time.monotonic()
    calls.close()
    assert time.monotonic() - begin_s < END_S
    assert helper.exists()
    frail.repair()
    assert RemoteLibzfsCore(calls).exists(f"{frail.name}/during")
    calls.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_driver_that_serves_a_suspended_pool_can_end_and_be_started_again(frail: Frail) -> None:
    """To give its lease up is a transaction, which has to wait: so the helper is who does it."""
    pool = PoolSettings("frail", dataset=f"{frail.name}/csi")
    first = OpenZfs(SystemRunner(), SystemClock(), owner="first")
    first.create(pool.dataset)
    served = first.serve(pool)
    frail.fail()
    with pytest.raises(PoolSuspendedError):
        served.create(NewDataset("v/during", MIB))
    begin_s = time.monotonic()
    first.close()
    assert time.monotonic() - begin_s < END_S
    frail.repair()
    second = OpenZfs(SystemRunner(), SystemClock(), owner="second")
    assert second.serve(pool).pool_id == served.pool_id
    second.close()
