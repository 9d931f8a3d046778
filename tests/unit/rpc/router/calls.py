"""Calls to the router, and how they are refused."""

from collections.abc import Sequence

import grpc
import pytest

from csi_zfs.rpc.generated import csi_pb2
from tests.support.csi_messages import mount_capability
from tests.support.routed import TOPOLOGY_KEY, RoutedCluster

Code = grpc.StatusCode


def topology(node_id: str) -> csi_pb2.Topology:
    return csi_pb2.Topology(segments={TOPOLOGY_KEY: node_id})


def create(
    cluster: RoutedCluster,
    name: str,
    *,
    requisite: Sequence[str] = (),
    preferred: Sequence[str] = (),
    size_bytes: int = 0,
    source: csi_pb2.VolumeContentSource | None = None,
) -> csi_pb2.Volume:
    """CreateVolume with nodes that are allowed, and in which order."""
    request = csi_pb2.CreateVolumeRequest(
        name=name,
        capacity_range=csi_pb2.CapacityRange(required_bytes=size_bytes),
        volume_capabilities=[mount_capability()],
        volume_content_source=source,
        accessibility_requirements=csi_pb2.TopologyRequirement(
            requisite=map(topology, requisite), preferred=map(topology, preferred)
        )
        if requisite or preferred
        else None,
    )
    return cluster.client.call(cluster.client.controller.CreateVolume, request).volume


def node_of(volume: csi_pb2.Volume) -> str:
    """Where a volume is."""
    return volume.accessible_topology[0].segments[TOPOLOGY_KEY]


class Refused:
    """Expects a call to be refused: `with refused(code, "words"):`."""

    def __init__(self, code: grpc.StatusCode, *words: str) -> None:
        self._code = code
        self._words = words
        self._caught = pytest.raises(grpc.RpcError)

    def __enter__(self) -> None:
        self._info = self._caught.__enter__()

    def __exit__(self, *exc: object) -> bool:
        is_caught = self._caught.__exit__(*exc)  # type: ignore[arg-type]
        error = self._info.value
        assert (error.code(), error.details()) == (self._code, error.details())
        for word in self._words:
            assert word in (error.details() or "")
        return is_caught
