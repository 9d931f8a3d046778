"""The bare loop behind gRPC: what is left of a driver in Python when it checks and knows nothing.

It answers the calls that are measured with the side effects alone, and all others with nothing; no
driver in Python can be faster.  `python -m tests.bench.bare_server SOCKET DIRECTORY`.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

from csi_zfs.rpc.generated import csi_pb2
from csi_zfs.settings import keep_grpc_fork_support_off
from tests.bench.bare import BareLoop

# As many as the driver has by default.
_THREADS = 16


class _BareController:
    """Volumes are known by their names, snapshots by `volume@name`."""

    def __init__(self, bare: BareLoop) -> None:
        self._bare = bare

    def CreateVolume(self, data: bytes, _context: grpc.ServicerContext) -> bytes:
        request = csi_pb2.CreateVolumeRequest.FromString(data)
        source = request.volume_content_source
        if source.HasField("snapshot"):
            self._bare.clone_snapshot(*_parts(source.snapshot.snapshot_id), request.name)
        elif source.HasField("volume"):
            self._bare.clone_volume(source.volume.volume_id, request.name)
        else:
            self._bare.create(request.name)
        volume = csi_pb2.Volume(volume_id=request.name)
        return csi_pb2.CreateVolumeResponse(volume=volume).SerializeToString()

    def DeleteVolume(self, data: bytes, _context: grpc.ServicerContext) -> bytes:
        self._bare.delete(csi_pb2.DeleteVolumeRequest.FromString(data).volume_id)
        return b""

    def CreateSnapshot(self, data: bytes, _context: grpc.ServicerContext) -> bytes:
        request = csi_pb2.CreateSnapshotRequest.FromString(data)
        self._bare.snapshot(request.source_volume_id, request.name)
        snapshot = csi_pb2.Snapshot(snapshot_id=f"{request.source_volume_id}@{request.name}")
        return csi_pb2.CreateSnapshotResponse(snapshot=snapshot).SerializeToString()

    def DeleteSnapshot(self, data: bytes, _context: grpc.ServicerContext) -> bytes:
        request = csi_pb2.DeleteSnapshotRequest.FromString(data)
        self._bare.delete_snapshot(*_parts(request.snapshot_id))
        return b""


def main(socket_path: str, directory: str) -> None:
    """Serve until somebody ends the process."""
    keep_grpc_fork_support_off()
    server = grpc.server(ThreadPoolExecutor(_THREADS))
    controller = _BareController(BareLoop(Path(directory)))
    for service in csi_pb2.DESCRIPTOR.services_by_name.values():
        handlers = {
            method.name: getattr(controller, method.name, _answer_nothing)
            for method in service.methods
        }
        server.add_registered_method_handlers(
            service.full_name,
            {name: grpc.unary_unary_rpc_method_handler(do) for name, do in handlers.items()},
        )
    server.add_insecure_port(f"unix:{socket_path}")
    server.start()
    server.wait_for_termination()


def _parts(snapshot_id: str) -> tuple[str, str]:
    volume, _, snapshot = snapshot_id.partition("@")
    return volume, snapshot


def _answer_nothing(_data: bytes, _context: grpc.ServicerContext) -> bytes:
    return b""


if __name__ == "__main__":
    main(*sys.argv[1:])
