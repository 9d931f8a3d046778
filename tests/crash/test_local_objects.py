"""The process dies, or the power goes, at every effect of every write of a local storage.

Whatever is left, a new process finds each object whole, as it was or as it was to be; what had
returned is there; the call can be repeated, and then nothing is left of the accident.
"""

import errno
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from math import inf
from pathlib import Path

import pytest

from csi_zfs.cas.api import (
    ObjectStorage,
    StorageDeniedError,
    StorageFullError,
    StorageUnavailableError,
)
from csi_zfs.cas.objects.local import LocalObjects
from csi_zfs.cas.objects.local_root import MARK, make_local_storage
from csi_zfs.domain.errors import CsiZfsError
from csi_zfs.system.digest import hex_digest_of
from tests.support.files import CrashError, Effects, Stop
from tests.support.power_cut import ForgetfulDisk, ForgetfulFiles, HurriedFiles

OLD = {"packs/ab/one": b"one", "packs/ab/two": b"two", "epoch": b"epoch 1", "marks/x": b"x"}
NEW = b"what is written, longer than before"
TAG = hex_digest_of(OLD["epoch"])
Contents = dict[str, bytes]
_numbers = count()


@dataclass(frozen=True, slots=True)
class Scenario:
    """A write, and what is there after it."""

    name: str
    act: Callable[[ObjectStorage], object]
    after: Contents


SCENARIOS = [
    Scenario("put", lambda it: it.put("packs/ab/new", NEW), OLD | {"packs/ab/new": NEW}),
    Scenario("put in new directories", lambda it: it.put("a/b/c", NEW), OLD | {"a/b/c": NEW}),
    Scenario("put over", lambda it: it.put("packs/ab/one", NEW), OLD | {"packs/ab/one": NEW}),
    Scenario("put_new", lambda it: it.put_new("s/new", NEW), OLD | {"s/new": NEW}),
    Scenario("put_new of what is there", lambda it: it.put_new("epoch", b"epoch 1"), OLD),
    Scenario("replace", lambda it: it.replace("epoch", NEW, TAG), OLD | {"epoch": NEW}),
    Scenario(
        "delete",
        lambda it: it.delete(["packs/ab/one", "packs/ab/two", "marks/x", "gone"]),
        {"epoch": b"epoch 1"},
    ),
]
every_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda it: it.name)


def prepared(directory: Path) -> Path:
    path = directory / f"{next(_numbers)}"
    make_local_storage(path, HurriedFiles())
    storage = LocalObjects(path, HurriedFiles())
    for key, data in OLD.items():
        storage.put(key, data)
    return path


def contents_of(storage: ObjectStorage) -> Contents:
    return {info.key: storage.get(info.key).data for info in storage.list("")}


def files_in(path: Path) -> set[str]:
    """Everything that is there, of the storage itself too."""
    return {str(file.relative_to(path)) for file in path.rglob("*") if not file.is_dir()}


def cuts() -> Iterator[Callable[[str], bool]]:
    """Nothing of what was not synced survives, all of it, any part of it."""
    yield lambda _path: False
    yield lambda _path: True
    for seed in range(4):
        yield partial(is_lucky, random.Random(seed))


def is_lucky(chance: random.Random, _path: str) -> bool:
    return chance.random() < 0.5


def require_each_as_it_was_or_is(found: Contents, after: Contents) -> None:
    for key in {*OLD, *after, *found}:
        assert found.get(key) in (OLD.get(key), after.get(key)), key


def require_repeatable(path: Path, scenario: Scenario) -> None:
    """A new process finds objects that are whole, ends the call, and cleans up."""
    storage = LocalObjects(path, HurriedFiles())
    require_each_as_it_was_or_is(contents_of(storage), scenario.after)
    scenario.act(storage)
    assert contents_of(storage) == scenario.after
    storage.remove_leftovers(inf)
    assert files_in(path) == {MARK, ".lock", *scenario.after}


@contextmanager
def dying(path: Path, scenario: Scenario, effects: Effects) -> Iterator[ForgetfulDisk]:
    disk = ForgetfulDisk(path)
    with pytest.raises(CrashError):
        scenario.act(LocalObjects(path, ForgetfulFiles(disk, effects)))
    assert effects.was_reached
    yield disk


def number_of_effects(directory: Path, scenario: Scenario) -> int:
    path, effects = prepared(directory), Effects()
    scenario.act(LocalObjects(path, ForgetfulFiles(ForgetfulDisk(path), effects)))
    assert effects.done
    return len(effects.done)


@every_scenario
@pytest.mark.parametrize("stop", [Stop.BEFORE, Stop.AFTER], ids=["before", "after"])
def test_write_that_dies_at_any_effect_can_be_repeated(
    tmp_path: Path, scenario: Scenario, stop: Stop
) -> None:
    for number in range(number_of_effects(tmp_path, scenario)):
        path = prepared(tmp_path)
        with dying(path, scenario, Effects(number, stop)):
            require_repeatable(path, scenario)


@pytest.mark.slow
@every_scenario
@pytest.mark.parametrize("stop", [Stop.BEFORE, Stop.AFTER], ids=["before", "after"])
def test_write_during_which_the_power_goes_can_be_repeated(
    tmp_path: Path, scenario: Scenario, stop: Stop
) -> None:
    for number in range(number_of_effects(tmp_path, scenario)):
        with dying(prepared(tmp_path), scenario, Effects(number, stop)) as disk:
            for keeps in cuts():
                path = tmp_path / f"{next(_numbers)}"
                disk.cut(path, keeps=keeps)
                require_repeatable(path, scenario)


