"""`make demo`: a newcomer's first view of the driver at work."""

import signal
import sys
import time
from types import FrameType

import grpc
from rich.console import Console

from e2e.demo.scene import NotAsExpectedError
from e2e.demo.steps.beginning import begun
from e2e.demo.steps.crash import play_crash
from e2e.demo.steps.deletion import play_deletion
from e2e.demo.steps.devices import play_devices
from e2e.demo.steps.documents import play_documents
from e2e.demo.steps.ending import play_ending
from e2e.demo.steps.ephemeral import play_ephemeral
from e2e.demo.steps.groups import play_groups
from e2e.demo.steps.observing import play_observing
from e2e.demo.table import StepTable
from e2e.demo.writers import WriterStuckError
from tests.support.leftovers import LeftBehindError, scratch_directory
from tests.support.machine import why_no_root_tier
from tests.support.process import DriverFailedError
from tests.support.signals import STOPPING

_TITLE = "csi-zfs: a volume's whole life"
_HEADER = """\
A driver starts on a pool of its own in a temporary directory. All that follows
is a call on its socket, as Kubernetes would make it, or a look at the real
files, mounts and devices that came of it. At the end nothing is left of it.
"""
_FAILURES = (NotAsExpectedError, WriterStuckError, LeftBehindError, DriverFailedError)
_INTERRUPTED_STATUS = 130
_WIDTH_OF_A_PIPE = 120


def main() -> int:
    """Run the demo; returns the exit status."""
    if (reason := why_no_root_tier()) is not None:
        print(f"make demo {reason}", file=sys.stderr)
        return 1
    console = Console(highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console.width = _WIDTH_OF_A_PIPE
    for number in STOPPING:
        signal.signal(number, _interrupt)
    try:
        _play(console)
    except KeyboardInterrupt:
        console.print("Interrupted; everything is cleaned up.", style="yellow")
        return _INTERRUPTED_STATUS
    except (*_FAILURES, grpc.RpcError) as exc:
        for note in getattr(exc, "__notes__", []):
            console.print(note)
        console.print(f"The demo failed, and everything is cleaned up: {_words(exc)}", style="red")
        return 1
    return 0


def _play(console: Console) -> None:
    console.print(_TITLE, style="bold")
    console.print(_HEADER)
    begin = time.monotonic()
    steps = StepTable(console)
    with (
        scratch_directory("csi-zfs-demo-") as root,
        begun(root, steps) as scene,
    ):
        documents = play_documents(scene)
        devices = play_devices(scene)
        groups = play_groups(scene)
        play_ephemeral(scene)
        play_observing(scene, documents.restored)
        play_crash(scene, documents.restored)
        play_deletion(scene, documents, devices, groups)
        proof = play_ending(scene)
    console.print(f"\n{steps.count} steps in {time.monotonic() - begin:.1f} s. What is left:")
    for line in proof:
        console.print(f"  ✓ {line}", style="green")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # One is enough: a second one must not interrupt the cleaning up.
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _words(error: Exception) -> str:
    if isinstance(error, grpc.Call):
        return f"the driver answered {error.code().name}: {error.details()}"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
