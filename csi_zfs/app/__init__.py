"""The composition root: builds the real objects and runs them.

Only the command line and tests import it.  What it has is loaded when it is asked for: a command
about a store needs no server.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
_NAMES_BY_MODULE = {
    "csi_zfs.app.adoption": {"Adopted", "AdoptionRequest", "adopt"},
    "csi_zfs.app.controller": {"serve_controller"},
    "csi_zfs.app.explaining": {"explain"},
    "csi_zfs.app.node": {"serve_node"},
    "csi_zfs.app.pools": {
        "create_openzfs_pool",
        "create_pool",
        "export_pool",
        "grow_pool",
        "pool_status",
    },
    "csi_zfs.app.wiring": {"Driver", "Engines", "build_driver"},
    "csi_zfs.services.persistent_volumes": {"SecretName"},
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        for module, names in _NAMES_BY_MODULE.items():
            if name in names:
                return getattr(import_module(module), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
