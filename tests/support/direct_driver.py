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
from csi_zfs.rpc.interceptors import InterceptedMethod, Interceptor
from csi_zfs.rpc.metrics import Metrics
from csi_zfs.rpc.node import NodeServer
from csi_zfs.rpc.routing import ServedService
from csi_zfs.rpc.services import Services

METHODS: dict[str, MethodDescriptor] = {
    method.name: method
    for service in ("Identity", "Controller", "GroupController", "Node")
    for method in csi_pb2.DESCRIPTOR.services_by_name[service].methods
}


class AbortedError(Exception):
    """What gRPC sends when a call is aborted."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        """Keep the status."""
        super().__init__(code, details)
        self.code = code
        self.details = details


class FakeContext:
    """What a handler sees of a call."""

    def __init__(self, *, is_active: bool = True, seconds_left: float = 60.0) -> None:
        """Begin a call whose caller waits, or does not."""
        self._is_active = is_active
        self._seconds_left = seconds_left

    def is_active(self) -> bool:
        """See `grpc.ServicerContext`."""
        return self._is_active

    def time_remaining(self) -> float:
        """See `grpc.ServicerContext`."""
        return self._seconds_left

    def abort(self, code: grpc.StatusCode, details: str) -> Never:
        """See `grpc.ServicerContext`."""
        raise AbortedError(code, details)


class DirectDriver:
    """The gRPC face over some services; `methods` are those that it serves."""

    def __init__(
        self,
        services: Services,
        *,
        kubelet_dir: Path,
        metrics: Metrics | None = None,
        monotonic_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """Wrap the handlers as the server does."""
        interceptor = Interceptor(metrics or Metrics(), monotonic_s=monotonic_s)
        servicers = {
            "Identity": IdentityServer(services.identity, services.health.is_ready),
            "Controller": ControllerServer(services),
            "GroupController": GroupControllerServer(services),
            "Node": NodeServer(services, kubelet_dir=kubelet_dir),
        }
        self.methods: dict[str, InterceptedMethod] = {}
        for service_name, servicer in servicers.items():
            service = ServedService(service_name, type(servicer), interceptor)
            service.serve_by(servicer)
            self.methods |= service.methods

    def call(
        self, method: str, request: Message | bytes, context: FakeContext | None = None
    ) -> Any:  # noqa: ANN401 - whichever message the method answers with
        """The response; raises `AbortedError` with the status of a failure."""
        data = request if isinstance(request, bytes) else request.SerializeToString()
        fake = cast("grpc.ServicerContext", context or FakeContext())
        answer = self.methods[method](data, fake)
        return GetMessageClass(METHODS[method].output_type).FromString(answer)
