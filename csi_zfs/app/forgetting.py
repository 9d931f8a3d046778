"""Commands for what is gone: pools whose node will not come back, and drivers about to go."""

from datetime import UTC, datetime

from csi_zfs.app.controller import Link, discovery_of
from csi_zfs.cluster import client
from csi_zfs.cluster.forgotten import ForgottenPools
from csi_zfs.cluster.leftovers import Leftovers, leftovers_of
from csi_zfs.domain.errors import InUseError, InvalidRequestError
from csi_zfs.rpc.router.fleet import Fleet, told_of
from csi_zfs.settings import ControllerSettings
from csi_zfs.system.clock import Clock

_NS_PER_S = 1_000_000_000
_OR_BE_SURE = "or say --even-if-away if you know that the pool is gone"


class PoolServedError(InUseError):
    """A node of the cluster serves the pool."""


class PoolMayBeThereError(InUseError):
    """A node that may serve the pool does not answer, or could not open a pool."""


class NotInAClusterError(InvalidRequestError):
    """The settings say nothing about where the cluster keeps what is asked for."""


def forget_pool(settings: ControllerSettings, pool_id: str, *, is_sure: bool, clock: Clock) -> None:
    """Note that a pool is gone for good: deletes of what was on it succeed from then on.

    Safe to repeat.  If the pool is served again, it counts again.

    Raises:
        PoolServedError: a node serves it.
        PoolMayBeThereError: a node that may serve it is away, or has a pool that it could not
            open, and the caller is not sure.
        NotInAClusterError, ClusterUnavailableError, ClusterForbidsError, NoListError.
    """
    if settings.agents_service is None or settings.forgotten_config_map is None:
        raise NotInAClusterError(
            "agents_service and forgotten_config_map are not set: run this in a pod of the"
            " controller"
        )
    fleet = Fleet(Link(settings).connect)
    discovery_of(settings.agents_service, fleet).read()
    fleet.describe(fleet.members())
    _require_gone(fleet, pool_id, is_sure=is_sure)
    now = datetime.fromtimestamp(clock.now_ns() // _NS_PER_S, UTC)
    ForgottenPools(client.connect(), *settings.forgotten_config_map).add(
        pool_id, f"forgotten at {now:%Y-%m-%dT%H:%M:%SZ}"
    )


def _require_gone(fleet: Fleet, pool_id: str, *, is_sure: bool) -> None:
    for member in fleet.members():
        if pool_id in member.pools:
            raise PoolServedError(
                f"pool {pool_id} is served by node {member.node_id}: what is on it can be deleted"
                " as always"
            )
    if is_sure:
        return
    away = [member for member in fleet.members() if not member.is_described]
    if away:
        raise PoolMayBeThereError(
            f"pool {pool_id} may be on a node that does not answer ({told_of(away)}). Bring it back"
            f" or take it out of the cluster; {_OR_BE_SURE}"
        )
    closed = [
        f"{member.node_id}: {', '.join(member.away_pool_names)}"
        for member in fleet.members()
        if member.away_pool_names
    ]
    if closed:
        raise PoolMayBeThereError(
            f"pool {pool_id} may be one that its node could not open ({'; '.join(closed)}). Bring"
            f" it back or take it out of the node's settings; {_OR_BE_SURE}"
        )


def find_leftovers(driver_name: str) -> Leftovers:
    """What the cluster still has of a driver; raises as `leftovers_of`."""
    return leftovers_of(client.connect(), driver_name)
