"""Commands of the build: what they say goes into a log, and its end into the error."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from e2e.vm.errors import VmError

_TAIL_BYTES = 6000
# mkfs and losetup are not on every user's path.
_SYSTEM_PATH = os.pathsep.join(["/usr/local/sbin", "/usr/sbin", "/sbin"])
# A build that is killed takes its children along, and its mounts are nobody else's.
ALONE = (
    *("setpriv", "--pdeathsig", "KILL", "--"),
    *("unshare", "--mount", "--propagation", "private"),
    *("--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--"),
)


class CommandFailedError(VmError):
    """A command of the build failed or took too long; the text ends with what it said."""


def run_logged(
    command: Sequence[str],
    log: Path,
    *,
    limit_s: float,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a command, with its output added to `log`.

    Raises:
        CommandFailedError: it ended with another status than 0, or not within `limit_s`.
    """
    with log.open("ab") as output:
        try:
            done = subprocess.run(
                command,
                check=False,
                env=search_environment() | dict(environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=limit_s,
            )
        except FileNotFoundError as exc:
            raise CommandFailedError(f"{command[0]} is not installed: see `make vm`") from exc
        except subprocess.TimeoutExpired as exc:
            raise CommandFailedError(_words(command, f"took over {limit_s:g} s", log)) from exc
    if done.returncode != 0:
        raise CommandFailedError(_words(command, f"failed with {done.returncode}", log))


def search_environment() -> dict[str, str]:
    """The caller's environment, with the administrator's tools on the path."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), _SYSTEM_PATH])
    return dict(os.environ) | {"PATH": path, "LC_ALL": "C.UTF-8"}


def tail(path: Path) -> str:
    """The end of a log."""
    return path.read_bytes()[-_TAIL_BYTES:].decode(errors="replace") if path.exists() else ""


def _words(command: Sequence[str], what: str, log: Path) -> str:
    return f"{command[0]} {what}; {log} ends with\n{tail(log)}"
