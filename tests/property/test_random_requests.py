"""Random requests to a whole driver on fakes: each is answered or refused for a reason.

rules.md B8 and C1: nothing is INTERNAL or UNKNOWN, nothing ends the process, and nothing is touched
but the targets and the objects that a request names.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message
from hypothesis import given, note, settings
from hypothesis import strategies as st

from csi_zfs.domain.ids import VolumeId
from csi_zfs.rpc.generated import csi_pb2
from tests.property.canaries import TARGET, plant_files, planted_files
from tests.property.random_requests import EXPECTED, NOT_SERVED, Known, RequestMaker
from tests.support import builders
from tests.support.csi_messages import block_capability, mount_capability
from tests.support.direct_driver import AbortedError, DirectDriver
from tests.support.node import FakeNode

SEED_BYTES = 4
REQUESTS_EACH = 100
# They are cheap: 40,000 requests in the ordinary run.
RUNS_PER_EXAMPLE = 4
# Of lists of numbers Hypothesis draws most numbers many times.  A 0 is what a failing list shrinks
# to: no request.
SEEDS = st.binary(min_size=SEED_BYTES * REQUESTS_EACH, max_size=SEED_BYTES * REQUESTS_EACH).map(
    lambda data: [
        seed
        for at in range(0, len(data), SEED_BYTES)
        if (seed := int.from_bytes(data[at : at + SEED_BYTES]))
    ]
)


@dataclass
class Outcomes:
    """How the requests ended, by method."""

    codes: Counter[tuple[str, grpc.StatusCode]] = field(default_factory=Counter)

    def methods_with(self, code: grpc.StatusCode) -> set[str]:
        return {method for method, ended in self.codes if ended is code}


class Guarded:
    """A driver with things around it, and in it, that no request of ours names."""

    def __init__(self, directory: Path, *, dependent_clones: bool) -> None:
        self.directory = directory
        self.node = FakeNode(directory, dependent_clones=dependent_clones)
        self.driver = DirectDriver(self.node.services, kubelet_dir=self.node.kubelet_dir)
        self.known = Known(self.node.kubelet_dir, secret="canary")
        plant_files(directory, self.node.kubelet_dir)
        self._make_things()
        self.volume_id = self._plant_volume()
        self.before = dict(self._canaries())

    def send(self, seed: int) -> tuple[str, grpc.StatusCode]:
        """Send one request; returns its method and how it ended."""
        method, request = RequestMaker(seed, self.known).request()
        code, details = self._outcome_of(method, request)
        note(f"{method}: {code.name} {details}\n{request}")
        assert code in EXPECTED or method in NOT_SERVED, f"{method}: {code} {details}\n{request}"
        return method, code

    def _outcome_of(self, method: str, request: Message) -> tuple[grpc.StatusCode, str]:
        if method not in self.driver.methods:
            return grpc.StatusCode.UNIMPLEMENTED, ""
        try:
            self._learn(method, request)
        except AbortedError as exc:
            return exc.code, exc.details
        return grpc.StatusCode.OK, ""

    def check(self) -> None:
        """Look after the things that nobody may touch."""
        assert dict(self._canaries()) == self.before
        assert all(path.is_relative_to("/fake/pool-1/v") for path in self.node.disk.images)
        ours = (f"zfs1:{self.node.pool.pool_id}:v:", "csi-")
        assert all(key.startswith(ours) for key in self.node.state_store.documents)
        for mount in self.node.mounter._mounts:
            assert mount.mount_point.is_relative_to(self.node.kubelet_dir)

    def _make_things(self) -> None:
        """Of each kind one, so that requests are about something from the first on."""
        for name, capability in (("pvc-1", mount_capability()), ("pvc-2", block_capability())):
            request = csi_pb2.CreateVolumeRequest(name=name, volume_capabilities=[capability])
            self._learn("CreateVolume", request)
        source = self.known.volume_ids[0]
        self._learn(
            "CreateSnapshot", csi_pb2.CreateSnapshotRequest(name="snap-1", source_volume_id=source)
        )
        self._learn(
            "CreateVolumeGroupSnapshot",
            csi_pb2.CreateVolumeGroupSnapshotRequest(name="group-1", source_volume_ids=[source]),
        )

    def _learn(self, method: str, request: Message) -> None:
        self.known.learn(self.driver.call(method, request))

    def _plant_volume(self) -> VolumeId:
        volume_id = self.node.volumes.create(builders.volume_spec("canary")).volume_id
        root = self.node.kubelet_dir
        self.node.publishing.stage(builders.stage_spec(root, volume_id))
        spec = replace(builders.publish_spec(root, volume_id), target_path=root / TARGET)
        self.node.publishing.publish(spec)
        self.node.image(volume_id).content["file"] = b"here"
        self.node.snapshots.create(
            snapshot_name="canary", source_volume_id=volume_id, parameters={}
        )
        return volume_id

    def _canaries(self) -> Iterator[tuple[str, object]]:
        yield "dataset", self.node.dataset(self.volume_id)
        yield "content", dict(self.node.image(self.volume_id).content)
        yield "state", self.node.state_store.documents[str(self.volume_id)]
        image = self.node.image(self.volume_id)
        yield (
            "mounts",
            [mount.mount_point for mount in self.node.mounter._mounts if mount.loop.image is image],
        )
        yield "snapshot", self.node.pool.get_snapshot("v/canary@canary")
        yield from planted_files(self.directory, self.node.kubelet_dir)


@contextmanager
def guarded(*, dependent_clones: bool) -> Iterator[Guarded]:
    with tempfile.TemporaryDirectory(prefix="csi-zfs-") as directory:
        yield Guarded(Path(directory).resolve(), dependent_clones=dependent_clones)


@pytest.mark.timeout(900)
@pytest.mark.expected_logs("failed", "stays attached")
def test_any_requests_are_answered_or_refused_and_touch_nothing_else() -> None:
    outcomes = Outcomes()

    @given(seeds=SEEDS, dependent_clones=st.booleans())
    @settings(max_examples=RUNS_PER_EXAMPLE * settings().max_examples)
    def any_requests(seeds: list[int], *, dependent_clones: bool) -> None:
        with guarded(dependent_clones=dependent_clones) as world:
            outcomes.codes.update(world.send(seed) for seed in seeds)
            world.check()
            served.update(world.driver.methods)

    served: set[str] = set()
    any_requests()
    assert outcomes.codes.total() >= 10_000
    # Else the requests are all refused at the door, and show nothing.
    assert outcomes.methods_with(grpc.StatusCode.OK) == served
    assert outcomes.methods_with(grpc.StatusCode.UNIMPLEMENTED) == NOT_SERVED
