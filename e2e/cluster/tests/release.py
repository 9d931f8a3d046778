"""The driver on the cluster: the image and the chart of this checkout, installed as users do."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.chart import CHART
from e2e.cluster.cluster import Cluster
from e2e.cluster.errors import CommandFailedError
from e2e.cluster.kubectl import Kubectl
from e2e.image import recipe
from e2e.image.archive import Archive
from e2e.image.build import ensure_image, image_cache

CHECKOUT = Path(__file__).parents[3]
NAMESPACE = "csi-zfs"
RELEASE = "csi-zfs"
_UNUSED_LIMIT_S = 120.0
_INSTALL_LIMIT = "300s"
_INSTALL_LIMIT_S = 360.0


def driver_image() -> Archive:
    """The image of this checkout, built first where it is not in the cache."""
    cache = image_cache(os.environ)
    return ensure_image(CHECKOUT, cache, epoch_s=recipe.epoch(os.environ)).archive


@dataclass(frozen=True, slots=True)
class Release:
    """An installation of the chart."""

    cluster: Cluster

    @property
    def kubectl(self) -> Kubectl:
        """Its namespace."""
        return self.cluster.kubectl.in_namespace(NAMESPACE)

    def install(self, *words: str) -> None:
        """Install it and wait until all of it is ready."""
        self.cluster.helm.run(
            *(
                "install",
                RELEASE,
                str(CHECKOUT / CHART),
                "--namespace",
                NAMESPACE,
                "--create-namespace",
            ),
            *("--wait", "--timeout", _INSTALL_LIMIT, *words),
            limit_s=_INSTALL_LIMIT_S,
        )

    def test(self) -> None:
        """Run the chart's own test."""
        self.cluster.helm.run("test", RELEASE, "--namespace", NAMESPACE)

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
    cluster.provide(driver_image())
    release = Release(cluster)
    # Of a run that was killed.
    release.uninstall("--no-hooks")
    release.install(*words)
    try:
        yield release
    finally:
        # What is left of a driver's volumes when it goes stays until it is there again.
        with suppress(CommandFailedError):
            cluster.kubectl.wait_until_none("persistentvolumes", limit_s=_UNUSED_LIMIT_S)
        release.uninstall("--no-hooks")
