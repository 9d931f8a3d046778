"""Builds csi-sanity once per version, in the user's cache directory."""

from collections.abc import Mapping
from pathlib import Path

from tests.support.go_programs import CannotBuildError, GoProgram

__all__ = ["VERSION", "CannotBuildError", "cache_directory", "ensure_binary"]

VERSION = "v5.6.0"
_PROGRAM = GoProgram("github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity", VERSION)


def ensure_binary(environ: Mapping[str, str]) -> Path:
    """The path of the binary, which is built where it is not there yet.

    Safe to repeat, and in parallel.  Raises `CannotBuildError`.
    """
    return _PROGRAM.ensure(environ)


def cache_directory(environ: Mapping[str, str], go_version: str) -> Path:
    """Where the binary of this version, built by this Go, is kept."""
    return _PROGRAM.cache_directory(environ, go_version)
