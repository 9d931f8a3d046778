"""Random requests to the real driver on a real pool: it lives on, and touches nothing else.

rules.md B8 and C1, as test_random_requests.py, with the kernel's own mounts and devices.
"""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from hypothesis import settings

from tests.property.canaries import TARGET, plant_files, planted_files
from tests.property.random_requests import EXPECTED, NOT_SERVED, Known, RequestMaker
from tests.support.cleanup import mounts_below
from tests.support.csi_client import CsiClient
from tests.support.csi_messages import mount_capability
from tests.support.direct_driver import METHODS
from tests.support.leftovers import scratch_directory
from tests.support.orchestrator import Orchestrator
from tests.support.process import RealDriver, real_driver

pytestmark = [pytest.mark.root, pytest.mark.slow]

REQUESTS_PER_EXAMPLE = 20
MOUNTING = ("NodeStageVolume", "NodePublishVolume", "NodeUnpublishVolume", "NodeUnstageVolume")


class RealGuarded:
    """A real driver, with things around it and in it that no request of ours names."""

    def __init__(self, driver: RealDriver) -> None:
        self.driver = driver
        self.root = driver.paths.root
        self.known = Known(driver.paths.kubelet_dir, secret="canary")
        self.pid = driver.pid
        plant_files(self.root, self.known.root)
        self._plant_volume()
        self.before = dict(self._canaries())

    def send(self, seed: int) -> tuple[str, grpc.StatusCode]:
        """Send one request; returns its method and how it ended."""
        method, request = RequestMaker(seed, self.known).request()
        call = getattr(stub_of(self.driver.client, method), method)
        try:
            self.known.learn(self.driver.client.call(call, request))
        except grpc.RpcError as exc:
            return method, exc.code()
        return method, grpc.StatusCode.OK

    def check(self) -> None:
        """Look after the things that nobody may touch."""
        assert dict(self._canaries()) == self.before
        assert self.driver.pid == self.pid
        assert self.driver.client.is_ready(within_s=5)

    def _plant_volume(self) -> None:
        client = self.driver.client
        volume_id = client.create_volume("canary").volume_id
        client.create_snapshot("canary", volume_id)
        published = Orchestrator(client, self.known.root).publish(
            "canary", volume_id, mount_capability()
        )
        (published.target_path / "file").write_text("here")

    def _canaries(self) -> Iterator[tuple[str, object]]:
        yield from planted_files(self.root, self.known.root)
        yield "content", (self.known.root / TARGET / "file").read_text()
        yield "dataset", sorted((self.driver.paths.pool / "mnt/v/canary").iterdir())
        yield "mounts", [path for path in mounts_below(self.known.root) if "canary" in path]


def stub_of(client: CsiClient, method: str) -> object:
    return {
        "Identity": client.identity,
        "Controller": client.controller,
        "GroupController": client.groups,
        "Node": client.node,
    }[METHODS[method].containing_service.name]


@pytest.mark.timeout(3600)
def test_any_requests_to_the_real_driver_do_not_end_it_and_touch_nothing_else() -> None:
    seeds = random.Random(0)
    codes: Counter[tuple[str, grpc.StatusCode]] = Counter()
    with scratch_directory("random-") as root, real_driver(root) as driver:
        world = RealGuarded(driver)
        for _ in range(settings().max_examples):
            for _ in range(REQUESTS_PER_EXAMPLE):
                method, code = world.send(seeds.getrandbits(32))
                assert code in EXPECTED or method in NOT_SERVED, f"{method}: {code}"
                codes[method, code] += 1
            world.check()
        assert all(Path(path).is_relative_to(root) for path in mounts_below(root))
        assert {(method, grpc.StatusCode.OK) for method in MOUNTING} <= codes.keys()
