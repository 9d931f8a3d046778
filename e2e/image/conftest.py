"""The image of this checkout, built where it is not in the cache, and its files."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.image.archive import Archive, Entry
from e2e.image.build import BuiltImage, ensure_image, image_cache
from e2e.image.container import Container
from tests.support.leftovers import remove_files

CHECKOUT = Path(__file__).parents[2]


def pytest_sessionstart() -> None:
    """End at once, with words, where these tests cannot run."""
    if os.geteuid() != 0:
        pytest.exit(
            "these tests unpack and enter an image, which needs root: `make image-test`",
            returncode=pytest.ExitCode.USAGE_ERROR,
        )


@pytest.fixture(scope="session", name="image")
def fixture_image() -> BuiltImage:
    return ensure_image(CHECKOUT, image_cache(os.environ))


@pytest.fixture(scope="session", name="archive")
def fixture_archive(image: BuiltImage) -> Archive:
    return image.archive


@pytest.fixture(scope="session", name="entries")
def fixture_entries(archive: Archive) -> dict[str, Entry]:
    return archive.entries()


@pytest.fixture(scope="session", name="container")
def fixture_container(archive: Archive) -> Iterator[Container]:
    environment = dict(words.split("=", 1) for words in archive.configuration()["config"]["Env"])
    # Beside the caches: /tmp may be memory, and the files of an image are many.
    root = Path(tempfile.mkdtemp(prefix="csi-zfs-image-", dir="/var/tmp"))
    root.chmod(0o755)
    try:
        archive.unpack(root)
        yield Container(root, environment)
    finally:
        remove_files(root)
