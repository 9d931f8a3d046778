"""Which service gets what: the one place where they are put together."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Self

from csi_zfs.datasets.api import DatasetManager
from csi_zfs.mount.api import Mounter
from csi_zfs.rpc.services import Services
from csi_zfs.services.burial import Burial
from csi_zfs.services.catalogue import Catalogue
from csi_zfs.services.creation import VolumeCreation
from csi_zfs.services.detaching import Detaching
from csi_zfs.services.ephemeral import EphemeralVolumes
from csi_zfs.services.groups import GroupSnapshots
from csi_zfs.services.health import Health
from csi_zfs.services.identity import Identity
from csi_zfs.services.keys import VolumeKeys
from csi_zfs.services.locks import KeyedLocks
from csi_zfs.services.named import NamedThings
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
from csi_zfs.settings import ControllerSettings, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines:
    """What the services stand on; tests put fakes here."""

    pools: Sequence[DatasetManager]
    away_pool_names: Collection[str] = ()
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
    parts = _Parts.of(settings, engines)
    detaching = Detaching(parts.pools, parts.node_state, parts.mounter, parts.keys)
    snapshots = _snapshots(parts)
    services = Services(
        identity=parts.identity,
        volumes=_volumes(parts, default_size_bytes=settings.default_volume_size_bytes),
        snapshots=snapshots,
        groups=_groups(parts, snapshots),
        publishing=_publishing(parts, detaching),
        health=Health(parts.pools, parts.catalogue, parts.node_state, parts.mounter),
        pools=parts.pools,
        named=NamedThings(parts.pools, parts.catalogue, parts.locks),
    )
    recovery = Recovery(
        pools=parts.pools,
        catalogue=parts.catalogue,
        node_state=parts.node_state,
        mounter=parts.mounter,
        detaching=detaching,
        burial=parts.burial,
    )
    return Driver(services, Statistics(parts.pools, parts.catalogue), recovery, parts.catalogue)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What several services share."""

    pools: Pools
    catalogue: Catalogue
    locks: KeyedLocks
    node_state: NodeState
    mounter: Mounter
    identity: Identity
    quiescence: Quiescence
    burial: Burial
    keys: VolumeKeys
    observe_extents: Callable[[int], None]

    @classmethod
    def of(cls, settings: Settings, engines: Engines) -> Self:
        pools, locks = Pools(engines.pools, away_names=engines.away_pool_names), KeyedLocks()
        catalogue, node_state = Catalogue(pools), NodeState(engines.state_store)
        return cls(
            pools=pools,
            catalogue=catalogue,
            locks=locks,
            node_state=node_state,
            mounter=engines.mounter,
            identity=identity_of(settings),
            quiescence=Quiescence(
                node_state, engines.mounter, locks, freeze_limit_s=settings.freeze_limit_s
            ),
            burial=Burial(catalogue, locks),
            keys=VolumeKeys(catalogue, locks, node_state),
            observe_extents=engines.observe_extents,
        )


def _volumes(parts: _Parts, *, default_size_bytes: int) -> Volumes:
    creation = VolumeCreation(
        pools=parts.pools,
        catalogue=parts.catalogue,
        locks=parts.locks,
        sources=Sources(parts.catalogue, parts.locks),
        quiescence=parts.quiescence,
        keys=parts.keys,
        identity=parts.identity,
        default_size_bytes=default_size_bytes,
        observe_extents=parts.observe_extents,
    )
    return Volumes(
        pools=parts.pools,
        catalogue=parts.catalogue,
        locks=parts.locks,
        burial=parts.burial,
        creation=creation,
        node_state=parts.node_state,
        mounter=parts.mounter,
        keys=parts.keys,
        identity=parts.identity,
    )


def _snapshots(parts: _Parts) -> Snapshots:
    return Snapshots(
        pools=parts.pools,
        catalogue=parts.catalogue,
        locks=parts.locks,
        burial=parts.burial,
        quiescence=parts.quiescence,
        observe_extents=parts.observe_extents,
    )


def _groups(parts: _Parts, snapshots: Snapshots) -> GroupSnapshots:
    return GroupSnapshots(
        pools=parts.pools,
        catalogue=parts.catalogue,
        locks=parts.locks,
        quiescence=parts.quiescence,
        snapshots=snapshots,
    )


def _publishing(parts: _Parts, detaching: Detaching) -> Publishing:
    staging = Staging(parts.mounter)
    return Publishing(
        pools=parts.pools,
        catalogue=parts.catalogue,
        locks=parts.locks,
        node_state=parts.node_state,
        mounter=parts.mounter,
        keys=parts.keys,
        staging=staging,
        detaching=detaching,
        ephemeral=EphemeralVolumes(
            pools=parts.pools,
            locks=parts.locks,
            node_state=parts.node_state,
            mounter=parts.mounter,
            keys=parts.keys,
            staging=staging,
        ),
    )


def identity_of(settings: Settings) -> Identity:
    """Who the driver of these settings is."""
    return Identity(
        settings.driver_name, version("csi-zfs"), settings.node_id, settings.topology_key
    )


def router_identity_of(settings: ControllerSettings) -> Identity:
    """Who the router of these settings is: the same driver, and no node."""
    return Identity(settings.driver_name, version("csi-zfs"), "", settings.topology_key)
