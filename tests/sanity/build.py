"""Builds csi-sanity once per version, in the user's cache directory."""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.support.machine import why_no_go

PACKAGE = "github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity"
VERSION = "v5.6.0"
_BUILD_LIMIT_S = 900
_QUERY_LIMIT_S = 30


class CannotBuildError(Exception):
    """This machine cannot build csi-sanity; the text says what is missing."""


def ensure_binary(environ: Mapping[str, str]) -> Path:
    """The path of the binary, which is built where it is not there yet.

    Safe to repeat, and in parallel.  Raises `CannotBuildError`.
    """
    if (reason := why_no_go()) is not None:
        raise CannotBuildError(f"csi-sanity {reason}: see https://go.dev/dl")
    directory = cache_directory(environ, _go("env", "GOVERSION", limit_s=_QUERY_LIMIT_S).strip())
    binary = directory / "csi-sanity"
    if not binary.exists():
        _build(directory)
    return binary


def cache_directory(environ: Mapping[str, str], go_version: str) -> Path:
    """Where the binary of this version, built by this Go, is kept."""
    cache = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME", "/root"), ".cache")
    return Path(cache, "csi-zfs", f"csi-sanity-{VERSION}-{go_version}")


def _build(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="building-", dir=directory) as building:
        _go("install", f"{PACKAGE}@{VERSION}", limit_s=_BUILD_LIMIT_S, GOBIN=building)
        # A rename: whoever builds at the same time finds no binary or a whole one.
        Path(building, "csi-sanity").replace(directory / "csi-sanity")


def _go(*arguments: str, limit_s: float, **variables: str) -> str:
    try:
        done = subprocess.run(
            ["go", *arguments],
            capture_output=True,
            check=False,
            # A checkout's own go.mod or flags have no say in it.
            env=os.environ | {"GOFLAGS": "", "GO111MODULE": "on"} | variables,
            cwd="/",
            text=True,
            timeout=limit_s,
        )
    except subprocess.TimeoutExpired as exc:
        raise CannotBuildError(f"`go {arguments[0]}` did not end within {limit_s:g} s") from exc
    if done.returncode != 0:
        raise CannotBuildError(f"`go {' '.join(arguments)}` fails: {done.stderr.strip()}")
    return done.stdout
