"""Which methods a server answers: those that its servicers define; all others are UNIMPLEMENTED."""

from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf.message_factory import GetMessageClass

from csi_zfs.rpc.generated import csi_pb2
from csi_zfs.rpc.interceptors import InterceptedMethod, Interceptor


def add_service(
    server: grpc.Server,
    service_name: str,
    servicer: object,
    *,
    interceptor: Interceptor,
    thread_pool: ThreadPoolExecutor | None = None,
) -> None:
    """Let the server answer a service of csi.proto, on threads of its own if there are some."""
    methods = intercepted_methods(service_name, servicer, interceptor)
    for method in methods.values():
        method.experimental_thread_pool = thread_pool
    server.add_registered_method_handlers(
        csi_pb2.DESCRIPTOR.services_by_name[service_name].full_name,
        # Without serializers gRPC hands bytes in and out.
        {name: grpc.unary_unary_rpc_method_handler(method) for name, method in methods.items()},
    )


def intercepted_methods(
    service_name: str, servicer: object, interceptor: Interceptor
) -> dict[str, InterceptedMethod]:
    """The methods of a service that the servicer's class itself defines, by name."""
    service = csi_pb2.DESCRIPTOR.services_by_name[service_name]
    return {
        method.name: interceptor.intercept(
            f"/{service.full_name}/{method.name}",
            GetMessageClass(method.input_type),
            getattr(servicer, method.name),
        )
        for method in service.methods
        if method.name in vars(type(servicer))
    }
