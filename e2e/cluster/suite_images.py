"""The images that Kubernetes' own suite asks for, by the names under which it does."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from e2e.cluster import go
from e2e.cluster.assets import Assets
from e2e.cluster.images import shell_layer
from e2e.cluster.oci import write_image
from e2e.vm.cache import Kind
from e2e.vm.recipe import digest

_LIMIT_S = 60.0
# One spec runs a shell in the image of a web server.
_SHELLS = ("busybox", "nginx")
_AGNHOST = "agnhost"


def ensure_suite_images(assets: Assets, cache: Path) -> Iterator[Path]:
    """Archives of these images, written first where they are not in the cache."""
    for name in _wanted(assets.programs["e2e.test"]):
        yield _ensure(name, assets, cache)


def _wanted(suite: Path) -> Iterator[str]:
    done = subprocess.run(
        [str(suite), "--list-images"], check=True, capture_output=True, text=True, timeout=_LIMIT_S
    )
    for name in done.stdout.split():
        if name.rpartition("/")[2].partition(":")[0] in {*_SHELLS, _AGNHOST}:
            yield name


def _ensure(name: str, assets: Assets, cache: Path) -> Path:
    stem = name.rpartition("/")[2].partition(":")[0]
    kind = Kind(cache, f"image-{stem}")
    programs = (assets.packages.busybox, assets.programs[_AGNHOST])
    finished = kind.path(digest([name, *map(str, programs)]))

    def build(work: Path) -> None:
        layer = shell_layer(assets.packages.busybox)
        if stem == _AGNHOST:
            layer.program(_AGNHOST, assets.programs[_AGNHOST])
        write_image(
            work / "image.tar",
            name,
            layer,
            entrypoint=(f"/{_AGNHOST}",) if stem == _AGNHOST else (),
            architecture=go.architecture(),
        )

    kind.ensure(finished, build)
    return finished / "image.tar"
