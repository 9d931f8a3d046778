"""What the gRPC face needs of the product."""

from dataclasses import dataclass

from csi_zfs.services.groups import GroupSnapshots
from csi_zfs.services.health import Health
from csi_zfs.services.identity import Identity
from csi_zfs.services.named import NamedThings
from csi_zfs.services.pools import Pools
from csi_zfs.services.publishing import Publishing
from csi_zfs.services.snapshots import Snapshots
from csi_zfs.services.volumes import Volumes


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The product's services, as the composition root has built them."""

    identity: Identity
    volumes: Volumes
    snapshots: Snapshots
    groups: GroupSnapshots
    publishing: Publishing
    health: Health
    pools: Pools
    named: NamedThings
