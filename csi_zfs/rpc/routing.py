"""Which methods a server answers: those that its servicers define; all others are UNIMPLEMENTED."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass

from csi_zfs.rpc.generated import agent_pb2, csi_pb2, pluginregistration_pb2
from csi_zfs.rpc.interceptors import OPEN, Door, InterceptedMethod, Interceptor

SERVICES: Mapping[str, ServiceDescriptor] = MappingProxyType(
    {
        service.name: service
        for interface in (csi_pb2, agent_pb2, pluginregistration_pb2)
        for service in interface.DESCRIPTOR.services_by_name.values()
    }
)


class ServedService:
    """One service of the interfaces in proto/: its calls are refused until there is a servicer.

    A server must know its methods before it starts, and the pools are read after that.
    """

    def __init__(
        self, service_name: str, servicer_type: type, interceptor: Interceptor, door: Door = OPEN
    ) -> None:
        service = SERVICES[service_name]
        self._full_name = service.full_name
        self._methods = {
            method.name: interceptor.intercept(
                f"/{service.full_name}/{method.name}", GetMessageClass(method.input_type), door
            )
            for method in service.methods
            if method.name in vars(servicer_type)
        }

    @property
    def methods(self) -> Mapping[str, InterceptedMethod]:
        """The methods that the servicer's class itself defines, by name."""
        return self._methods

    def add_to(self, server: grpc.Server, thread_pool: ThreadPoolExecutor | None = None) -> None:
        """Let the server route calls here, on threads of their own if there are some."""
        for method in self._methods.values():
            method.experimental_thread_pool = thread_pool
        server.add_registered_method_handlers(
            self._full_name,
            # Without serializers gRPC hands bytes in and out.
            {
                name: grpc.unary_unary_rpc_method_handler(method)
                for name, method in self._methods.items()
            },
        )

    def serve_by(self, servicer: object) -> None:
        """Answer calls from now on."""
        for name, method in self._methods.items():
            method.handler = getattr(servicer, name)
