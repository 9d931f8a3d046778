"""Everything that a cluster is started from, built once and never written again."""

import inspect
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import go, images, programs
from e2e.cluster.packages import Unpacked, ensure_packages
from e2e.cluster.versions import NODE_PROGRAMS, PLUGINS, PROGRAMS, SNAPSHOT_CLIENT, Program
from e2e.vm.cache import Kind, cache_directory
from e2e.vm.commands import run_logged
from e2e.vm.progress import step
from e2e.vm.recipe import MKFS, digest
from tests.support.leftovers import remove_files

_MKFS_LIMIT_S = 300.0
_DISK_SIZE = "2G"
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


def ensure_assets(cache: Path, wanted: tuple[Program, ...] = PROGRAMS) -> Assets:
    """Everything that a cluster needs, built first where it is not in the cache."""
    built = programs.ensure_programs(wanted, cache)
    packages = ensure_packages(cache)
    archives = images.ensure_images(
        images.recipes(built, packages), cache, architecture=go.architecture()
    )
    return Assets(built, packages, _ensure_definitions(cache), archives)


def ensure_node_disk(assets: Assets, cache: Path) -> Path:
    """An image of a file system with what a node in a virtual machine needs."""
    kind = Kind(cache, "node-disk")
    wanted = [assets.programs[program.name] for program in (*NODE_PROGRAMS, *PLUGINS)]
    parts = [str(path) for path in (*wanted, assets.packages.root, *assets.images.values())]
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


def name_on_disk(archive: Path) -> str:
    """The name that the archive of an image has on the disk of a node."""
    return f"{archive.parent.name}.tar"


def link_programs(assets: Assets, directory: Path) -> None:
    """Put all programs into one directory, as links."""
    directory.mkdir()
    for name, path in assets.programs.items():
        (directory / name).symlink_to(path)


def _fill(content: Path, wanted: list[Path], assets: Assets) -> None:
    for name in ("bin", "images"):
        (content / name).mkdir(parents=True)
    for program in wanted:
        shutil.copy(program, content / "bin")
    shutil.copytree(assets.packages.root, content / "packages", symlinks=True)
    for archive in assets.images.values():
        shutil.copyfile(archive, content / "images" / name_on_disk(archive))


def _ensure_definitions(cache: Path) -> Path:
    kind = Kind(cache, "definitions")
    finished = kind.path(digest([str(SNAPSHOT_CLIENT), _CRDS]))

    def build(work: Path) -> None:
        for path in sorted(go.download(SNAPSHOT_CLIENT).glob(_CRDS)):
            (work / path.name).write_bytes(path.read_bytes())

    kind.ensure(finished, build)
    return finished


def default_cache() -> Path:
    """Where this user's builds are."""
    return cluster_cache(os.environ)
