"""From requests to the domain's terms: the only place of validation.

Everything here is pure.  A required field that is missing is found before anything else; then what
the ids name; then the form of the rest.  A request that passes is well-formed: the services decide
whether it can be done.
"""

from csi_zfs.rpc.requests.controller import (
    parse_create_volume,
    parse_delete_volume,
    parse_expand_volume,
    parse_get_capacity,
    parse_listing,
    parse_modify_volume,
    parse_validate_capabilities,
    parse_volume_id,
)
from csi_zfs.rpc.requests.node import NodeRequests
from csi_zfs.rpc.requests.snapshots import (
    parse_create_group_snapshot,
    parse_create_snapshot,
    parse_delete_group_snapshot,
    parse_delete_snapshot,
    parse_get_group_snapshot,
    parse_get_snapshot,
    parse_list_snapshots,
)

__all__ = [
    "NodeRequests",
    "parse_create_group_snapshot",
    "parse_create_snapshot",
    "parse_create_volume",
    "parse_delete_group_snapshot",
    "parse_delete_snapshot",
    "parse_delete_volume",
    "parse_expand_volume",
    "parse_get_capacity",
    "parse_get_group_snapshot",
    "parse_get_snapshot",
    "parse_list_snapshots",
    "parse_listing",
    "parse_modify_volume",
    "parse_validate_capabilities",
    "parse_volume_id",
]
