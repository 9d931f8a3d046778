"""The composition root: builds the real objects and runs them.

Only the command line and tests import it.
"""

from csi_zfs.app.adoption import Adopted, AdoptionRequest, adopt
from csi_zfs.app.controller import serve_controller
from csi_zfs.app.explaining import explain
from csi_zfs.app.node import serve_node
from csi_zfs.app.pools import (
    create_openzfs_pool,
    create_pool,
    export_pool,
    grow_pool,
    pool_status,
)
from csi_zfs.app.wiring import Driver, Engines, build_driver
from csi_zfs.services.persistent_volumes import SecretName

__all__ = [
    "Adopted",
    "AdoptionRequest",
    "Driver",
    "Engines",
    "SecretName",
    "adopt",
    "build_driver",
    "create_openzfs_pool",
    "create_pool",
    "explain",
    "export_pool",
    "grow_pool",
    "pool_status",
    "serve_controller",
    "serve_node",
]
