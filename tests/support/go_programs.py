"""Programs in Go, each built once for its version, in the user's cache directory."""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.machine import why_no_go

_BUILD_LIMIT_S = 900
_QUERY_LIMIT_S = 30


class CannotBuildError(Exception):
    """This machine cannot build the program; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class GoProgram:
    """A program as its module publishes it.

    Attributes:
        package: the package of its main function; its last part is the program's name.
        version: that of the module.
    """

    package: str
    version: str

    @property
    def name(self) -> str:
        """What the file is called."""
        return self.package.rpartition("/")[2]

    def ensure(self, environ: Mapping[str, str]) -> Path:
        """The path of the program, which is built where it is not there yet.

        Safe to repeat, and in parallel.  Raises `CannotBuildError`.
        """
        if (reason := why_no_go()) is not None:
            raise CannotBuildError(f"{self.name} {reason}: see https://go.dev/dl")
        go_version = _go("env", "GOVERSION", limit_s=_QUERY_LIMIT_S).strip()
        program = self.cache_directory(environ, go_version) / self.name
        if not program.exists():
            self._build(program)
        return program

    def cache_directory(self, environ: Mapping[str, str], go_version: str) -> Path:
        """Where the program of this version, built by this Go, is kept."""
        if own := environ.get("CSI_ZFS_CACHE"):
            cache = Path(own).resolve()
        else:
            base = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME", "/root"), ".cache")
            cache = Path(base, "csi-zfs")
        return cache / f"{self.name}-{self.version}-{go_version}"

    def _build(self, program: Path) -> None:
        program.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="building-", dir=program.parent) as building:
            _go("install", f"{self.package}@{self.version}", limit_s=_BUILD_LIMIT_S, GOBIN=building)
            # A rename: whoever builds at the same time finds no program or a whole one.
            Path(building, self.name).replace(program)


def _go(*arguments: str, limit_s: float, **variables: str) -> str:
    # A checkout's own go.mod or flags have no say in it.
    own = {"GOFLAGS": "-trimpath", "GO111MODULE": "on", "CGO_ENABLED": "0"}
    try:
        done = subprocess.run(
            ["go", *arguments],
            capture_output=True,
            check=False,
            env=os.environ | own | variables,
            cwd="/",
            text=True,
            timeout=limit_s,
        )
    except subprocess.TimeoutExpired as exc:
        raise CannotBuildError(f"`go {arguments[0]}` did not end within {limit_s:g} s") from exc
    if done.returncode != 0:
        raise CannotBuildError(f"`go {' '.join(arguments)}` fails: {done.stderr.strip()}")
    return done.stdout
