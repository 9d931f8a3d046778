"""A thin, typed client of a CSI driver.

Each method sends one request and returns what matters of the answer.  For tests, benches and the
demo.  A refusal is the `grpc.RpcError` that it came as.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeVar

import grpc

from csi_zfs.rpc.generated import csi_pb2, csi_pb2_grpc
from tests.support.csi_messages import mount_capability

_EPHEMERAL_KEY = "csi.storage.k8s.io/ephemeral"
# A driver that is started again is found again at once.
_OPTIONS = (
    ("grpc.default_authority", "localhost"),
    ("grpc.initial_reconnect_backoff_ms", 20),
    ("grpc.max_reconnect_backoff_ms", 100),
)

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")
EntryT_co = TypeVar("EntryT_co", covariant=True)


class _Page(Protocol[EntryT_co]):
    @property
    def entries(self) -> Sequence[EntryT_co]: ...
    @property
    def next_token(self) -> str: ...


class CsiClient:
    """Speaks to the driver on a unix socket.  Thread-safe.

    `identity`, `controller`, `groups` and `node` are the stubs, for whatever has no method here.
    `secrets` go along with what makes, stages and expands a volume.
    """

    def __init__(self, socket_path: Path, *, timeout_s: float = 60.0) -> None:
        """Connect at the first call; a call without an answer after `timeout_s` is given up."""
        self._timeout_s = timeout_s
        self.secrets: Mapping[str, str] = {}
        self._channel = grpc.insecure_channel(f"unix://{socket_path}", options=_OPTIONS)
        self.identity = csi_pb2_grpc.IdentityStub(self._channel)
        self.controller = csi_pb2_grpc.ControllerStub(self._channel)
        self.groups = csi_pb2_grpc.GroupControllerStub(self._channel)
        self.node = csi_pb2_grpc.NodeStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._channel.close()

    def call(
        self, method: "grpc.UnaryUnaryMultiCallable[RequestT, ResponseT]", request: RequestT
    ) -> ResponseT:
        """Send one request by any method of the stubs, with the client's deadline."""
        return method(request, timeout=self._timeout_s)

    # --- identity ---

    def is_ready(self, *, within_s: float) -> bool:
        """Whether somebody answers Probe with "ready"; waits for a listener, at most `within_s`."""
        try:
            answer = self.identity.Probe(
                csi_pb2.ProbeRequest(), timeout=within_s, wait_for_ready=True
            )
        except grpc.RpcError as exc:
            # Not up yet, or its socket is still the one of a driver that was killed.
            if exc.code() in {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE}:
                return False
            raise
        return answer.ready.value

    # --- controller ---

    def create_volume(
        self,
        name: str,
        *,
        size_bytes: int = 0,
        capability: csi_pb2.VolumeCapability | None = None,
        source: csi_pb2.VolumeContentSource | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> csi_pb2.Volume:
        """Make a volume; ext4 of the default size unless told otherwise."""
        request = csi_pb2.CreateVolumeRequest(
            name=name,
            capacity_range=csi_pb2.CapacityRange(required_bytes=size_bytes),
            volume_capabilities=[capability or mount_capability()],
            parameters=parameters or {},
            volume_content_source=source,
            secrets=self.secrets,
        )
        return self.call(self.controller.CreateVolume, request).volume

    def delete_volume(self, volume_id: str) -> None:
        """Delete a volume."""
        self.call(self.controller.DeleteVolume, csi_pb2.DeleteVolumeRequest(volume_id=volume_id))

    def expand_volume(
        self, volume_id: str, size_bytes: int
    ) -> csi_pb2.ControllerExpandVolumeResponse:
        """The controller's part of an expansion."""
        request = csi_pb2.ControllerExpandVolumeRequest(
            volume_id=volume_id,
            capacity_range=csi_pb2.CapacityRange(required_bytes=size_bytes),
            secrets=self.secrets,
        )
        return self.call(self.controller.ControllerExpandVolume, request)

    def create_snapshot(self, name: str, volume_id: str) -> csi_pb2.Snapshot:
        """Take a snapshot."""
        request = csi_pb2.CreateSnapshotRequest(name=name, source_volume_id=volume_id)
        return self.call(self.controller.CreateSnapshot, request).snapshot

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Delete a snapshot."""
        request = csi_pb2.DeleteSnapshotRequest(snapshot_id=snapshot_id)
        self.call(self.controller.DeleteSnapshot, request)

    def create_group_snapshot(
        self, name: str, volume_ids: Sequence[str]
    ) -> csi_pb2.VolumeGroupSnapshot:
        """Take snapshots of several volumes at one instant."""
        request = csi_pb2.CreateVolumeGroupSnapshotRequest(name=name, source_volume_ids=volume_ids)
        return self.call(self.groups.CreateVolumeGroupSnapshot, request).group_snapshot

    def delete_group_snapshot(self, group: csi_pb2.VolumeGroupSnapshot) -> None:
        """Delete a group snapshot with all its members."""
        request = csi_pb2.DeleteVolumeGroupSnapshotRequest(
            group_snapshot_id=group.group_snapshot_id,
            snapshot_ids=[snapshot.snapshot_id for snapshot in group.snapshots],
        )
        self.call(self.groups.DeleteVolumeGroupSnapshot, request)

    def list_volumes(self, *, page_entries: int = 0) -> Iterator[list[csi_pb2.Volume]]:
        """All volumes in pages of at most `page_entries` (0: the driver decides)."""

        def page(token: str) -> csi_pb2.ListVolumesResponse:
            request = csi_pb2.ListVolumesRequest(max_entries=page_entries, starting_token=token)
            return self.call(self.controller.ListVolumes, request)

        return ([entry.volume for entry in entries] for entries in _pages(page))

    def list_snapshots(
        self, *, page_entries: int = 0, volume_id: str = ""
    ) -> Iterator[list[csi_pb2.Snapshot]]:
        """All snapshots, or those of one volume, in pages as `list_volumes`."""

        def page(token: str) -> csi_pb2.ListSnapshotsResponse:
            request = csi_pb2.ListSnapshotsRequest(
                max_entries=page_entries, starting_token=token, source_volume_id=volume_id
            )
            return self.call(self.controller.ListSnapshots, request)

        return ([entry.snapshot for entry in entries] for entries in _pages(page))

    # --- node ---

    def stage(
        self, volume_id: str, staging_path: Path, capability: csi_pb2.VolumeCapability
    ) -> None:
        """Make a volume ready on the node."""
        request = csi_pb2.NodeStageVolumeRequest(
            volume_id=volume_id,
            staging_target_path=str(staging_path),
            volume_capability=capability,
            secrets=self.secrets,
        )
        self.call(self.node.NodeStageVolume, request)

    def unstage(self, volume_id: str, staging_path: Path) -> None:
        """Take a volume away from the node."""
        request = csi_pb2.NodeUnstageVolumeRequest(
            volume_id=volume_id, staging_target_path=str(staging_path)
        )
        self.call(self.node.NodeUnstageVolume, request)

    def publish(
        self,
        volume_id: str,
        staging_path: Path,
        target_path: Path,
        capability: csi_pb2.VolumeCapability,
        *,
        is_read_only: bool = False,
    ) -> None:
        """Show a staged volume to a workload."""
        request = csi_pb2.NodePublishVolumeRequest(
            volume_id=volume_id,
            staging_target_path=str(staging_path),
            target_path=str(target_path),
            volume_capability=capability,
            readonly=is_read_only,
        )
        self.call(self.node.NodePublishVolume, request)

    def publish_ephemeral(
        self, ephemeral_id: str, target_path: Path, attributes: Mapping[str, str]
    ) -> None:
        """Make an inline ephemeral volume for a pod; `attributes` as in the pod's manifest."""
        request = csi_pb2.NodePublishVolumeRequest(
            volume_id=ephemeral_id,
            target_path=str(target_path),
            volume_capability=mount_capability(),
            volume_context={_EPHEMERAL_KEY: "true", **attributes},
        )
        self.call(self.node.NodePublishVolume, request)

    def unpublish(self, volume_id: str, target_path: Path) -> None:
        """Take a volume away from a workload."""
        request = csi_pb2.NodeUnpublishVolumeRequest(
            volume_id=volume_id, target_path=str(target_path)
        )
        self.call(self.node.NodeUnpublishVolume, request)

    def expand_on_node(self, volume_id: str, volume_path: Path) -> int:
        """The node's part of an expansion; returns the capacity in bytes."""
        request = csi_pb2.NodeExpandVolumeRequest(volume_id=volume_id, volume_path=str(volume_path))
        return self.call(self.node.NodeExpandVolume, request).capacity_bytes

    def stats(self, volume_id: str, volume_path: Path) -> Sequence[csi_pb2.VolumeUsage]:
        """How full a published volume is."""
        request = csi_pb2.NodeGetVolumeStatsRequest(
            volume_id=volume_id, volume_path=str(volume_path)
        )
        return self.call(self.node.NodeGetVolumeStats, request).usage


def _pages(page: Callable[[str], _Page[EntryT_co]]) -> Iterator[Sequence[EntryT_co]]:
    token = ""
    while True:
        answer = page(token)
        yield answer.entries
        token = answer.next_token
        if not token:
            return
