"""Calls through the real helper process and socket; only the library in it is a fake."""

import errno
import logging
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from csi_zfs.datasets.api import DatasetKind, PoolUnavailableError
from csi_zfs.zfs.calls import Calls, CallTimeoutError, Patience, zpool_name_of
from csi_zfs.zfs.errors import PoolSuspendedError
from csi_zfs.zfs.helper import HelperFailedError
from csi_zfs.zfs.lzc import Arguments, LzcError, SendFlag
from csi_zfs.zfs.pool_state import PoolStates
from csi_zfs.zfs.remote import RemoteLibzfsCore
from tests.support.clock import FakeClock
from tests.support.lzc_worker import CANARY, COMMAND

PATIENCE = Patience(look_s=0.005, deadline_s=300)
STUCK = "a call is stuck"


class World:
    """A pool whose state the test writes, and a call that hangs until the test lets it go."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = FakeClock()
        self.begins, self.goes_on = root / "begins", root / "goes_on"
        for fifo in (self.begins, self.goes_on):
            os.mkfifo(fifo)
        self.calls = Calls(
            states=PoolStates(root), clock=self.clock, patience=PATIENCE, command=COMMAND
        )
        self.core = RemoteLibzfsCore(self.calls)
        self.threads = ThreadPoolExecutor()
        self.set_state("ONLINE")

    def set_state(self, word: str, pool: str = "pool") -> None:
        (self.root / pool).mkdir(exist_ok=True)
        (self.root / pool / "state").write_text(f"{word}\n")

    def begin_to_hang(self, pool: str = "pool", *, key: bytes = b"") -> Future[None]:
        """A call that has reached the library and does not come back."""
        fifos = {"begins": str(self.begins), "goes_on": str(self.goes_on)}
        call = self.threads.submit(
            self.core.create, f"{pool}/v/x", DatasetKind.ZVOL, fifos, key=key
        )
        self.begins.read_bytes()
        return call

    def let_go(self) -> None:
        """End the hanging call."""
        self.goes_on.write_bytes(b"")

    def helper_pid(self) -> int:
        return self.core.holds("other@s")["pid"]


@pytest.fixture(name="world")
def fixture_world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.core.close()
    world.threads.shutdown()


def test_values_come_back_as_they_went(world: World) -> None:
    values: Arguments = {
        "text": "ü\udc80",
        "list": [1, "a", None],
        "deep": {"yes": True, "big": -(1 << 63)},
    }
    assert world.core.read_program("pool", "", values) == values


def test_error_of_the_library_comes_back_whole(world: World) -> None:
    with pytest.raises(LzcError) as caught:
        world.core.destroy_snapshots(["pool/v/x@s"], is_deferred=True)
    error = caught.value
    assert (error.call, error.errno, error.names) == (
        "destroy_snapshots",
        errno.EBUSY,
        ("pool/v/x@s",),
    )
    assert (error.errno_of, error.detail) == ({"pool/v/x@s": errno.EBUSY}, "deferred: True")


def test_descriptor_travels_and_is_closed_there(world: World) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream:
        world.core.send("pool/v/x@s", "pool/v/x@r", writing, frozenset({SendFlag.RAW}))
        os.close(writing)
        # Ends only when the helper has closed its copy.
        assert stream.read() == b"pool/v/x@s pool/v/x@r raw"


def test_calls_run_side_by_side(world: World) -> None:
    both = [world.threads.submit(world.core.destroy, "pool/meet") for _ in range(2)]
    assert [call.result() for call in both] == [None, None]


@pytest.mark.expected_logs(STUCK)
def test_call_into_a_pool_that_is_suspended_is_given_up_and_its_outcome_unknown(
    world: World,
) -> None:
    call = world.begin_to_hang()
    world.set_state("SUSPENDED")
    with pytest.raises(PoolSuspendedError, match="create may take effect") as caught:
        call.result()
    assert caught.value.is_outcome_unknown
    world.let_go()


@pytest.mark.expected_logs(STUCK)
def test_pool_is_used_again_once_its_stuck_call_came_back(world: World) -> None:
    call, pid = world.begin_to_hang(), world.helper_pid()
    world.set_state("SUSPENDED")
    assert isinstance(call.exception(), PoolSuspendedError)
    with pytest.raises(PoolSuspendedError, match="nothing was done") as caught:
        world.core.destroy("pool/x")
    assert not caught.value.is_outcome_unknown
    world.set_state("ONLINE")
    with pytest.raises(PoolUnavailableError, match="stuck"):
        world.core.destroy("pool/x")
    (stuck,) = world.calls._stuck["pool"]
    world.let_go()
    assert stuck.wait(5)
    world.core.destroy("pool/x")
    assert world.helper_pid() == pid


@pytest.mark.expected_logs(STUCK)
def test_suspended_pool_does_not_hinder_another(world: World) -> None:
    call = world.begin_to_hang()
    world.set_state("SUSPENDED")
    assert isinstance(call.exception(), PoolSuspendedError)
    world.core.destroy("other/x")
    world.let_go()


def test_call_into_a_pool_known_to_be_suspended_is_not_made(world: World) -> None:
    world.set_state("SUSPENDED")
    with pytest.raises(PoolSuspendedError):
        world.core.destroy("pool/die")
    assert world.calls._running is None


@pytest.mark.expected_logs(STUCK)
def test_call_at_its_deadline_is_given_up_and_its_outcome_unknown(world: World) -> None:
    call = world.begin_to_hang()
    while not call.done():  # its deadline may have begun only now
        world.clock.advance(PATIENCE.deadline_s)
    assert isinstance(call.exception(), CallTimeoutError)
    with pytest.raises(PoolUnavailableError, match="stuck"):
        world.core.destroy("pool/x")
    world.let_go()


def test_helper_that_dies_fails_its_calls_and_another_one_starts(world: World) -> None:
    pid = world.helper_pid()
    hanging = world.begin_to_hang()
    with pytest.raises(HelperFailedError, match="ended during destroy"):
        world.core.destroy("pool/die")
    assert isinstance(hanging.exception(), HelperFailedError)
    assert world.helper_pid() != pid


def test_helper_that_breaks_says_where_and_quotes_nothing(world: World) -> None:
    with pytest.raises(HelperFailedError, match="RuntimeError") as caught:
        world.core.destroy("pool/break")
    assert CANARY.decode() not in str(caught.value)


def test_helper_ends_with_the_driver(world: World) -> None:
    """It sees the end of its socket, whatever its threads are doing."""
    world.begin_to_hang()
    pid = world.helper_pid()
    world.core.close()
    assert not Path(f"/proc/{pid}").exists()


def test_helper_has_copies_of_what_is_kept_also_after_it_was_restarted(tmp_path: Path) -> None:
    """What is held by an open descriptor is held until both processes have closed it."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    calls = Calls(states=PoolStates(tmp_path), clock=FakeClock(), command=COMMAND, kept=[writing])
    core = RemoteLibzfsCore(calls)
    with pytest.raises(HelperFailedError):
        core.destroy("pool/die")
    core.holds("pool@s")
    os.close(writing)
    with pytest.raises(BlockingIOError):
        os.read(reading, 1)
    core.close()
    assert os.read(reading, 1) == b""
    os.close(reading)


def test_key_is_neither_in_arguments_nor_environment_nor_logs(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """rules.md C5: the key is on its way in a call that runs while this looks."""
    caplog.set_level(logging.DEBUG)
    call = world.begin_to_hang(key=CANARY)
    process = Path(f"/proc/{world.helper_pid()}")
    seen = [(process / "cmdline").read_bytes(), (process / "environ").read_bytes()]
    assert seen[1].count(b"=") == 2
    world.let_go()
    call.result()
    seen.append(caplog.text.encode())
    assert not any(form in text for form in (CANARY, CANARY.hex().encode()) for text in seen)


@pytest.mark.parametrize("name", ["p", "p/x", "p@s", "p/x@s", "p#b", "p/x#b"])
def test_zpool_name_is_the_first_part_of_every_name(name: str) -> None:
    assert zpool_name_of(name) == "p"
