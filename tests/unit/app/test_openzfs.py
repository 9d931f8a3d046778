"""What is said where OpenZFS is not as it has to be, and how a pool on it is described."""

import logging
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from csi_zfs.app import create_openzfs_pool, openzfs, pool_status
from csi_zfs.app.opening import Opener
from csi_zfs.app.openzfs import (
    Installed,
    OpenZfs,
    OpenZfsMissingError,
    ZpoolNotImportedError,
    described,
)
from csi_zfs.datasets.api import NewDataset, NewSnapshot
from csi_zfs.domain.errors import CsiZfsError
from csi_zfs.domain.model import HealthStatus, PoolKind, PoolStatus
from csi_zfs.domain.sizes import GIB
from csi_zfs.reflink.place import Tools
from csi_zfs.settings import PoolSettings
from csi_zfs.zfs.errors import PoolSuspendedError
from csi_zfs.zfs.pool_state import PoolState, PoolStates
from tests.support.node import FakeNode

TANK = PoolSettings("disks", dataset="tank/csi")
EMPTY = PoolStatus(
    name="disks",
    path=None,
    dataset="tank/csi",
    pool_id="",
    kind=PoolKind.OPENZFS,
    state="NOT_IMPORTED",
    total_bytes=0,
    free_bytes=0,
    volumes=0,
    snapshots=0,
)


class Machine:
    """A machine as far as OpenZFS's module can be seen; its pools are only names and states."""

    def __init__(self, root: Path) -> None:
        """Make it below `root`: with a module that is served, and a library."""
        self.installed = Installed(
            module_version=root / "version", library="json", control=root / "control"
        )
        self.installed.control.touch()
        self.states = PoolStates(root / "kstat")
        self._root = root
        self.load("2.3.2-2~bpo12+2")

    def load(self, version: str) -> None:
        """Load a module of this version."""
        self.installed.module_version.write_text(f"{version}\n")

    def unload(self) -> None:
        """Load no module."""
        self.installed.module_version.unlink()

    def import_pool(self, name: str, state: PoolState) -> None:
        """Have a zpool in this state."""
        directory = self._root / "kstat" / name
        directory.mkdir(parents=True)
        (directory / "state").write_text(f"{state}\n")

    def openzfs(self) -> OpenZfs:
        """What the driver makes of it."""
        tools = Tools()
        return OpenZfs(tools.runner, tools.clock, states=self.states, installed=self.installed)


