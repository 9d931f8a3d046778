"""Programs that are built out here and run in the guest, which has neither Go nor a network."""

import hashlib
import subprocess
from pathlib import Path

from e2e.vm.guest import Guest
from e2e.vm.progress import step

PROGRAMS_IN_GUEST = "/root/programs"
_LIMIT_S = 120.0


def provide(guest: Guest, program: Path) -> None:
    """Put a program into the guest, under its own name; one that is there already stays.

    Raises:
        GuestFailedError: the guest did not take it.
    """
    data = program.read_bytes()
    target = f"{PROGRAMS_IN_GUEST}/{program.name}"
    with step(f"copying {program.name}"):
        if _digest_in(guest, target) == hashlib.sha256(data).hexdigest():
            return
        script = f"mkdir -p {PROGRAMS_IN_GUEST}; cat >{target}.new; chmod 755 {target}.new"
        done = subprocess.run(
            guest.shell.script(f"{script}; mv {target}.new {target}"),
            check=False,
            input=data,
            capture_output=True,
            timeout=_LIMIT_S,
        )
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip()
        raise guest.failure(f"did not take {program.name} ({words})")


def _digest_in(guest: Guest, target: str) -> str:
    done = subprocess.run(
        guest.shell.script(f"if [ -e {target} ]; then sha256sum {target}; fi"),
        check=False,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=_LIMIT_S,
    )
    return done.stdout.decode().partition(" ")[0]
