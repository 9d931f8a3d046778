"""Everything that a cluster is started from, built once and never written again."""

import inspect
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import go, images, programs
from e2e.cluster.chart import load_values, sidecar_images
from e2e.cluster.packages import Unpacked, ensure_packages
from e2e.cluster.versions import (
    NODE_PROGRAMS,
    PLUGINS,
    PROGRAMS,
    SIDECARS,
    SNAPSHOT_CLIENT,
    Program,
)
from e2e.vm.cache import Kind, cache_directory
from e2e.vm.commands import ALONE, run_logged
from e2e.vm.progress import step
from e2e.vm.qemu import SPARE_DISK_BYTES
from e2e.vm.recipe import MKFS, digest
from tests.support.leftovers import remove_files

_MKFS_LIMIT_S = 300.0
_FILL_LIMIT_S = 900.0
_DISK_SIZE = "2G"
# Other than the disk of programs it has a journal: a machine that is killed finds it again.
_KEPT_MKFS = ("mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=0", "-d")
_STORE = Path(__file__).with_name("files") / "fill-store"
_CRDS = "config/crd/*storage.k8s.io_*.yaml"


@dataclass(frozen=True, slots=True)
class Assets:
    """Programs and images by name, unpacked packages, manifests of snapshots."""

    programs: Mapping[str, Path]
    packages: Unpacked
    definitions: Path
    images: Mapping[str, Path]


def cluster_cache(environ: Mapping[str, str]) -> Path:
    """Where everything that is built for the cluster is kept, outside of any checkout."""
    return cache_directory(environ).with_name("cluster")


def ensure_assets(checkout: Path, cache: Path, wanted: tuple[Program, ...] = PROGRAMS) -> Assets:
    """Everything that a cluster needs, built first where it is not in the cache."""
    built = programs.ensure_programs(wanted, cache)
    packages = ensure_packages(cache)
    named = sidecar_images(load_values(checkout), SIDECARS)
    sidecars = {name: built[program.name] for name, program in named.items()}
    archives = images.ensure_images(
        images.recipes(sidecars, packages), cache, architecture=go.architecture()
    )
    return Assets(built, packages, _ensure_definitions(cache), archives)


def ensure_node_disk(assets: Assets, cache: Path) -> Path:
    """An image of a file system with what a node in a virtual machine needs."""
    kind = Kind(cache, "node-disk")
    wanted = [assets.programs[program.name] for program in (*NODE_PROGRAMS, *PLUGINS)]
    parts = [str(path) for path in (*wanted, assets.packages.root)]
    finished = kind.path(digest([*parts, inspect.getsource(_fill), repr(MKFS), _DISK_SIZE]))

    def build(work: Path) -> None:
        with step("making the disk of the node in the virtual machine"):
            content = work / "content"
            _fill(content, wanted, assets)
            image = work / "node.img"
            command = [*MKFS, "-d", str(content), str(image), _DISK_SIZE]
            run_logged(command, kind.log, limit_s=_MKFS_LIMIT_S)
            remove_files(content)

    kind.ensure(finished, build)
    return finished / "node.img"


def ensure_kept_disk(assets: Assets, archives: Sequence[Path], cache: Path) -> Path:
    """An image of the disk on which such a node keeps its own, with images unpacked on it."""
    kind = Kind(cache, "kept-disk")
    names = [program.name for program in NODE_PROGRAMS]
    made_by = (_STORE.read_text(encoding="utf-8"), str(assets.programs["containerd"]))
    finished = kind.path(digest([*map(str, archives), *made_by, repr(_KEPT_MKFS)]))

    def build(work: Path) -> None:
        with step("unpacking the images for the node in the virtual machine"):
            (programs := work / "bin").mkdir()
            for name in names:
                (programs / name).symlink_to(assets.programs[name])
            content = work / "content"
            paths = (programs, assets.packages.root, content / "containerd", *archives)
            fill = [*ALONE, str(_STORE), *map(str, paths)]
            run_logged(fill, kind.log, limit_s=_FILL_LIMIT_S)
            image = work / "kept.img"
            with image.open("wb") as file:
                file.truncate(SPARE_DISK_BYTES)
            run_logged([*_KEPT_MKFS, str(content), str(image)], kind.log, limit_s=_MKFS_LIMIT_S)
            remove_files(content)
            remove_files(programs)

    kind.ensure(finished, build)
    return finished / "kept.img"


def link_programs(assets: Assets, directory: Path) -> None:
    """Put all programs into one directory, as links."""
    directory.mkdir()
    for name, path in assets.programs.items():
        (directory / name).symlink_to(path)


def _fill(content: Path, wanted: list[Path], assets: Assets) -> None:
    (content / "bin").mkdir(parents=True)
    for program in wanted:
        shutil.copy(program, content / "bin")
    shutil.copytree(assets.packages.root, content / "packages", symlinks=True)


def _ensure_definitions(cache: Path) -> Path:
    kind = Kind(cache, "definitions")
    finished = kind.path(digest([str(SNAPSHOT_CLIENT), _CRDS]))

    def build(work: Path) -> None:
        for path in sorted(go.download(SNAPSHOT_CLIENT).glob(_CRDS)):
            (work / path.name).write_bytes(path.read_bytes())

    kind.ensure(finished, build)
    return finished
