"""OpenZFS's calls do what `LibzfsCore` says, in this process and through the helper process."""

import errno
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from csi_zfs.datasets.api import DatasetKind, PoolUnavailableError
from csi_zfs.system.clock import SystemClock
from csi_zfs.system.runner import SystemRunner
from csi_zfs.zfs.binding import DirectLibzfsCore
from csi_zfs.zfs.calls import Calls
from csi_zfs.zfs.lzc import (
    Arguments,
    LibzfsCore,
    LzcError,
    Properties,
    SendFlag,
    ZfsErrno,
)
from csi_zfs.zfs.module_version import require_served_module
from csi_zfs.zfs.pool_state import PoolState, PoolStates
from csi_zfs.zfs.pool_status import read_status
from csi_zfs.zfs.remote import RemoteLibzfsCore
from tests.support.commands import run

KEY = bytes(range(32))
ENCRYPTED: Properties = {"encryption": 8, "keyformat": 1, "keylocation": "prompt"}


@pytest.fixture(scope="module", name="core", params=["direct", "remote"])
def fixture_core(request: pytest.FixtureRequest) -> Iterator[LibzfsCore]:
    if request.param == "direct":
        yield DirectLibzfsCore()
        return
    remote = RemoteLibzfsCore(Calls(states=PoolStates(), clock=SystemClock()))
    yield remote
    remote.close()


@pytest.fixture(name="parent")
def fixture_parent(core: LibzfsCore, zpool: str) -> str:
    """A file system of its own for a test."""
    name = f"{zpool}/{uuid.uuid4().hex}"
    core.create(name, DatasetKind.FILESYSTEM, {})
    return name


@pytest.fixture(name="snapshot")
def fixture_snapshot(core: LibzfsCore, parent: str) -> str:
    """The only snapshot of a file system."""
    core.create(f"{parent}/x", DatasetKind.FILESYSTEM, {})
    core.snapshot([f"{parent}/x@s"])
    return f"{parent}/x@s"


def errno_of(call: Callable[[], object]) -> int:
    with pytest.raises(LzcError) as caught:
        call()
    return caught.value.errno


def local(dataset: str, zfs_property: str) -> list[str]:
    return run("zfs", "get", "-Hpo", "value,source", zfs_property, dataset).split()


def test_create_sets_properties_of_the_kernel_and_of_users(core: LibzfsCore, parent: str) -> None:
    properties: Properties = {
        "refquota": 1 << 30,
        "compression": 15,
        "io.csi-zfs:record": "words: ü",
    }
    core.create(f"{parent}/x", DatasetKind.FILESYSTEM, properties)
    assert local(f"{parent}/x", "refquota") == [str(1 << 30), "local"]
    assert local(f"{parent}/x", "compression") == ["lz4", "local"]
    assert run("zfs", "get", "-Ho", "value", "io.csi-zfs:record", f"{parent}/x") == "words: ü\n"


def test_create_makes_a_zvol(core: LibzfsCore, parent: str) -> None:
    core.create(f"{parent}/z", DatasetKind.ZVOL, {"volsize": 1 << 20, "volblocksize": 16384})
    assert local(f"{parent}/z", "volsize") == [str(1 << 20), "local"]


