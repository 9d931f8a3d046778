"""The methods that the router calls on agents: their paths and the types of their answers."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

from csi_zfs.rpc.generated import agent_pb2, csi_pb2

AnswerT_co = TypeVar("AnswerT_co", bound=Message, covariant=True)


@dataclass(frozen=True, slots=True)
class Method(Generic[AnswerT_co]):
    """One method of a gRPC service.

    Attributes:
        is_for_node: whether a call is for one node only, and refused by any other.
    """

    path: str
    answer_type: type[AnswerT_co]
    is_for_node: bool = True


_CONTROLLER = "/csi.v1.Controller/"
_GROUPS = "/csi.v1.GroupController/"
_AGENT = "/csi_zfs.agent.v1.Agent/"

CREATE_VOLUME = Method(f"{_CONTROLLER}CreateVolume", csi_pb2.CreateVolumeResponse)
DELETE_VOLUME = Method(f"{_CONTROLLER}DeleteVolume", csi_pb2.DeleteVolumeResponse)
GET_VOLUME = Method(f"{_CONTROLLER}ControllerGetVolume", csi_pb2.ControllerGetVolumeResponse)
LIST_VOLUMES = Method(f"{_CONTROLLER}ListVolumes", csi_pb2.ListVolumesResponse)
EXPAND_VOLUME = Method(
    f"{_CONTROLLER}ControllerExpandVolume", csi_pb2.ControllerExpandVolumeResponse
)
MODIFY_VOLUME = Method(
    f"{_CONTROLLER}ControllerModifyVolume", csi_pb2.ControllerModifyVolumeResponse
)
VALIDATE = Method(
    f"{_CONTROLLER}ValidateVolumeCapabilities", csi_pb2.ValidateVolumeCapabilitiesResponse
)
GET_CAPACITY = Method(f"{_CONTROLLER}GetCapacity", csi_pb2.GetCapacityResponse)
CREATE_SNAPSHOT = Method(f"{_CONTROLLER}CreateSnapshot", csi_pb2.CreateSnapshotResponse)
DELETE_SNAPSHOT = Method(f"{_CONTROLLER}DeleteSnapshot", csi_pb2.DeleteSnapshotResponse)
GET_SNAPSHOT = Method(f"{_CONTROLLER}GetSnapshot", csi_pb2.GetSnapshotResponse)
LIST_SNAPSHOTS = Method(f"{_CONTROLLER}ListSnapshots", csi_pb2.ListSnapshotsResponse)
GET_HEALTH = Method(
    f"{_CONTROLLER}ControllerGetVolumeHealth", csi_pb2.ControllerGetVolumeHealthResponse
)
LIST_HEALTH = Method(
    f"{_CONTROLLER}ControllerListVolumeHealth", csi_pb2.ControllerListVolumeHealthResponse
)
CREATE_GROUP = Method(
    f"{_GROUPS}CreateVolumeGroupSnapshot", csi_pb2.CreateVolumeGroupSnapshotResponse
)
DELETE_GROUP = Method(
    f"{_GROUPS}DeleteVolumeGroupSnapshot", csi_pb2.DeleteVolumeGroupSnapshotResponse
)
GET_GROUP = Method(f"{_GROUPS}GetVolumeGroupSnapshot", csi_pb2.GetVolumeGroupSnapshotResponse)
# It asks which node that is.
DESCRIBE = Method(f"{_AGENT}Describe", agent_pb2.DescribeResponse, is_for_node=False)
FIND_BY_NAME = Method(f"{_AGENT}FindByName", agent_pb2.FindByNameResponse)
