"""The images that every node has: a shell for test pods, the sandbox, and the CSI sidecars."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import oci
from e2e.cluster.oci import Layer, write_image
from e2e.cluster.packages import Unpacked
from e2e.cluster.versions import BUSYBOX_IMAGE, PAUSE_IMAGE
from e2e.vm.cache import Kind
from e2e.vm.progress import step
from e2e.vm.recipe import digest

_LIMIT_S = 30.0
_DIRECTORIES = ("bin", "dev", "etc", "mnt", "proc", "root", "run", "sys", "usr", "var")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an image is made of: a shell, or one program that it starts."""

    name: str
    program: Path
    entrypoint: tuple[str, ...] = ()

    @property
    def stem(self) -> str:
        """The name without its place and its version."""
        return self.name.rpartition("/")[2].partition(":")[0]


def recipes(sidecars: Mapping[str, Path], packages: Unpacked) -> tuple[Recipe, ...]:
    """The images: of sidecars, by the names that they shall have, and of unpacked packages."""
    # The sandbox only has to be there: who shares its process ids brings a shell that reaps.
    pause = ("/bin/sleep", "2147483647")
    return (
        Recipe(PAUSE_IMAGE, packages.busybox, pause),
        Recipe(BUSYBOX_IMAGE, packages.busybox),
        *(Recipe(name, path, (f"/{path.name}",)) for name, path in sidecars.items()),
    )


def ensure_images(wanted: tuple[Recipe, ...], cache: Path, *, architecture: str) -> dict[str, Path]:
    """The archives of these images by name, written first where they are not in the cache."""
    return {recipe.name: _ensure_image(recipe, cache, architecture) for recipe in wanted}


def _ensure_image(recipe: Recipe, cache: Path, architecture: str) -> Path:
    kind = Kind(cache, f"image-{recipe.stem}")
    # A program's directory has the key of all that it is made from.
    inputs = [recipe.name, str(recipe.program), repr(recipe.entrypoint), architecture]
    made_by = [Path(file).read_text(encoding="utf-8") for file in (oci.__file__, __file__)]
    finished = kind.path(digest([*inputs, *made_by]))

    def build(work: Path) -> None:
        with step(f"writing the image {recipe.name}"):
            write_image(
                work / "image.tar",
                recipe.name,
                _layer(recipe),
                entrypoint=recipe.entrypoint,
                architecture=architecture,
            )

    kind.ensure(finished, build)
    return finished / "image.tar"


def _layer(recipe: Recipe) -> Layer:
    return (
        shell_layer(recipe.program) if recipe.program.name == "busybox" else _single(recipe.program)
    )


def _single(program: Path) -> Layer:
    """A program that needs nothing else, and room for temporary files."""
    layer = Layer()
    layer.directory("tmp", 0o1777)
    layer.program(program.name, program)
    return layer


def shell_layer(busybox: Path) -> Layer:
    """A system of one program under many names."""
    layer = Layer()
    for name in _DIRECTORIES:
        layer.directory(name)
    layer.directory("tmp", 0o1777)
    layer.program("bin/busybox", busybox)
    for applet in _applets(busybox):
        layer.link(f"bin/{applet}", "busybox")
    layer.link("sbin", "bin")
    layer.link("usr/bin", "../bin")
    layer.link("var/run", "../run")
    layer.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    layer.file("etc/group", b"root:x:0:\n")
    return layer


def _applets(busybox: Path) -> list[str]:
    done = subprocess.run(
        [str(busybox), "--list"], check=True, capture_output=True, text=True, timeout=_LIMIT_S
    )
    return [name for name in done.stdout.split() if name != "busybox"]
