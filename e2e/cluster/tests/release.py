"""The driver on the cluster: the image and the chart of this checkout, installed as users do."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from e2e.cluster.cluster import Cluster
from e2e.cluster.node import images_on, load_archive, tag_image
from e2e.cluster.versions import SIDECARS, sidecar_image
from e2e.image import recipe
from e2e.image.archive import Archive
from e2e.image.build import ensure_image, image_cache

CHECKOUT = Path(__file__).parents[3]
CHART = CHECKOUT / "charts" / "csi-zfs"
NAMESPACE = "csi-zfs"
RELEASE = "csi-zfs"
DRIVER_NAME = "csi-zfs.io"
_INSTALL_LIMIT = "300s"
_INSTALL_LIMIT_S = 360.0


def driver_image() -> Archive:
    """The image of this checkout, built first where it is not in the cache."""
    cache = image_cache(os.environ)
    return ensure_image(CHECKOUT, cache, epoch_s=recipe.epoch(os.environ)).archive


def provide_images(cluster: Cluster) -> None:
    """Give every node the driver's image, and the sidecars under the names of the chart."""
    archive = driver_image()
    names = sidecar_names(yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8")))
    for node in cluster.nodes():
        known = images_on(node)
        # The digest tells one build of a version from another one.
        built = f"{archive.name.partition(':')[0]}:{archive.digest.partition(':')[2][:16]}"
        if built not in known:
            load_archive(node, archive.path)
            tag_image(node, archive.name, built)
        tag_image(node, built, archive.name)
        for ours, theirs in names.items():
            if theirs not in known:
                tag_image(node, ours, theirs)


def sidecar_names(values: dict[str, Any]) -> dict[str, str]:
    """The names that the chart's values have for the images of sidecars, by our names."""
    images = [sidecar["image"] for sidecar in values["sidecars"].values()]
    theirs = {
        image["repository"].rpartition("/")[2]: f"{image['repository']}:{image['tag']}"
        for image in images
    }
    return {sidecar_image(program): theirs[program.name] for program in SIDECARS}


@dataclass(frozen=True, slots=True)
class Release:
    """An installation of the chart."""

    cluster: Cluster

    def install(self, *words: str) -> None:
        """Install it and wait until all of it is ready."""
        self.cluster.helm.run(
            *("install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--create-namespace"),
            *("--wait", "--timeout", _INSTALL_LIMIT, *words),
            limit_s=_INSTALL_LIMIT_S,
        )

    def test(self) -> None:
        """Run the chart's own test."""
        self.cluster.helm.run("test", RELEASE, "--namespace", NAMESPACE, "--logs")

    def uninstall(self, *words: str) -> None:
        """Uninstall it and wait until it is gone."""
        self.cluster.helm.run(
            *("uninstall", RELEASE, "--namespace", NAMESPACE, "--ignore-not-found"),
            *("--wait", "--timeout", _INSTALL_LIMIT, *words),
            limit_s=_INSTALL_LIMIT_S,
        )


@contextmanager
def installed(cluster: Cluster, *words: str) -> Iterator[Release]:
    """The driver for the length of a `with` block."""
    provide_images(cluster)
    release = Release(cluster)
    # Of a run that was killed.
    release.uninstall("--no-hooks")
    release.install(*words)
    try:
        yield release
    finally:
        release.uninstall("--no-hooks")
