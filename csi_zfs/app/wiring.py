"""Which service gets what: the one place where they are put together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from csi_zfs.datasets.api import DatasetManager
from csi_zfs.mount.api import Mounter
from csi_zfs.rpc.services import Services
from csi_zfs.services.catalogue import Catalogue
from csi_zfs.services.creation import VolumeCreation
from csi_zfs.services.detaching import Detaching
from csi_zfs.services.ephemeral import EphemeralVolumes
from csi_zfs.services.groups import GroupSnapshots
from csi_zfs.services.health import Health
from csi_zfs.services.identity import Identity
from csi_zfs.services.locks import KeyedLocks
from csi_zfs.services.node_state import NodeState, StateStore
from csi_zfs.services.pools import Pools
from csi_zfs.services.publishing import Publishing
from csi_zfs.services.quiescence import Quiescence
from csi_zfs.services.recovery import Recovery
from csi_zfs.services.snapshots import Snapshots
from csi_zfs.services.sources import Sources
from csi_zfs.services.staging import Staging
from csi_zfs.services.statistics import Statistics
from csi_zfs.services.volumes import Volumes
from csi_zfs.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines:
    """What the services stand on; tests put fakes here."""

    pools: Sequence[DatasetManager]
    mounter: Mounter
    state_store: StateStore
    observe_extents: Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Driver:
    """The services of one node, and what its front ends and its start need beside them."""

    services: Services
    statistics: Statistics
    recovery: Recovery
    catalogue: Catalogue


def build_driver(settings: Settings, engines: Engines) -> Driver:
    """Wire the services.  Touches nothing: run `recovery` before the first call."""
    pools, mounter, locks = Pools(engines.pools), engines.mounter, KeyedLocks()
    catalogue, node_state = Catalogue(pools), NodeState(engines.state_store)
    identity = _identity_of(settings)
    quiescence = Quiescence(node_state, mounter, freeze_limit_s=settings.freeze_limit_s)
    staging, detaching = Staging(mounter), Detaching(pools, node_state, mounter)
    creation = VolumeCreation(
        pools=pools,
        catalogue=catalogue,
        locks=locks,
        sources=Sources(catalogue, locks),
        quiescence=quiescence,
        identity=identity,
        default_size_bytes=settings.default_volume_size_bytes,
        observe_extents=engines.observe_extents,
    )
    snapshots = Snapshots(
        pools=pools,
        catalogue=catalogue,
        locks=locks,
        quiescence=quiescence,
        observe_extents=engines.observe_extents,
    )
    services = Services(
        identity=identity,
        volumes=Volumes(
            pools=pools,
            catalogue=catalogue,
            locks=locks,
            creation=creation,
            node_state=node_state,
            mounter=mounter,
            identity=identity,
        ),
        snapshots=snapshots,
        groups=GroupSnapshots(
            pools=pools,
            catalogue=catalogue,
            locks=locks,
            quiescence=quiescence,
            snapshots=snapshots,
        ),
        publishing=Publishing(
            pools=pools,
            catalogue=catalogue,
            locks=locks,
            node_state=node_state,
            mounter=mounter,
            staging=staging,
            detaching=detaching,
            ephemeral=EphemeralVolumes(
                pools=pools, locks=locks, node_state=node_state, mounter=mounter, staging=staging
            ),
        ),
        health=Health(pools, catalogue, node_state, mounter),
    )
    recovery = Recovery(pools, catalogue, node_state, mounter, detaching)
    return Driver(services, Statistics(pools, catalogue), recovery, catalogue)


def _identity_of(settings: Settings) -> Identity:
    return Identity(
        settings.driver_name, version("csi-zfs"), settings.node_id, settings.topology_key
    )
