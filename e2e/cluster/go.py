"""The Go command, free of what a checkout or a user says to it."""

import json
import os
import subprocess
from pathlib import Path

from e2e.cluster.errors import CannotBuildError
from e2e.cluster.versions import Module
from e2e.vm.commands import search_environment, tail
from tests.support.machine import why_no_go

_BUILD_LIMIT_S = 3600.0
_QUERY_LIMIT_S = 900.0
# The same flags give the same results: they are part of every program's key.
FLAGS = ("-mod=mod", "-trimpath", "-buildvcs=false")
VARIABLES = {"GO111MODULE": "on", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}


def version() -> str:
    """Which Go this machine has, for which processor.

    Raises:
        CannotBuildError: it has none.
    """
    if (reason := why_no_go()) is not None:
        raise CannotBuildError(f"the cluster {reason}: see https://go.dev/dl")
    return _query("env", "GOVERSION", "GOOS", "GOARCH")


def architecture() -> str:
    """The processor that programs are built for, as Go calls it."""
    return _query("env", "GOARCH").strip()


def download(module: Module) -> Path:
    """Where the source of a module is on this machine, fetched first where it is not there."""
    answer = json.loads(_query("mod", "download", "-json", str(module)))
    return Path(answer["Dir"])


def build(arguments: list[str], directory: Path, log: Path) -> None:
    """Run a command that builds, in a module's directory, after whoever else works here.

    Raises:
        CannotBuildError: it failed; the text ends with what it said.
    """
    with log.open("ab") as output:
        try:
            done = subprocess.run(
                ["nice", "-n", "10", "go", *arguments],
                check=False,
                cwd=directory,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=_BUILD_LIMIT_S,
            )
        except subprocess.TimeoutExpired as exc:
            words = f"`go {arguments[0]}` took over {_BUILD_LIMIT_S:g} s; see {log}"
            raise CannotBuildError(words) from exc
    if done.returncode != 0:
        raise CannotBuildError(f"`go {arguments[0]}` failed; {log} ends with\n{tail(log)}")


def _query(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["go", *arguments],
            check=False,
            capture_output=True,
            cwd="/",
            env=_environment(),
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=_QUERY_LIMIT_S,
        )
    except subprocess.TimeoutExpired as exc:
        raise CannotBuildError(f"`go {arguments[0]}` does not end") from exc
    if done.returncode != 0:
        words = f"{done.stdout}{done.stderr}".strip()
        raise CannotBuildError(f"`go {' '.join(arguments)}` fails: {words}")
    return done.stdout


def _environment() -> dict[str, str]:
    parallel = f"-p={os.cpu_count() or 1}"
    return search_environment() | VARIABLES | {"GOFLAGS": " ".join([*FLAGS, parallel])}
