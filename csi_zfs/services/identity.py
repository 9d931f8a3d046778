"""Who this driver is, and where."""

from dataclasses import dataclass

from csi_zfs.domain.model import Topology


@dataclass(frozen=True, slots=True)
class Identity:
    """The driver's name and version, and the node that it serves."""

    driver_name: str
    version: str
    node_id: str
    topology_key: str

    @property
    def topology(self) -> Topology:
        """Where this node's volumes can be reached: here only."""
        return {self.topology_key: self.node_id}
