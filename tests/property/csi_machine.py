"""A state machine that asks a driver behind its gRPC socket and a plain model the same.

Every call is repeated and must answer the same; two calls at once must answer what the model
answers to them in some order, or ABORTED for one that was refused.
"""

import copy
import itertools
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import grpc
from google.protobuf.message import Message
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from csi_zfs.domain.ids import SnapshotId, VolumeId
from csi_zfs.rpc.generated import csi_pb2
from tests.property.csi_calls import Calls
from tests.property.csi_model import Code, ModelDisk, Outcome
from tests.property.csi_node_model import NodeModel
from tests.property.pausing import LIMIT_S, Pause
from tests.support.csi_client import CsiClient
from tests.support.direct_driver import METHODS
from tests.support.disk import FakeImage
from tests.support.node import FakeNode
from tests.support.pool_core import no_effects
from tests.support.served import new_server, serve

CONTENT_BYTES = 4
contents = st.binary(min_size=CONTENT_BYTES, max_size=CONTENT_BYTES)


class DriverMachine(RuleBasedStateMachine):
    """Asks a driver and its model the same."""

    dependent_clones: ClassVar[bool]

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory(prefix="csi-zfs-")
        root = Path(self.directory.name).resolve()
        self.node = FakeNode(root, dependent_clones=type(self).dependent_clones)
        self.model = NodeModel()
        self.calls = Calls(self.model, str(self.node.kubelet_dir))
        self.threads = ThreadPoolExecutor(1)
        self._start()

    def teardown(self) -> None:
        """Take everything away: then nothing may be left (rules.md A3)."""
        try:
            self._take_down()
            assert self.node.names() == set()
            assert self.node.disk.images == {}
            assert self.node.state_store.documents == {}
        finally:
            self._stop()
            self.threads.shutdown()
            self.directory.cleanup()

    # --- rules ---

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """With some volumes, so that there is something to call for."""
        for _ in range(3):
            self._call(data.draw(self.calls.create()))

    @rule(data=st.data(), times=st.integers(1, 4))
    def call(self, data: st.DataObject, times: int) -> None:
        """Anything, and the same again."""
        for _ in range(times):
            self._call(self.calls.any(data))

    @rule(data=st.data(), pause_at=st.integers(1, 8))
    def call_two_at_once(self, data: st.DataObject, pause_at: int) -> None:
        """The second one while the first one is at work; afterwards, each of them again."""
        first, second = self.calls.two(data)
        outcomes = self._at_once(first, second, pause_at)
        note(f"at once: {outcomes[0]} and {outcomes[1]}")
        self._settle([one for one in outcomes if one.code is not Code.ABORTED])
        for request in (first, second):
            self._call(request)

    @precondition(lambda self: self._writable())
    @rule(data=st.data(), content=contents)
    def write(self, data: st.DataObject, content: bytes) -> None:
        """What a workload does."""
        volume_id, path = data.draw(st.sampled_from(self._writable()))
        disk = self.model.volumes[volume_id].disk
        if disk.fs_type:
            self.node.mounter.write_file(Path(path), "file", content)
        else:
            self.node.mounter.write_raw(Path(path), content)
        disk.content = content

    @rule()
    def restart(self) -> None:
        """Another driver takes over."""
        self._stop()
        self.node.restart()
        self._start()

    @rule(size=st.integers(1, 3))
    def list_in_pages(self, size: int) -> None:
        pages = list(self.client.list_volumes(page_entries=size))
        assert all(len(page) == size for page in pages[:-1])
        assert [volume.volume_id for page in pages for volume in page] == sorted(self.model.volumes)
        assert self._listed(size) == sorted(self.model.snapshots)
        for volume_id in (*self.model.volumes, *self.model.gone["v"]):
            known = self.model.snapshots.items()
            own = sorted(key for key, one in known if one.source_id == volume_id)
            assert self._listed(size, volume_id) == own

    def _listed(self, page_entries: int, volume_id: str = "") -> list[str]:
        pages = self.client.list_snapshots(page_entries=page_entries, volume_id=volume_id)
        return [snapshot.snapshot_id for page in pages for snapshot in page]

    # --- what holds always ---

    @invariant()
    def volumes_are_those_of_the_model(self) -> None:
        listed = {
            volume.volume_id: volume.capacity_bytes
            for page in self.client.list_volumes()
            for volume in page
        }
        volumes = self.model.volumes
        assert listed == {key: one.disk.size_bytes for key, one in volumes.items()}
        for volume_id, volume in volumes.items():
            image = self.node.image(VolumeId.parse(volume_id))
            assert _content_of(image, volume.disk) == volume.disk.content

    @invariant()
    def snapshots_are_those_of_the_model(self) -> None:
        """With the data of the time at which they were taken."""
        listed = {
            one.snapshot_id: one.source_volume_id
            for page in self.client.list_snapshots()
            for one in page
        }
        snapshots = self.model.snapshots
        assert listed == {key: one.source_id for key, one in snapshots.items()}
        for snapshot_id, snapshot in snapshots.items():
            entry = self.node.catalogue.snapshot(SnapshotId.parse(snapshot_id))
            image = self.node.disk.images[self.node.pool._image(entry.name)]
            assert _content_of(image, snapshot.disk) == snapshot.disk.content

    @invariant()
    def mounts_are_those_of_the_model(self) -> None:
        targets = {
            path
            for volume in self.model.volumes.values()
            for path in (*volume.published, *(volume.staged if volume.disk.fs_type else ()))
        }
        assert {str(mount.mount_point) for mount in self.node.mounter._mounts} == targets

    # --- calling ---

    def _call(self, request: Message) -> Outcome:
        """Once, as the model says, and once more with the same answer."""
        expected = self.model.expect(request)
        outcome = self._send(request)
        note(str(outcome))
        assert outcome.code is expected, f"{expected} expected: {outcome}"
        if outcome.answer is not None:
            self.model.learn(request, outcome.answer)
        again = self._send(request)
        assert again == outcome, f"{outcome}, and again: {again}"
        return outcome

    def _send(self, request: Message) -> Outcome:
        method = type(request).__name__.removesuffix("Request")
        stub = {
            "Controller": self.client.controller,
            "GroupController": self.client.groups,
            "Node": self.client.node,
        }[METHODS[method].containing_service.name]
        try:
            return Outcome(request, Code.OK, self.client.call(getattr(stub, method), request))
        except grpc.RpcError as exc:
            return Outcome(request, exc.code())

    def _at_once(self, first: Message, second: Message, pause_at: int) -> list[Outcome]:
        pause = Pause(pause_at)
        self.node.pool.effects = self.node.state_store.effects = pause
        try:
            begun = self.threads.submit(self._send, first)
            begun.add_done_callback(lambda _: pause.settle())
            pause.await_settled()
            outcome = self._send(second)
            pause.go_on()
            return [begun.result(LIMIT_S), outcome]
        finally:
            pause.go_on()
            self.node.pool.effects = self.node.state_store.effects = no_effects

    def _settle(self, outcomes: list[Outcome]) -> None:
        """Go to a state that the model comes to by these outcomes in some order."""
        for order in itertools.permutations(outcomes):
            model = copy.deepcopy(self.model)
            if all(model.explains(outcome) for outcome in order):
                self.model = model
                self.calls = Calls(model, self.calls.root)
                return
        raise AssertionError(f"in no order: {'; '.join(map(str, outcomes))}")

    # --- around it ---

    def _writable(self) -> list[tuple[str, str]]:
        """The volumes and paths at which a workload can write."""
        return [
            (volume_id, path)
            for volume_id, volume in sorted(self.model.volumes.items())
            for path, use in sorted(volume.published.items())
            if not use.is_read_only
        ]

    def _start(self) -> None:
        socket_path = Path(self.directory.name).resolve() / "csi.sock"
        self.server = new_server(self.node.services.identity, socket_path)
        serve(self.server, self.node.services, self.node.kubelet_dir)
        self.server.start()
        self.client = CsiClient(socket_path, timeout_s=LIMIT_S)
        assert self.client.is_ready(within_s=LIMIT_S)

    def _stop(self) -> None:
        self.client.close()
        self.server.stop(grace_s=0)

    def _take_down(self) -> None:
        for volume_id, volume in list(self.model.volumes.items()):
            for path in list(volume.published):
                self._call(
                    csi_pb2.NodeUnpublishVolumeRequest(volume_id=volume_id, target_path=path)
                )
            for path in list(volume.staged):
                self._call(
                    csi_pb2.NodeUnstageVolumeRequest(volume_id=volume_id, staging_target_path=path)
                )
            self._call(csi_pb2.DeleteVolumeRequest(volume_id=volume_id))
        for group_id in list(self.model.groups):
            members = self.model.members(group_id)
            self._call(
                csi_pb2.DeleteVolumeGroupSnapshotRequest(
                    group_snapshot_id=group_id, snapshot_ids=members
                )
            )
        for snapshot_id in list(self.model.snapshots):
            self._call(csi_pb2.DeleteSnapshotRequest(snapshot_id=snapshot_id))


def _content_of(image: FakeImage, disk: ModelDisk) -> bytes:
    return image.content.get("file", b"") if disk.fs_type else image.raw[:CONTENT_BYTES]
