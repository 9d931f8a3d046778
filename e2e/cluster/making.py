"""From what is asked for to a plan: whatever it takes is built first."""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.assets import (
    Assets,
    ensure_assets,
    ensure_kept_disk,
    ensure_node_disk,
    link_programs,
)
from e2e.cluster.errors import ClusterError
from e2e.cluster.layout import MAX_NATIVE_NODES, Layout
from e2e.cluster.plan import Guest, Plan
from e2e.image import recipe
from e2e.image.build import ensure_image
from e2e.vm.images import ensure_images
from e2e.vm.qemu import free_port


@dataclass(frozen=True, slots=True)
class Wish:
    """What a cluster shall have: native nodes, and a node with OpenZFS or not."""

    native_nodes: int
    with_openzfs: bool


@dataclass(frozen=True, slots=True)
class Caches:
    """Where the builds are: of the cluster, of the virtual machine, of the driver's image."""

    cluster: Path
    vm: Path
    image: Path


def build(wish: Wish, checkout: Path, caches: Caches) -> tuple[Assets, Plan]:
    """Build whatever a cluster takes that is not in the caches.

    Raises:
        ClusterError, VmError: it cannot be built.
    """
    if not 1 <= wish.native_nodes <= MAX_NATIVE_NODES:
        raise ClusterError(f"a cluster has 1 to {MAX_NATIVE_NODES} native nodes")
    assets = ensure_assets(checkout, caches.cluster)
    driver = ensure_image(checkout, caches.image, epoch_s=recipe.epoch(os.environ)).archive
    archives = [*assets.images.values(), driver.path]
    plan = Plan(
        native_nodes=wish.native_nodes,
        packages=str(assets.packages.root),
        definitions=str(assets.definitions),
        images={name: str(path) for name, path in assets.images.items()},
        driver_image=driver.name,
        driver_archive=str(driver.path),
        etcd_port=free_port(),
        etcd_peer_port=free_port(),
        guest=_guest(assets, checkout, caches, archives) if wish.with_openzfs else None,
    )
    return assets, plan


def prepare(layout: Layout, assets: Assets) -> None:
    """Make the state directory of a new cluster, with links to its programs."""
    layout.prepare()
    link_programs(assets, layout.programs)


def is_same(one: Plan, other: Plan) -> bool:
    """Whether two plans are of the same cluster: ports are free by chance, the driver changes."""
    return _essence(one) == _essence(other)


def _essence(plan: Plan) -> Plan:
    guest = dataclasses.replace(plan.guest, port=0, kept="") if plan.guest is not None else None
    return dataclasses.replace(plan, etcd_port=0, etcd_peer_port=0, driver_archive="", guest=guest)


def _guest(assets: Assets, checkout: Path, caches: Caches, archives: Sequence[Path]) -> Guest:
    images = ensure_images(checkout, caches.vm)
    return Guest(
        system=str(images.system),
        environment=str(images.environment),
        programs=str(ensure_node_disk(assets, caches.cluster)),
        kept=str(ensure_kept_disk(assets, archives, caches.cluster)),
        port=free_port(),
    )