def test_errno_of_each_refusal(core: LibzfsCore, parent: str, snapshot: str) -> None:
    dataset = snapshot.partition("@")[0]
    clone, filesystem = f"{parent}/c", DatasetKind.FILESYSTEM
    core.clone(clone, snapshot, {})
    core.create(f"{parent}/z", DatasetKind.ZVOL, {"volsize": 1 << 20})
    refusals: dict[str, tuple[Callable[[], object], int]] = {
        "create again": (lambda: core.create(dataset, filesystem, {}), errno.EEXIST),
        "create without parent": (
            lambda: core.create(f"{parent}/none/x", filesystem, {}),
            errno.ENOENT,
        ),
        "create below a zvol": (
            lambda: core.create(f"{parent}/z/x", filesystem, {}),
            ZfsErrno.WRONG_PARENT,
        ),
        "create a zvol of an odd size": (
            lambda: core.create(f"{parent}/odd", DatasetKind.ZVOL, {"volsize": 1000}),
            errno.EINVAL,
        ),
        "create a zvol larger than the pool": (
            lambda: core.create(
                f"{parent}/big", DatasetKind.ZVOL, {"volsize": 1 << 40, "refreservation": 1 << 40}
            ),
            errno.ENOSPC,
        ),
        "clone again": (lambda: core.clone(clone, snapshot, {}), errno.EEXIST),
        "clone of nothing": (lambda: core.clone(f"{parent}/d", f"{dataset}@no", {}), errno.ENOENT),
        "snapshot again": (lambda: core.snapshot([snapshot]), errno.EEXIST),
        "snapshot of nothing": (lambda: core.snapshot([f"{parent}/no@s"]), errno.ENOENT),
        "destroy of nothing": (lambda: core.destroy(f"{parent}/no"), errno.ENOENT),
        "destroy with children": (lambda: core.destroy(parent), errno.EEXIST),
        "destroy with snapshots": (lambda: core.destroy(dataset), errno.EBUSY),
        "destroy a snapshot with clones": (
            lambda: core.destroy_snapshots([snapshot]),
            errno.EEXIST,
        ),
        "rename of nothing": (lambda: core.rename(f"{parent}/no", f"{parent}/n"), errno.ENOENT),
        "rename onto another": (lambda: core.rename(clone, dataset), errno.EEXIST),
        "promote what is no clone": (lambda: core.promote(dataset), errno.EINVAL),
        "hold of nothing": (lambda: core.hold(f"{dataset}@no", "t"), errno.ENOENT),
        "release of nothing": (lambda: core.release(f"{dataset}@no", "t"), errno.ENOENT),
        "holds of nothing": (lambda: core.holds(f"{dataset}@no"), errno.ENOENT),
        "bookmark of nothing": (
            lambda: core.bookmark({f"{dataset}#b": f"{dataset}@no"}),
            errno.ENOENT,
        ),
        "key of what is not encrypted": (lambda: core.load_key(dataset, KEY), errno.EINVAL),
    }
    found = {words: errno_of(call) for words, (call, _) in refusals.items()}
    assert found == {words: number for words, (_, number) in refusals.items()}
    assert not core.exists(f"{parent}/big")


def test_every_call_on_a_pool_that_is_not_imported_says_no_entry(core: LibzfsCore) -> None:
    """rules.md A5: so an ENOENT alone never proves an absence."""
    calls: list[Callable[[], object]] = [
        lambda: core.create("nopool/x", DatasetKind.FILESYSTEM, {}),
        lambda: core.clone("nopool/y", "nopool/x@s", {}),
        lambda: core.snapshot(["nopool/x@s"]),
        lambda: core.destroy("nopool/x"),
        lambda: core.destroy_snapshots(["nopool/x@s"]),
        lambda: core.rename("nopool/x", "nopool/y"),
        lambda: core.promote("nopool/x"),
        lambda: core.hold("nopool/x@s", "t"),
        lambda: core.release("nopool/x@s", "t"),
        lambda: core.holds("nopool/x@s"),
        lambda: core.bookmark({"nopool/x#b": "nopool/x@s"}),
        lambda: core.load_key("nopool/x", KEY),
        lambda: core.unload_key("nopool/x"),
        lambda: core.change_key("nopool/x", KEY, ENCRYPTED),
        lambda: core.send("nopool/x@s", "", 1),
        lambda: core.run_program("nopool", "return 1"),
        lambda: core.read_program("nopool", "return 1"),
    ]
    assert {errno_of(call) for call in calls} == {errno.ENOENT}
    assert not core.exists("nopool/x")


def test_snapshots_are_taken_all_or_none(core: LibzfsCore, parent: str, snapshot: str) -> None:
    core.create(f"{parent}/y", DatasetKind.FILESYSTEM, {})
    with pytest.raises(LzcError) as caught:
        core.snapshot([f"{parent}/y@s", snapshot])
    assert caught.value.errno_of == {snapshot: errno.EEXIST}
    assert not core.exists(f"{parent}/y@s")


def test_destroy_of_missing_snapshots_is_silent(core: LibzfsCore, snapshot: str) -> None:
    core.destroy_snapshots([f"{snapshot}-not"])
    assert core.exists(snapshot)


def test_hold_keeps_a_snapshot_until_its_release(core: LibzfsCore, snapshot: str) -> None:
    for _ in range(2):
        core.hold(snapshot, "tag")
    assert list(core.holds(snapshot)) == ["tag"]
    assert errno_of(lambda: core.destroy_snapshots([snapshot])) == errno.EBUSY
    core.destroy_snapshots([snapshot], is_deferred=True)
    core.release(snapshot, "other")
    assert core.exists(snapshot)
    core.release(snapshot, "tag")
    assert not core.exists(snapshot)


def test_promoted_clone_has_the_snapshot(core: LibzfsCore, parent: str, snapshot: str) -> None:
    core.clone(f"{parent}/c", snapshot, {"io.csi-zfs:record": "c"})
    core.promote(f"{parent}/c")
    assert core.exists(f"{parent}/c@s")
    core.rename(f"{parent}/c@s", f"{parent}/c@renamed")
    assert core.exists(f"{parent}/c@renamed")


