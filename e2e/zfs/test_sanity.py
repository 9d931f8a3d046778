"""csi-sanity against the whole driver on a real pool of OpenZFS, with real mounts."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from csi_zfs.app import Engines
from csi_zfs.mount.linux import LinuxMounter
from csi_zfs.rpc.metrics import Metrics
from csi_zfs.settings import PoolSettings, Settings
from csi_zfs.system.files import Files
from csi_zfs.system.runner import SystemRunner
from csi_zfs.system.state_files import StateDirectory
from csi_zfs.zfs.binding import DirectLibzfsCore
from csi_zfs.zfs.pools import Doors, create_pool, open_pool
from e2e.vm.programs import PROGRAMS_IN_GUEST
from tests.sanity import output
from tests.sanity.report import faults
from tests.sanity.skips import EVERYWHERE
from tests.sanity.suite import CANARY, ENCRYPTED, VARIANTS, Suite, Variant
from tests.support.commands import run
from tests.support.leftovers import files_below, scratch_directory
from tests.support.served import served_driver

BINARY = Path(PROGRAMS_IN_GUEST, "csi-sanity")
LIMIT_S = 1800
CHANGEABLE = {"compression": "lz4"}


@contextmanager
def served(root: Path, parent: str) -> Iterator[Path]:
    """A driver on a pool below this parent, served below `root`; yields its socket."""
    doors = Doors(DirectLibzfsCore())
    create_pool(parent, doors)
    settings = Settings(
        pools=(PoolSettings("tank", root / "unused"),),
        node_id="this-node",
        socket_path=root / "csi.sock",
        kubelet_dir=root / "kubelet",
        state_dir=root / "state",
    )
    settings.kubelet_dir.mkdir()
    metrics, runner = Metrics(), SystemRunner()
    engines = Engines(
        pools=[open_pool(parent, name="tank", doors=doors, thin_ratio=100)],
        mounter=LinuxMounter(runner, root=settings.kubelet_dir),
        state_store=StateDirectory(settings.state_dir, Files()),
        observe_extents=metrics.observe_extents,
    )
    with served_driver(settings, engines, metrics):
        yield settings.socket_path


@pytest.mark.timeout(LIMIT_S)
@pytest.mark.parametrize("variant", [*VARIANTS, ENCRYPTED], ids=lambda variant: variant.name)
def test_driver_on_openzfs_passes_csi_sanity(
    variant: Variant, zpool: str, caplog: pytest.LogCaptureFixture
) -> None:
    """No spec fails, none is skipped without a reason, nothing is left; rules.md C4."""
    caplog.set_level(logging.DEBUG)
    parent = f"{zpool}/{variant.name}"
    with scratch_directory("sanity-") as root, served(root, parent) as socket:
        suite = Suite(BINARY, socket, root / "kubelet", root)
        specs = suite.run(replace(variant, mutable_parameters=CHANGEABLE))
        left = files_below(root / "kubelet")
        assert CANARY.encode() not in b"".join(
            path.read_bytes() for path in (root / "state").rglob("*") if path.is_file()
        )
    print(output.summary(variant.name, specs, 0))
    assert faults(specs, EVERYWHERE) == [], "\n".join(output.failed(specs))
    assert left == []
    assert run("zfs", "list", "-H", "-t", "all", "-r", "-o", "name", f"{parent}/v").split() == [
        f"{parent}/v"
    ]
    assert CANARY not in caplog.text
