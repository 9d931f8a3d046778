import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.vm.guest import Guest, load_guest, preferred
from e2e.vm.images import Images
from e2e.vm.qemu import Machine


@pytest.fixture(name="emulator")
def fixture_emulator(tmp_path: Path) -> Iterator[Guest]:
    """A guest whose emulator is a process that only holds the lock."""
    scratch = tmp_path / "guest"
    scratch.mkdir()
    with (scratch / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(["sleep", "60"], pass_fds=[lock.fileno()])
    images = Images(Path("/system"), Path("/environment"))
    try:
        yield Guest(Machine(images, scratch, 4022, "ssh-ed25519 AAAA"), process.pid)
    finally:
        process.kill()
        process.wait()


def test_guest_is_found_again_as_it_was_saved(emulator: Guest, tmp_path: Path) -> None:
    emulator.save(tmp_path / "state.json")
    assert load_guest(tmp_path / "state.json") == emulator


def test_guest_that_was_never_saved_is_not_found(tmp_path: Path) -> None:
    assert load_guest(tmp_path / "state.json") is None


def test_guest_that_was_stopped_is_gone_with_what_it_wrote(emulator: Guest, tmp_path: Path) -> None:
    emulator.save(tmp_path / "state.json")
    emulator.stop()
    assert not emulator.machine.scratch.exists()
    assert load_guest(tmp_path / "state.json") is None


def test_guest_that_is_dead_is_never_signalled(emulator: Guest) -> None:
    """Its process id may be somebody else's by now: only the lock tells."""
    (emulator.machine.scratch / "lock").unlink()
    (emulator.machine.scratch / "lock").touch()
    assert not emulator.is_running()
    emulator.stop()
    assert Path(f"/proc/{emulator.pid}/stat").read_text().split()[2] != "Z"


def test_failure_shows_the_end_of_the_console(emulator: Guest) -> None:
    emulator.machine.console.write_text("x" * 10_000 + "Kernel panic - not syncing")
    words = str(emulator.failure("was lost"))
    assert words.startswith("the guest was lost; its console ends with\n")
    assert words.endswith("Kernel panic - not syncing")
    assert len(words) < 7_000


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may raise a priority")
def test_guest_is_preferred_only_for_the_length_of_the_block(emulator: Guest) -> None:
    before = os.getpriority(os.PRIO_PROCESS, emulator.pid)
    with preferred(emulator):
        assert os.getpriority(os.PRIO_PROCESS, emulator.pid) < before
    assert os.getpriority(os.PRIO_PROCESS, emulator.pid) == 0