def test_key_is_loaded_checked_changed_and_forgotten(core: LibzfsCore, parent: str) -> None:
    name = f"{parent}/secret"
    core.create(name, DatasetKind.FILESYSTEM, ENCRYPTED, key=KEY)
    assert errno_of(lambda: core.load_key(name, KEY)) == errno.EEXIST
    core.change_key(name, KEY[::-1], {"keyformat": 1})
    core.unload_key(name)
    assert errno_of(lambda: core.unload_key(name)) == errno.EACCES
    assert errno_of(lambda: core.load_key(name, KEY)) == errno.EACCES
    core.load_key(name, KEY[::-1], is_noop=True)
    assert errno_of(lambda: core.create(f"{name}/x", DatasetKind.FILESYSTEM, {})) == errno.EACCES
    core.load_key(name, KEY[::-1])
    core.create(f"{name}/x", DatasetKind.FILESYSTEM, {})


def test_stream_makes_an_equal_snapshot_elsewhere(
    core: LibzfsCore, parent: str, snapshot: str, tmp_path: Path
) -> None:
    stream = tmp_path / "stream"
    with stream.open("wb") as file:
        core.send(snapshot, "", file.fileno(), frozenset({SendFlag.LARGE_BLOCKS}))
    with stream.open("rb") as file:
        core.receive(f"{parent}/r@s", file.fileno(), properties={"io.csi-zfs:record": "mine"})
    assert local(f"{parent}/r", "io.csi-zfs:record") == ["mine", "local"]
    assert local(f"{parent}/r@s", "guid") == local(snapshot, "guid")


def test_receive_of_a_stream_that_ends_at_once_is_truncated(core: LibzfsCore, parent: str) -> None:
    reading, writing = os.pipe()
    os.close(writing)
    try:
        found = errno_of(lambda: core.receive(f"{parent}/r@s", reading))
    finally:
        os.close(reading)
    assert found == ZfsErrno.STREAM_TRUNCATED


def test_program_gets_and_gives_values_of_every_type(core: LibzfsCore, zpool: str) -> None:
    values: Arguments = {
        "text": "ü",
        "number": -1,
        "type": 1 << 62,
        "yes": True,
        "names": ["a", "b"],
        "numbers": [1, -2],
        "nothing": [],
        "inner": {"x": 1},
    }
    found = core.read_program(zpool, 'return (...)["argv"]', values)
    lists = {"names": {"1": "a", "2": "b"}, "numbers": {"1": 1, "2": -2}, "nothing": {}}
    assert found == {**values, **lists}


def test_program_that_changes_nothing_may_not_change(
    core: LibzfsCore, zpool: str, parent: str
) -> None:
    source = f'return zfs.sync.snapshot("{parent}@no")'
    assert errno_of(lambda: core.read_program(zpool, source)) == errno.ECHRNG
    assert core.run_program(zpool, source.replace("@no", "@yes")) == 0


def test_program_that_fails_says_how(core: LibzfsCore, zpool: str) -> None:
    words = {
        "error('no way')": (errno.ECHRNG, "no way"),
        "while true do end": (errno.ETIME, "timed out"),
        "local x = 'x' while true do x = x .. x end": (errno.ENOSPC, ""),
        "this is no Lua": (errno.EINVAL, "syntax error"),
    }
    for source, (number, part) in words.items():
        with pytest.raises(LzcError) as caught:
            core.read_program(zpool, source, instruction_limit=1_000_000)
        assert (caught.value.call, caught.value.errno) == ("read_program", number)
        assert part in caught.value.detail


def test_state_and_status_of_a_pool_that_is_well(zpool: str) -> None:
    assert PoolStates().read(zpool) is PoolState.ONLINE
    assert PoolStates().read("nopool") is PoolState.NOT_IMPORTED
    status = read_status(SystemRunner(), zpool)
    assert (status.state, status.scan, status.data_errors) == (PoolState.ONLINE, None, 0)
    assert [vdev.vdev_type for vdev in status.vdevs] == ["root", "file"]
    assert not any(vdev.has_errors for vdev in status.vdevs)


def test_status_of_a_pool_that_is_away_is_unavailable() -> None:
    with pytest.raises(PoolUnavailableError, match="no such pool"):
        read_status(SystemRunner(), "nopool")


def test_module_of_this_machine_is_served(module_version: str) -> None:
    assert require_served_module().startswith(module_version)
