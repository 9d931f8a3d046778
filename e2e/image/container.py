"""A program in the image's files, as a container runs it: read-only, and without a shell."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.vm.commands import ALONE, search_environment

PYTHON = "/opt/csi-zfs/bin/python"
# A user that nothing in the image knows.
NOBODY_OF_OURS = 65532
_LIMIT_S = 120.0
# A device in the place of the shell cannot be executed.
_ENTER = """\
root=$1 user=$2
shift 2
mount --bind "$root" "$root"
mount --bind /dev/null "$root/usr/bin/dash"
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -o remount,bind,ro "$root"
exec chroot --userspec="$user:$user" --groups= "$root" "$@"
"""


@dataclass(frozen=True, slots=True)
class Container:
    """The unpacked files of an image, and the environment that it gives its programs."""

    root: Path
    environment: Mapping[str, str]

    def run(self, *argv: str, user: int = NOBODY_OF_OURS) -> subprocess.CompletedProcess[str]:
        """Run a program with a read-only root, an empty /tmp, and no way to start a shell."""
        enter = [*ALONE, "sh", "-eu", "-c", _ENTER, "sh", str(self.root), str(user)]
        given = [f"{name}={value}" for name, value in self.environment.items()]
        return subprocess.run(
            [*enter, "/usr/bin/env", "--ignore-environment", *given, *argv],
            check=False,
            env=search_environment() | {"PATH": os.defpath + ":/usr/sbin:/sbin"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
        )

    def output(self, *argv: str, user: int = NOBODY_OF_OURS) -> str:
        """What a program prints, which has to end well."""
        done = self.run(*argv, user=user)
        assert done.returncode == 0, f"{argv} ended with {done.returncode}: {done.stderr}"
        return done.stdout

    def python(self, program: str, user: int = NOBODY_OF_OURS) -> str:
        """What a program in the driver's Python prints, which has to end well."""
        return self.output(PYTHON, "-c", program, user=user)
