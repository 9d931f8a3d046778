import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cleanup import loop_devices_below, mounts_below, nothing_left_below

pytestmark = [pytest.mark.root, pytest.mark.slow]
CHECKOUT = Path(__file__).parents[2]
LIMIT_S = 55.0
TICK_S = 0.02


@pytest.fixture(name="directory")
def fixture_directory() -> Iterator[Path]:
    """Where the demo makes its temporary directory; short, because its socket lies in there."""
    with tempfile.TemporaryDirectory(prefix="d-") as name, nothing_left_below(Path(name)) as path:
        yield path


def start_demo(directory: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "e2e.demo"],
        cwd=CHECKOUT,
        env=os.environ | {"TMPDIR": str(directory)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_volumes(demo: "subprocess.Popen[str]", directory: Path, *, at_least: int) -> None:
    """Wait until the demo is in the middle of it: so many mounts, the pool's own among them."""
    ticks = round(LIMIT_S / TICK_S)
    for _ in range(ticks):
        if len(mounts_below(directory)) >= at_least:
            return
        try:
            demo.wait(TICK_S)
        except subprocess.TimeoutExpired:
            continue
        break
    pytest.fail(f"the demo did not come so far: {demo.communicate()[0]}")


def require_nothing_left(directory: Path) -> None:
    assert mounts_below(directory) == []
    assert loop_devices_below(directory) == []
    assert list(directory.iterdir()) == []


def test_demo_ends_well_and_leaves_nothing(directory: Path) -> None:
    """rules.md A3: it restores a snapshot of a deleted volume, and deletes in an odd order."""
    demo = start_demo(directory)
    said, _ = demo.communicate(timeout=LIMIT_S)
    assert demo.returncode == 0, said
    assert "0 mounts in /proc/self/mountinfo" in said
    require_nothing_left(directory)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_demo_leaves_nothing(directory: Path, number: signal.Signals) -> None:
    demo = start_demo(directory)
    wait_for_volumes(demo, directory, at_least=5)
    demo.send_signal(number)
    said, _ = demo.communicate(timeout=LIMIT_S)
    assert demo.returncode == 130, said
    assert "everything is cleaned up" in said
    require_nothing_left(directory)
