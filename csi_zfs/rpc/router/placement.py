"""On which nodes a new volume may be made, in the order in which they are tried.  Pure."""

import re
from collections.abc import Iterable, Sequence

from csi_zfs.domain.errors import NoSpaceError
from csi_zfs.domain.model import Topology

# What Kubernetes' snapshotter makes of the UID of an object: its source can never be another one,
# so nobody but the node of that source can hold the name.
_OF_ONE_OBJECT = re.compile(
    r"(?:group)?snapshot-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
)


class NowhereError(NoSpaceError):
    """No node of this driver is among those that the request allows."""


class SourceElsewhereError(NoSpaceError):
    """The source of a copy is on a node that the request does not allow."""


def nodes_allowed(
    requisite: Sequence[Topology], preferred: Sequence[Topology], topology_key: str
) -> list[str] | None:
    """The nodes that a request names, preferred ones first; None where it allows all.

    Raises `NowhereError` where it names places, and none of them is a node of this driver.
    """
    if not requisite and not preferred:
        return None
    allowed = _nodes_in(requisite or preferred, topology_key)
    wanted = [node_id for node_id in _nodes_in(preferred, topology_key) if node_id in allowed]
    if not allowed:
        raise NowhereError(f"none of the places that the request allows has the key {topology_key}")
    return list(dict.fromkeys([*wanted, *allowed]))


def _nodes_in(topologies: Iterable[Topology], topology_key: str) -> list[str]:
    # As each agent has it: a place that names more than the node is not one of this driver's.
    return [topology[topology_key] for topology in topologies if set(topology) == {topology_key}]


def is_of_one_object(name: str) -> bool:
    """Whether a snapshot's name can be on no other node than its source."""
    return _OF_ONE_OBJECT.fullmatch(name) is not None