@every_scenario
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (errno.ENOSPC, StorageFullError),
        (errno.EDQUOT, StorageFullError),
        (errno.EROFS, StorageDeniedError),
        (errno.EACCES, StorageDeniedError),
        (errno.EIO, StorageUnavailableError),
        (errno.ENOENT, StorageUnavailableError),
    ],
    ids=lambda it: errno.errorcode.get(it, "") if isinstance(it, int) else "",
)
def test_write_on_a_disk_that_fails_at_any_effect_says_why_and_can_be_repeated(
    tmp_path: Path, scenario: Scenario, fault: int, error: type[CsiZfsError]
) -> None:
    for number in range(number_of_effects(tmp_path, scenario)):
        path, effects = prepared(tmp_path), Effects(number, Stop.FAULT, fault)
        with pytest.raises(error):
            scenario.act(LocalObjects(path, ForgetfulFiles(ForgetfulDisk(path), effects)))
        assert effects.was_reached
        require_repeatable(path, scenario)


def survivors(directory: Path, scenario: Scenario, files: type[ForgetfulFiles]) -> list[Contents]:
    """What is there when the power goes behind a write that has returned."""
    path = prepared(directory)
    disk = ForgetfulDisk(path)
    scenario.act(LocalObjects(path, files(disk, Effects())))
    found = []
    for keeps in cuts():
        left = directory / f"{next(_numbers)}"
        disk.cut(left, keeps=keeps)
        found.append(contents_of(LocalObjects(left)))
    return found


@every_scenario
def test_write_that_has_returned_survives_a_power_cut(tmp_path: Path, scenario: Scenario) -> None:
    found = survivors(tmp_path, scenario, ForgetfulFiles)
    assert found == [scenario.after] * len(found)


class HastyFiles(ForgetfulFiles):
    """Never syncs a directory."""

    def sync(self, path: Path) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    "scenario", [it for it in SCENARIOS if it.after != OLD], ids=lambda it: it.name
)
def test_harness_catches_a_directory_that_is_not_synced(tmp_path: Path, scenario: Scenario) -> None:
    found = survivors(tmp_path, scenario, HastyFiles)
    assert [contents == scenario.after for contents in found][:2] == [False, True]


@pytest.mark.parametrize("number", range(4))
def test_put_behind_a_writer_that_died_while_it_made_the_directories_is_durable(
    tmp_path: Path, number: int
) -> None:
    """The directories are there, but nobody has synced their names."""
    path = prepared(tmp_path)
    disk = ForgetfulDisk(path)
    effects = Effects(number + 1, Stop.AFTER)
    with pytest.raises(CrashError):
        LocalObjects(path, ForgetfulFiles(disk, effects)).put("a/b/dead", NEW)
    LocalObjects(path, ForgetfulFiles(disk, Effects())).put("a/b/alive", NEW)
    disk.cut(tmp_path / "left", keeps=lambda _path: False)
    assert LocalObjects(tmp_path / "left").get("a/b/alive").data == NEW


def test_put_new_behind_a_writer_that_died_before_its_sync_is_durable(tmp_path: Path) -> None:
    """It says "it is there already", so it has to stay there."""
    path = prepared(tmp_path)
    disk = ForgetfulDisk(path)
    effects = Effects(4, Stop.BEFORE)
    with pytest.raises(CrashError):
        LocalObjects(path, ForgetfulFiles(disk, effects)).put_new("packs/ab/same", NEW)
    assert effects.done[-2:] == ["link same", "sync ab"]
    LocalObjects(path, ForgetfulFiles(disk, Effects())).put_new("packs/ab/same", NEW)
    disk.cut(tmp_path / "left", keeps=lambda _path: False)
    assert LocalObjects(tmp_path / "left").get("packs/ab/same").data == NEW


@pytest.mark.parametrize("stop", [Stop.BEFORE, Stop.AFTER], ids=["before", "after"])
def test_making_of_a_storage_that_is_cut_short_can_be_repeated(tmp_path: Path, stop: Stop) -> None:
    effects = making(tmp_path / "0" / "undisturbed", Effects())
    for number in range(len(effects.done)):
        for turn, keeps in enumerate(cuts()):
            directory = tmp_path / f"{number}-{turn}"
            (directory / "here").mkdir(parents=True)
            disk = ForgetfulDisk(directory / "here")
            with pytest.raises(CrashError):
                make_local_storage(
                    directory / "here" / "new", ForgetfulFiles(disk, Effects(number, stop))
                )
            disk.cut(directory / "left", keeps=keeps)
            make_local_storage(directory / "left" / "new", HurriedFiles())
            storage = LocalObjects(directory / "left" / "new", HurriedFiles())
            storage.put("a", NEW)
            make_local_storage(directory / "left" / "new", HurriedFiles())
            assert contents_of(storage) == {"a": NEW}


def making(path: Path, effects: Effects) -> Effects:
    path.parent.mkdir()
    make_local_storage(path, ForgetfulFiles(ForgetfulDisk(path.parent), effects))
    return effects


def test_storage_that_was_made_survives_a_power_cut(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    disk = ForgetfulDisk(tmp_path / "here")
    make_local_storage(tmp_path / "here" / "new", ForgetfulFiles(disk, Effects()))
    disk.cut(tmp_path / "left", keeps=lambda _path: False)
    assert list(LocalObjects(tmp_path / "left" / "new").list("")) == []
