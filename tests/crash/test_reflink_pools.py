"""Making, opening, growing and exporting a pool, cut short at every effect and every command.

rules.md B1: the same call, repeated, ends where an undisturbed one does; nothing stays attached or
mounted that should not.
"""

import errno
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from csi_zfs.datasets.api import NewDataset, PoolFullError
from csi_zfs.domain.sizes import MIB
from csi_zfs.reflink.creation import PoolExistsError, create_pool
from csi_zfs.reflink.place import Tools
from csi_zfs.reflink.pools import export_pool, grow_pool, open_pool, pool_status
from csi_zfs.system.runner import SystemRunner
from tests.support.cleanup import loop_devices_below, mounts_below, nothing_left_below
from tests.support.files import CrashError, CrashingFiles, CrashingRunner, Effects, Stop
from tests.support.reflink import contents_of, delete_pool, xfs_directory

pytestmark = [pytest.mark.root, pytest.mark.slow]
SIZE_BYTES = 320 * MIB
LARGER_BYTES = 400 * MIB


@dataclass(frozen=True, slots=True)
class Scenario:
    """Something done to a pool at a path, and what is done there before."""

    name: str
    prepare: Callable[[Path], object]
    act: Callable[[Path, Tools], object]


def nothing(path: Path) -> None:
    assert not path.exists()


def empty(path: Path) -> None:
    path.mkdir()


def pool(path: Path) -> None:
    create_pool(path, size_bytes=SIZE_BYTES)


def pool_in_use(path: Path) -> None:
    pool(path)
    open_pool(path, name="pool").close()


def create(path: Path, tools: Tools) -> None:
    with suppress(PoolExistsError):
        create_pool(path, size_bytes=SIZE_BYTES, tools=tools)


def create_allocated(path: Path, tools: Tools) -> None:
    with suppress(PoolExistsError):
        create_pool(path, size_bytes=SIZE_BYTES, is_preallocated=True, tools=tools)


def create_in_directory(path: Path, tools: Tools) -> None:
    with suppress(PoolExistsError):
        create_pool(path, tools=tools)


def open_and_close(path: Path, tools: Tools) -> None:
    open_pool(path, name="pool", tools=tools).close()


IN_IMAGE = (
    Scenario("create", nothing, create),
    Scenario("create allocated", empty, create_allocated),
    Scenario("open", pool, open_and_close),
    Scenario("grow", pool_in_use, lambda path, tools: grow_pool(path, LARGER_BYTES, tools=tools)),
    Scenario("export", pool_in_use, lambda path, tools: export_pool(path, tools=tools)),
)
stops = pytest.mark.parametrize("stop", [Stop.BEFORE, Stop.AFTER], ids=["before", "after"])


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    with nothing_left_below(tmp_path):
        yield tmp_path


def counted(effects: Effects) -> Tools:
    return Tools(CrashingFiles(effects), CrashingRunner(SystemRunner(), effects))


def state_of(path: Path) -> object:
    """What is there: files with their lengths, and whether the pool is attached and mounted."""
    files = {entry.name: entry.stat().st_size for entry in path.iterdir() if entry.is_file()}
    return files, len(loop_devices_below(path)), len(mounts_below(path))


def require_usable(path: Path) -> None:
    with_pool = open_pool(path, name="pool")
    try:
        assert with_pool.health() == ()
        with_pool.create(NewDataset("v/first", MIB))
        assert not list(path.glob("**/t/*"))
    finally:
        with_pool.close()


def undisturbed(path: Path, scenario: Scenario) -> tuple[list[str], object]:
    effects = Effects()
    scenario.prepare(path)
    scenario.act(path, counted(effects))
    after = state_of(path)
    delete_pool(path)
    return effects.done, after


@stops
@pytest.mark.parametrize("scenario", IN_IMAGE, ids=lambda it: it.name)
def test_pool_operation_that_dies_at_any_effect_can_be_repeated(
    directory: Path, scenario: Scenario, stop: Stop
) -> None:
    done, after = undisturbed(directory / "undisturbed", scenario)
    for number in range(len(done)):
        path, effects = directory / str(number), Effects(number, stop)
        scenario.prepare(path)
        with pytest.raises(CrashError):
            scenario.act(path, counted(effects))
        assert effects.was_reached
        scenario.act(path, Tools())
        assert state_of(path) == after, effects.done
        require_usable(path)
        delete_pool(path)
        assert not loop_devices_below(path)


@stops
def test_making_of_a_directory_pool_that_dies_at_any_effect_can_be_repeated(
    directory: Path, stop: Stop
) -> None:
    with xfs_directory(directory) as xfs:
        effects = Effects()
        nothing(xfs / "undisturbed")
        create_in_directory(xfs / "undisturbed", counted(effects))
        for number in range(len(effects.done)):
            path, dying = xfs / str(number), Effects(number, stop)
            with pytest.raises(CrashError):
                create_in_directory(path, counted(dying))
            assert dying.was_reached
            create_in_directory(path, Tools())
            assert contents_of(path) == contents_of(xfs / "undisturbed"), dying.done
            require_usable(path)


@pytest.mark.parametrize(
    ("prepare", "first"),
    [(nothing, ["make_directory pool", "sync above"]), (empty, ["sync above"])],
)
def test_making_of_a_pool_makes_its_directory_durable_first(
    directory: Path, prepare: Callable[[Path], object], first: list[str]
) -> None:
    """Also where a call that was cut short made it."""
    effects, path = Effects(), directory / "above" / "pool"
    path.parent.mkdir()
    prepare(path)
    create_pool(path, size_bytes=SIZE_BYTES, tools=counted(effects))
    assert effects.done[: len(first)] == first
    delete_pool(path)


@pytest.mark.parametrize(
    "scenario", [it for it in IN_IMAGE if it.name != "export"], ids=lambda it: it.name
)
def test_pool_operation_below_which_the_disk_is_full_says_so_and_can_be_repeated(
    directory: Path, scenario: Scenario
) -> None:
    """rules.md A13."""
    done, after = undisturbed(directory / "undisturbed", scenario)
    for number, effect in enumerate(done):
        if effect.startswith("run "):
            continue
        path, failing = directory / str(number), Effects(number, Stop.FAULT, errno.ENOSPC)
        scenario.prepare(path)
        with pytest.raises(PoolFullError):
            scenario.act(path, counted(failing))
        assert failing.was_reached
        scenario.act(path, Tools())
        assert state_of(path) == after, failing.done
        assert pool_status(path).has_image
        delete_pool(path)
