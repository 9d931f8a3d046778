"""From what is asked for to a plan: whatever it takes is built first."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.assets import Assets, ensure_assets, ensure_node_disk, link_programs
from e2e.cluster.errors import ClusterError
from e2e.cluster.layout import Layout
from e2e.cluster.plan import MAX_NATIVE_NODES, Guest, Plan
from e2e.vm.images import ensure_images
from e2e.vm.qemu import free_port


@dataclass(frozen=True, slots=True)
class Wish:
    """What a cluster shall have: native nodes, and a node with OpenZFS or not."""

    native_nodes: int
    with_openzfs: bool


@dataclass(frozen=True, slots=True)
class Caches:
    """Where the builds are: of the cluster, and of the virtual machine."""

    cluster: Path
    vm: Path


def build(wish: Wish, checkout: Path, caches: Caches) -> tuple[Assets, Plan]:
    """Build whatever a cluster takes that is not in the caches.

    Raises:
        ClusterError, VmError: it cannot be built.
    """
    if not 1 <= wish.native_nodes <= MAX_NATIVE_NODES:
        raise ClusterError(f"a cluster has 1 to {MAX_NATIVE_NODES} native nodes")
    assets = ensure_assets(caches.cluster)
    plan = Plan(
        native_nodes=wish.native_nodes,
        packages=str(assets.packages.root),
        definitions=str(assets.definitions),
        images={name: str(path) for name, path in assets.images.items()},
        etcd_port=free_port(),
        etcd_peer_port=free_port(),
        guest=_guest(assets, checkout, caches) if wish.with_openzfs else None,
    )
    return assets, plan


def prepare(layout: Layout, assets: Assets) -> None:
    """Make the state directory of a new cluster, with links to its programs."""
    layout.prepare()
    link_programs(assets, layout.programs)


def is_same(one: Plan, other: Plan) -> bool:
    """Whether two plans differ in nothing but the ports that happened to be free."""
    return _without_ports(one) == _without_ports(other)


def _without_ports(plan: Plan) -> Plan:
    guest = dataclasses.replace(plan.guest, port=0) if plan.guest is not None else None
    return dataclasses.replace(plan, etcd_port=0, etcd_peer_port=0, guest=guest)


def _guest(assets: Assets, checkout: Path, caches: Caches) -> Guest:
    images = ensure_images(checkout, caches.vm)
    programs = ensure_node_disk(assets, caches.cluster)
    return Guest(str(images.system), str(images.environment), str(programs), free_port())
