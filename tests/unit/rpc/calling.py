"""Calls of the driver without a socket: through everything but gRPC itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Never, cast

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from csi_zfs.rpc.controller import ControllerServer
from csi_zfs.rpc.generated import csi_pb2
from csi_zfs.rpc.group_controller import GroupControllerServer
from csi_zfs.rpc.identity import IdentityServer
from csi_zfs.rpc.interceptors import Interceptor
from csi_zfs.rpc.metrics import Metrics
from csi_zfs.rpc.node import NodeServer
from csi_zfs.rpc.routing import intercepted_methods
from tests.support.services import RecordingServices
from tests.unit.rpc.examples import KUBELET_DIR

METHODS: dict[str, MethodDescriptor] = {
    method.name: method
    for service in ("Identity", "Controller", "GroupController", "Node")
    for method in csi_pb2.DESCRIPTOR.services_by_name[service].methods
}


class AbortedError(Exception):
    """What gRPC sends when a call is aborted."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(code, details)
        self.code = code
        self.details = details


class FakeContext:
    """What a handler sees of a call."""

    def __init__(self, *, is_active: bool = True, seconds_left: float = 60.0) -> None:
        self._is_active = is_active
        self._seconds_left = seconds_left

    def is_active(self) -> bool:
        return self._is_active

    def time_remaining(self) -> float:
        return self._seconds_left

    def abort(self, code: grpc.StatusCode, details: str) -> Never:
        raise AbortedError(code, details)


class DirectDriver:
    """The gRPC face over services that only remember."""

    def __init__(
        self,
        recording: RecordingServices,
        *,
        metrics: Metrics | None = None,
        monotonic_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        services = recording.services
        interceptor = Interceptor(metrics or Metrics(list), monotonic_s=monotonic_s)
        self.methods = {
            **intercepted_methods("Identity", IdentityServer(services), interceptor),
            **intercepted_methods("Controller", ControllerServer(services), interceptor),
            **intercepted_methods("GroupController", GroupControllerServer(services), interceptor),
            **intercepted_methods(
                "Node", NodeServer(services, kubelet_dir=Path(KUBELET_DIR)), interceptor
            ),
        }

    def call(
        self, method: str, request: Message | bytes, context: FakeContext | None = None
    ) -> Any:  # noqa: ANN401 - whichever message the method answers with
        """The response; raises `AbortedError` with the status of a failure."""
        data = request if isinstance(request, bytes) else request.SerializeToString()
        fake = cast("grpc.ServicerContext", context or FakeContext())
        answer = self.methods[method](data, fake)
        return GetMessageClass(METHODS[method].output_type).FromString(answer)
