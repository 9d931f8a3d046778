"""A pool on real OpenZFS for the tests of this room."""

import importlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from csi_zfs.zfs.binding import DirectLibzfsCore
from tests.support.process import run_command
from tests.support.zfs_pools import made_zpool

_MODULE_VERSION = Path("/sys/module/zfs/version")
_POOL_BYTES = 2 << 30


def pytest_sessionstart() -> None:
    """End at once, with words, where these tests cannot run."""
    if os.geteuid() != 0 or not _MODULE_VERSION.exists():
        pytest.exit(
            "these tests need root and OpenZFS: `make e2e-zfs` runs them in a virtual machine",
            returncode=pytest.ExitCode.USAGE_ERROR,
        )


@pytest.fixture(scope="session", name="module_version")
def fixture_module_version() -> str:
    """The version of the kernel module, without what Debian adds."""
    return _MODULE_VERSION.read_text().partition("-")[0].strip()


@pytest.fixture(scope="session", name="lzc")
def fixture_lzc() -> ModuleType:
    """libzfs_core, as the environment sees it; it is there only where OpenZFS is."""
    return importlib.import_module("libzfs_core")


@pytest.fixture(scope="module", name="zpool")
def fixture_zpool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a pool of its own for a test module, on a sparse file; gone afterwards."""
    directory = tmp_path_factory.mktemp("zpool")
    with made_zpool(directory, DirectLibzfsCore(), size_bytes=_POOL_BYTES) as zpool:
        yield zpool.name


@pytest.fixture(name="dataset")
def fixture_dataset(zpool: str) -> str:
    """The parent of a pool that the command has just made."""
    dataset = f"{zpool}/{uuid.uuid4().hex[:12]}"
    run_command("pool", "create", "tank", "--dataset", dataset)
    return dataset
