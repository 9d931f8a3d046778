"""How much room a cluster, or one node of it, has."""

from collections.abc import Sequence

from google.protobuf.wrappers_pb2 import Int64Value

from csi_zfs.rpc.generated import csi_pb2


def total(answers: Sequence[csi_pb2.GetCapacityResponse]) -> csi_pb2.GetCapacityResponse:
    """The room of several nodes: all of it together, and the largest volume that one can take."""
    return csi_pb2.GetCapacityResponse(
        available_capacity=sum(answer.available_capacity for answer in answers),
        maximum_volume_size=Int64Value(
            value=max((answer.maximum_volume_size.value for answer in answers), default=0)
        ),
        minimum_volume_size=Int64Value(
            value=min((answer.minimum_volume_size.value for answer in answers), default=0)
        ),
    )
