"""Builds the in-memory mock of Kubernetes' own storage tests, in the user's cache directory."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.support.machine import why_no_go

MODULE = "k8s.io/kubernetes"
VERSION = "v1.35.4"
_SOURCE = Path(__file__).with_name("mock") / "main.go"
_BUILD_LIMIT_S = 900
_STAGING = re.compile(r"=> \./staging/src/(k8s\.io/\S+)")
_MODULE_LINE = re.compile(r"^module .*", re.MULTILINE)
_FLAGS = {"GOFLAGS": "-mod=mod -trimpath -buildvcs=false", "GO111MODULE": "on", "CGO_ENABLED": "0"}


class CannotBuildError(Exception):
    """This machine cannot build the mock; the text says what is missing."""


def ensure_mock(environ: Mapping[str, str]) -> Path:
    """The path of the program, which is built where it is not there yet: that takes a minute.

    Safe to repeat, and in parallel.  Raises `CannotBuildError`.
    """
    if (reason := why_no_go()) is not None:
        raise CannotBuildError(reason)
    program = cache_directory(environ, _go("version")) / "csi-mock"
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="building-", dir=program.parent) as building:
            _build(Path(building))
            # A rename: whoever builds at the same time finds no program or a whole one.
            Path(building, program.name).replace(program)
    return program


def cache_directory(environ: Mapping[str, str], go_version: str) -> Path:
    """Where the program is kept: a function of all that it is made from."""
    cache = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME", "/root"), ".cache")
    inputs = f"{go_version}\n{VERSION}\n{_SOURCE.read_text()}"
    return Path(cache, "csi-zfs", f"csi-mock-{hashlib.sha256(inputs.encode()).hexdigest()[:16]}")


def wrapper(go_mod: str) -> str:
    """The go.mod of a module that builds packages of Kubernetes.

    It has Kubernetes' own requirements; what Kubernetes takes from its folder `staging` comes from
    the modules that are published of it at each release.
    """
    published = _STAGING.sub(rf"=> \1 {VERSION.replace('v1.', 'v0.')}", go_mod)
    named = _MODULE_LINE.sub("module wrapper", published)
    return f"{named}\nrequire {MODULE} {VERSION}\n"


def _build(directory: Path) -> None:
    downloaded = json.loads(_go("mod", "download", "-json", f"{MODULE}@{VERSION}"))
    kubernetes = Path(downloaded["Dir"])
    (directory / "go.mod").write_text(wrapper((kubernetes / "go.mod").read_text()))
    (directory / "go.sum").write_bytes((kubernetes / "go.sum").read_bytes())
    shutil.copy(_SOURCE, directory)
    _go("build", "-ldflags=-s -w", "-o", "csi-mock", ".", directory=directory)


def _go(*arguments: str, directory: Path = Path("/")) -> str:
    try:
        done = subprocess.run(
            ["nice", "-n", "10", "go", *arguments],
            capture_output=True,
            check=False,
            cwd=directory,
            env=os.environ | _FLAGS,
            text=True,
            timeout=_BUILD_LIMIT_S,
        )
    except subprocess.TimeoutExpired as exc:
        raise CannotBuildError(f"`go {arguments[0]}` does not end") from exc
    if done.returncode != 0:
        raise CannotBuildError(f"`go {' '.join(arguments)}` fails: {done.stderr.strip()}")
    return done.stdout