@pytest.fixture(name="machine")
def fixture_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine without zpools, that the functions for the command line look at too."""
    machine = Machine(tmp_path)
    made = OpenZfs

    def on_this_machine(*doors: object, owner: str = "") -> OpenZfs:
        on_it = {"states": machine.states, "installed": machine.installed}
        return made(*doors, owner=owner, **on_it)  # type: ignore[arg-type]

    monkeypatch.setattr(openzfs, "OpenZfs", on_this_machine)
    return machine


def test_open_without_the_module_says_what_to_install(machine: Machine) -> None:
    machine.unload()

    with pytest.raises(OpenZfsMissingError) as missing:
        machine.openzfs().open(TANK)

    assert str(missing.value) == (
        "OpenZFS is not loaded into this machine's kernel:"
        " install OpenZFS 2.3 and run `modprobe zfs`"
    )


@pytest.mark.parametrize("version", ["2.2.7-1", "2.4.0-1", "0.8.3"])
def test_create_with_another_module_says_which_and_what_to_install(
    machine: Machine, version: str
) -> None:
    machine.load(version)
    machine.import_pool("tank", PoolState.ONLINE)

    with pytest.raises(OpenZfsMissingError) as missing:
        create_openzfs_pool("tank/csi", name="disks")

    assert str(missing.value) == (
        f"the kernel has OpenZFS {version}; the driver works with releases of 2.3:"
        " install OpenZFS 2.3 and run `modprobe zfs`"
    )


def test_open_without_the_library_says_what_to_install(machine: Machine) -> None:
    machine.installed = replace(machine.installed, library="libzfs_core_of_nobody")

    with pytest.raises(OpenZfsMissingError, match="Python finds no libzfs_core_of_nobody: install"):
        machine.openzfs().open(TANK)


def test_open_without_the_kernels_device_says_so(machine: Machine) -> None:
    """As in a container that was not given it."""
    machine.import_pool("tank", PoolState.ONLINE)
    machine.installed.control.unlink()

    with pytest.raises(OpenZfsMissingError, match="control cannot be opened: No such file"):
        machine.openzfs().open(TANK)


def test_create_in_a_zpool_that_is_not_imported_says_how_to_import_it(machine: Machine) -> None:
    """rules.md A5: nothing is said about what is in it."""
    with pytest.raises(ZpoolNotImportedError) as away:
        create_openzfs_pool("tank/csi", name="disks")

    assert str(away.value) == (
        "zpool tank is not imported: run `zpool import tank`, or make it with `zpool create`"
    )


def test_open_in_a_suspended_zpool_is_refused_without_a_call(machine: Machine) -> None:
    """A call could block for ever."""
    machine.import_pool("tank", PoolState.SUSPENDED)

    with pytest.raises(PoolSuspendedError, match="zpool clear tank"):
        machine.openzfs().open(TANK)


def test_status_of_a_pool_that_cannot_be_read_is_a_finding(machine: Machine) -> None:
    status = pool_status(TANK)

    (finding,) = status.findings
    assert replace(status, findings=()) == EMPTY
    assert (finding.status, finding.reason) == (HealthStatus.INACCESSIBLE, "PoolUnreadable")
    assert "zpool import tank" in finding.message


def test_status_of_a_suspended_zpool_has_the_kernels_word(machine: Machine) -> None:
    machine.import_pool("tank", PoolState.SUSPENDED)

    status = pool_status(TANK)

    assert status.state == "SUSPENDED"
    assert "is suspended" in status.findings[0].message


def test_opener_has_a_helper_process_for_each_zpool_and_ends_them(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    """A pool that is suspended holds at most its own; no such pools are on any machine."""
    for zpool_name in ("no-tank", "no-disks"):
        machine.import_pool(zpool_name, PoolState.ONLINE)
    pools = [
        PoolSettings(dataset.replace("/", "-"), dataset=dataset)
        for dataset in ("no-tank/a", "no-disks/a", "no-tank/b")
    ]
    with caplog.at_level(logging.INFO, "csi_zfs.zfs"):
        with ExitStack() as stack:
            opener = Opener(Tools(), stack)
            for pool in pools:
                with pytest.raises(CsiZfsError):
                    opener.open(pool)
            assert caplog.messages == ["OpenZFS's helper process began"] * 2
        assert caplog.messages[2:] == ["OpenZFS's helper process ended"] * 2


def test_description_counts_what_callers_have(tmp_path: Path) -> None:
    """A tombstone and a snapshot that is only kept for a clone are deleted for them."""
    pool = FakeNode(tmp_path, dependent_clones=True).pool
    for leaf in ("a", "b"):
        pool.create(NewDataset(f"v/{leaf}", GIB))
    for leaf in ("s", "t"):
        pool.snapshot([NewSnapshot(f"v/a@{leaf}")])
    pool.rename_snapshot("v/a@t", "v/a@D-0123456789abcdef")
    pool.retire("v/a", "v/D-0123456789abcdef")

    status = described(TANK, pool, PoolState.ONLINE)

    room = pool.capacity()
    assert status == replace(
        EMPTY,
        pool_id=pool.pool_id,
        state="ONLINE",
        total_bytes=room.total_bytes,
        free_bytes=room.free_bytes,
        volumes=1,
        snapshots=1,
    )


def test_description_tells_what_the_pool_finds_and_which_records_are_damaged(
    tmp_path: Path,
) -> None:
    """What is damaged is not absent: it is counted."""
    pool = FakeNode(tmp_path, dependent_clones=True).pool
    pool.create(NewDataset("v/a", GIB))
    pool.damage("v/a")

    status = described(TANK, pool, PoolState.ONLINE)

    assert status.volumes == 1
    assert [(finding.status, finding.reason) for finding in status.findings] == [
        (HealthStatus.DATA_LOSS, "RecordDamaged")
    ]
