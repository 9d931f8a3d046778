"""csi-sanity against the whole driver over fake engines: no root, no devices, no mounts."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from csi_zfs.app import Engines
from csi_zfs.datasets.api import Features
from csi_zfs.rpc.metrics import Metrics
from csi_zfs.settings import PoolSettings, Settings
from tests.sanity import output
from tests.sanity.build import CannotBuildError, ensure_binary
from tests.sanity.report import Lack, faults
from tests.sanity.skips import EMBEDDED, EVERYWHERE
from tests.sanity.suite import CANARY, ENCRYPTED, Suite, Variant
from tests.support import machine
from tests.support.clock import FakeClock
from tests.support.datasets import FakeDatasets
from tests.support.disk import FakeDisk
from tests.support.leftovers import files_below, scratch_directory
from tests.support.mounter import FakeMounter
from tests.support.pool_core import LIKE_NATIVE_OPENZFS, LIKE_OPENZFS, LIKE_REFLINK, FakePool
from tests.support.served import served_driver
from tests.support.state_store import MemoryStateStore

BUILD_AND_RUN_LIMIT_S = 1200
MOUNT, BLOCK = Variant("mount", "mount"), Variant("block", "block")


@contextmanager
def served_fakes(root: Path, features: Features) -> Iterator[Path]:
    """A driver over fakes, served below `root`; yields its socket."""
    disk, clock = FakeDisk(), FakeClock()
    settings = Settings(
        pools=(PoolSettings("fake", root / "pool"),),
        node_id="this-node",
        socket_path=root / "csi.sock",
        kubelet_dir=root / "kubelet",
        state_dir=root / "state",
    )
    settings.kubelet_dir.mkdir()
    metrics = Metrics()
    engines = Engines(
        pools=[FakeDatasets(disk, clock, FakePool(features=features))],
        mounter=FakeMounter(disk, root=settings.kubelet_dir, clock=clock),
        state_store=MemoryStateStore(),
        observe_extents=metrics.observe_extents,
    )
    with served_driver(settings, engines, metrics):
        yield settings.socket_path


@pytest.mark.go
@pytest.mark.slow
@pytest.mark.timeout(BUILD_AND_RUN_LIMIT_S)
@pytest.mark.parametrize(
    ("features", "table", "variant"),
    [
        pytest.param(LIKE_REFLINK, EMBEDDED, MOUNT, id="like-reflink-mount"),
        pytest.param(LIKE_REFLINK, EMBEDDED, BLOCK, id="like-reflink-block"),
        pytest.param(LIKE_OPENZFS, EVERYWHERE, MOUNT, id="like-openzfs-mount"),
        pytest.param(LIKE_OPENZFS, EVERYWHERE, BLOCK, id="like-openzfs-block"),
        pytest.param(LIKE_OPENZFS, EVERYWHERE, ENCRYPTED, id="like-openzfs-encrypted"),
        pytest.param(LIKE_NATIVE_OPENZFS, EVERYWHERE, MOUNT, id="like-native-openzfs-mount"),
        pytest.param(LIKE_NATIVE_OPENZFS, EVERYWHERE, BLOCK, id="like-native-openzfs-block"),
    ],
)
def test_driver_on_fakes_passes_csi_sanity(
    features: Features,
    table: tuple[Lack, ...],
    variant: Variant,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No spec fails, none is skipped without a reason, nothing is left; rules.md C4."""
    caplog.set_level(logging.DEBUG)
    changeable = {"compression": "lz4"} if features.mutable_properties else {}
    binary = _binary()
    # Short: the path of a socket may have no more than 107 bytes.
    with scratch_directory("sanity-") as root, served_fakes(root, features) as socket:
        suite = Suite(binary, socket, root / "kubelet", root)
        specs = suite.run(replace(variant, mutable_parameters=changeable))
        left = files_below(root / "kubelet")
    assert faults(specs, table) == [], "\n".join(output.failed(specs))
    assert left == []
    assert "/csi.v1.Node/NodeStageVolume" in caplog.text
    assert CANARY not in caplog.text


def _binary() -> Path:
    try:
        return ensure_binary(os.environ)
    except CannotBuildError as exc:  # Go is there, the way to the modules is not
        if machine.in_ci(os.environ):
            raise
        pytest.skip(str(exc))
