"""`python -m e2e.vm`: the virtual machine with real OpenZFS, for developers and for `make`."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from e2e.vm.cache import cache_directory, locked
from e2e.vm.errors import VmError
from e2e.vm.guest import Guest, booted, load_guest, preferred, start_guest
from e2e.vm.images import Images, ensure_images, wanted_images
from e2e.vm.programs import provide
from e2e.vm.progress import say
from e2e.vm.run import DEFAULT_LIMIT_S, Selection, run_module, run_pytest
from e2e.vm.suites import SHORT_SUITES, SUITES, run_suites
from tests.sanity.build import CannotBuildError, ensure_binary
from tests.support.signals import interrupt_once

_CHECKOUT = Path(__file__).parents[2]
_CACHE = cache_directory(os.environ)
_STATE = _CACHE / "guest.json"
_RESULTS = _CHECKOUT / "build" / "e2e-zfs"
_INTERRUPTED_STATUS = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    asked = _parsed(arguments)
    interrupt_once()
    command: Callable[[argparse.Namespace], int] = asked.command
    try:
        return command(asked)
    except KeyboardInterrupt:
        say("interrupted")
        return _INTERRUPTED_STATUS
    except VmError as exc:
        print(f"vm: {exc}", file=sys.stderr)
        return 1


def build(_asked: argparse.Namespace) -> int:
    """Build the images that are not in the cache."""
    images = _images()
    say(f"the images are {images.root} and {images.second}")
    return 0


def up(_asked: argparse.Namespace) -> int:
    """Boot a guest and leave it running."""
    images = _images()
    with locked(_CACHE / "up.lock", "another `up` or `down`"):
        guest = load_guest(_STATE)
        if guest is not None and guest.machine.images != images:
            say("the running guest has other images: ending it")
            guest.stop()
            guest = None
        if guest is None:
            guest = start_guest(images, _CACHE, outlives_us=True)
            guest.save(_STATE)
    say(f"a guest is up; its console is {guest.machine.console}")
    for words in ("run e2e/zfs -x", "ssh", "down"):
        say(f"  {sys.executable} -m e2e.vm {words}")
    return 0


def down(_asked: argparse.Namespace) -> int:
    """End the running guest."""
    with locked(_CACHE / "up.lock", "another `up` or `down`"):
        guest = load_guest(_STATE)
        if guest is not None:
            guest.stop()
        _STATE.unlink(missing_ok=True)
    say("no guest was up" if guest is None else "the guest is down")
    return 0


def run(asked: argparse.Namespace) -> int:
    """Run pytest with these arguments in the running guest, or in one for this run alone."""
    selection = _selection(asked, "e2e/zfs")
    with _running_or_booted() as guest:
        _provide_programs(guest)
        return run_pytest(_CHECKOUT, guest, selection)


def module(asked: argparse.Namespace) -> int:
    """Run a Python module that measures, there, before all else; /run/results comes back."""
    selection = _selection(asked)
    if not selection.arguments:
        raise VmError("no module is named")
    with _running_or_booted() as guest, preferred(guest):
        return run_module(_CHECKOUT, guest, selection)


def suites(asked: argparse.Namespace) -> int:
    """Run the suites in guests of its own making, and end with a summary."""
    images = _images()

    @contextmanager
    def boot() -> Iterator[Guest]:
        with booted(images, _CACHE) as guest:
            _provide_programs(guest)
            yield guest

    chosen = SHORT_SUITES if asked.short else SUITES
    return run_suites(_CHECKOUT, boot, _RESULTS, limit_s=asked.limit_s, chosen=chosen)


def ssh(asked: argparse.Namespace) -> int:
    """Run a command in the running guest, or log in."""
    guest = load_guest(_STATE)
    if guest is None:
        raise VmError("no guest is up: python -m e2e.vm up")
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    # As ssh itself takes them: what the words are together is for the shell over there.
    text = " ".join(word for word in asked.arguments if word != "--")
    words = ("/bin/bash", "-c", text) if text else ()
    return subprocess.run(guest.shell.command(*words, terminal=terminal), check=False).returncode


def _selection(asked: argparse.Namespace, *default: str) -> Selection:
    arguments = tuple(word for word in asked.arguments if word != "--") or default
    return Selection(arguments, _RESULTS / asked.name, asked.limit_s)


@contextmanager
def _running_or_booted() -> Iterator[Guest]:
    running = load_guest(_STATE)
    if running is not None:
        _warn_of_other_images(running)
        yield running
    else:
        with booted(_images(), _CACHE) as guest:
            yield guest


def _provide_programs(guest: Guest) -> None:
    try:
        provide(guest, ensure_binary(os.environ))
    except CannotBuildError as exc:  # the suite that needs it fails, and the others run
        say(f"without csi-sanity: {exc}")


def _images() -> Images:
    return ensure_images(_CHECKOUT, _CACHE)


def _warn_of_other_images(guest: Guest) -> None:
    if guest.machine.images != wanted_images(_CHECKOUT, _CACHE):
        say("the running guest has other images than this checkout: `up` boots the right ones")


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m e2e.vm", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (build, up, run, module, suites, ssh, down):
        words = (command.__doc__ or "").splitlines()[0]
        parsed = commands.add_parser(command.__name__, help=words, description=words)
        parsed.set_defaults(command=command)
        if command in {run, module, suites}:
            parsed.add_argument(
                "--limit-s", type=float, default=DEFAULT_LIMIT_S, help="end it after so long"
            )
        if command is suites:
            parsed.add_argument("--short", action="store_true", help="what CI has the time for")
        if command in {run, module}:
            parsed.add_argument("--name", default="run", help="of the results in build/e2e-zfs/")
        if command in {run, module, ssh}:
            parsed.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
