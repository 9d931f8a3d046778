"""What of a checkout reaches the build, as it was at one moment."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.vm.tree import tree_files
from tests.support.leftovers import remove_files

DOCKERFILE = "Dockerfile"
# .dockerignore says the same to an engine.
CONTEXT = (
    "LICENSE",
    "README.md",
    "csi_zfs",
    "pyproject.toml",
    "requirements/build.lock",
    "requirements/run.lock",
    "tools/sbom.py",
)
LOCKS = tuple(name for name in CONTEXT if name.endswith(".lock"))


@contextmanager
def staged(checkout: Path) -> Iterator[Path]:
    """A copy of these files: a build takes minutes, in which the checkout may change."""
    context = Path(tempfile.mkdtemp(prefix="csi-zfs-context-"))
    try:
        for name in [DOCKERFILE, *context_files(tree_files(checkout))]:
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(checkout / name, context / name)
        yield context
    finally:
        remove_files(context)


def context_files(files: Iterable[str]) -> list[str]:
    """Of the files of a checkout, those that reach the build."""
    return [name for name in files if any(_is_below(name, chosen) for chosen in CONTEXT)]


def _is_below(name: str, chosen: str) -> bool:
    return name == chosen or name.startswith(f"{chosen}/")
