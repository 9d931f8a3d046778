"""A gRPC server in Python that answers everything with an empty message, and does nothing for it.

What it costs, no driver in Python can save.  `python -m tests.bench.floor SOCKET`.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc

from csi_zfs.rpc.generated import csi_pb2
from csi_zfs.settings import keep_grpc_fork_support_off

# As many as the driver has by default.
_THREADS = 16


def _answer(_request: bytes, _context: grpc.ServicerContext) -> bytes:
    return b""


def main(socket_path: str) -> None:
    """Serve until somebody ends the process."""
    keep_grpc_fork_support_off()
    server = grpc.server(ThreadPoolExecutor(_THREADS))
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(_answer)
    for service in csi_pb2.DESCRIPTOR.services_by_name.values():
        handlers = dict.fromkeys((method.name for method in service.methods), handler)
        server.add_registered_method_handlers(service.full_name, handlers)
    server.add_insecure_port(f"unix:{socket_path}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main(sys.argv[1])
