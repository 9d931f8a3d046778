"""Servers that tests may kill, each with a bucket of its own."""

import os
import secrets
from collections.abc import Iterator

import pytest

from csi_zfs.cas.objects.remote import RemoteObjects
from e2e.s3.server import PROGRAM, Server, running
from tests.support.machine import why_no_go


def pytest_sessionstart() -> None:
    """End at once, with words, where these tests cannot run."""
    if (reason := why_no_go()) is not None:
        pytest.exit(
            f"these tests build an S3 server, which {reason}: `make e2e-s3`",
            returncode=pytest.ExitCode.USAGE_ERROR,
        )


@pytest.fixture(scope="module", name="server")
def fixture_server() -> Iterator[Server]:
    with running(PROGRAM.ensure(os.environ)) as server:
        yield server


@pytest.fixture(name="prefix")
def fixture_prefix() -> str:
    """Where a test alone keeps objects."""
    return f"{secrets.token_hex(8)}/"


@pytest.fixture(name="storage")
def fixture_storage(server: Server, prefix: str) -> RemoteObjects:
    return RemoteObjects.on_s3(server.place(prefix))
