"""Random requests to a driver on OpenZFS: it lives on, and touches nothing else.

rules.md B8 and C1, as tests/property/test_random_requests_real.py on an embedded pool.
"""

import random
from collections import Counter
from collections.abc import Iterator

import grpc
import pytest

from csi_zfs.domain.sizes import MIB
from e2e.zfs.nodes import ZfsNode, zfs_node
from tests.property.canaries import TARGET, plant_files, planted_files
from tests.property.random_requests import EXPECTED, NOT_SERVED, Known, RequestMaker
from tests.property.test_random_requests_real import MOUNTING, stub_of
from tests.support.cleanup import mounts_below
from tests.support.commands import run
from tests.support.csi_messages import mount_capability

REQUESTS = 200
CHECK_EVERY = 50
ZFS = mount_capability()


class Guarded:
    """A driver, with things around it and in it that no request of ours names."""

    def __init__(self, node: ZfsNode) -> None:
        self.node = node
        self.known = Known(node.kubelet_dir, secret="canary")
        plant_files(node.root, node.kubelet_dir)
        canary = node.published("canary", ZFS, 16 * MIB)
        (canary.target_path / "file").write_text("here")
        node.client.create_snapshot("canary", canary.volume_id)
        run("zpool", "sync", node.zpool_name)
        self.dataset = node.dataset_of(canary.volume_id)
        self.before = dict(self._canaries())

    def send(self, seed: int) -> tuple[str, grpc.StatusCode]:
        """Send one request; returns its method and how it ended."""
        method, request = RequestMaker(seed, self.known).request()
        call = getattr(stub_of(self.node.client, method), method)
        try:
            self.known.learn(self.node.client.call(call, request))
        except grpc.RpcError as exc:
            return method, exc.code()
        return method, grpc.StatusCode.OK

    def check(self) -> None:
        """Look after the things that nobody may touch."""
        assert dict(self._canaries()) == self.before
        assert all(name.startswith(f"{self.node.dataset}/v/") for name in self.node.names())

    def _canaries(self) -> Iterator[tuple[str, object]]:
        yield from planted_files(self.node.root, self.known.root)
        yield "content", (self.known.root / TARGET / "file").read_text()
        yield "mounts", [path for path in mounts_below(self.known.root) if "canary" in path]
        properties = ("zfs", "get", "-Hpr", "-o", "name,property,value", "guid,refquota,mountpoint")
        yield "dataset", run(*properties, self.dataset)


@pytest.mark.deep
@pytest.mark.timeout(1800)
def test_any_requests_do_not_end_the_driver_and_touch_nothing_else(zpool: str) -> None:
    seeds = random.Random(0)
    codes: Counter[tuple[str, grpc.StatusCode]] = Counter()
    with zfs_node(zpool) as node:
        world = Guarded(node)
        for number in range(1, REQUESTS + 1):
            method, code = world.send(seeds.getrandbits(32))
            assert code in EXPECTED or method in NOT_SERVED, f"{method}: {code}"
            codes[method, code] += 1
            if number % CHECK_EVERY == 0:
                world.check()
        assert {(method, grpc.StatusCode.OK) for method in MOUNTING} <= codes.keys()
