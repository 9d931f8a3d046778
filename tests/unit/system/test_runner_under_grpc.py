"""Child processes started by the calls of a gRPC server that keeps serving (rules.md D)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import grpc
import pytest

from csi_zfs.system.runner import SystemRunner

PARALLEL = 64
CALLS = 4 * PARALLEL
DEADLINE_S = 30
METHOD = "/tests.Commands/Echo"


def echo(request: bytes, _context: grpc.ServicerContext) -> bytes:
    """Start two child processes, one of which starts a third."""
    words = SystemRunner().run(["sh", "-c", 'cat </dev/null; echo "$0"', request.decode()])
    SystemRunner().run(["true"])
    return words.output.encode()


class Commands(grpc.GenericRpcHandler):
    """A service of one method."""

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        is_ours = handler_call_details.method == METHOD
        return grpc.unary_unary_rpc_method_handler(echo) if is_ours else None


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with ThreadPoolExecutor(PARALLEL) as threads:
        server = grpc.server(threads, handlers=[Commands()])
        address = f"unix:{tmp_path / 'grpc.sock'}"
        server.add_insecure_port(address)
        server.start()
        yield address
        server.stop(grace=None).wait()


def test_parallel_calls_that_start_child_processes_do_not_deadlock_the_server(address: str) -> None:
    """rules.md D: the children are started by vfork, so no fork handler of gRPC runs."""
    with closing(grpc.insecure_channel(address)) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
        futures = [call.future(f"{i}".encode(), timeout=DEADLINE_S) for i in range(CALLS)]
        assert [future.result() for future in futures] == [f"{i}\n".encode() for i in range(CALLS)]
