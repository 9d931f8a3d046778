import fcntl
import os
from pathlib import Path

import pytest

from e2e.vm.cache import Kind, cache_directory, locked, outdated


@pytest.fixture(name="kind")
def fixture_kind(tmp_path: Path) -> Kind:
    return Kind(tmp_path / "cache", "system")


def build(work: Path) -> None:
    assert list(work.iterdir()) == []
    (work / "image").write_text("whole")


def fail(work: Path) -> None:
    (work / "image").write_text("half")
    raise KeyboardInterrupt


def never(_work: Path) -> None:
    pytest.fail("this was built already")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"CSI_ZFS_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "/a/vm"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/csi-zfs/vm"),
        ({}, f"{Path.home()}/.cache/csi-zfs/vm"),
    ],
)
def test_cache_lies_where_the_environment_says(environ: dict[str, str], expected: str) -> None:
    assert cache_directory(environ) == Path(expected)


def test_build_is_made_once(kind: Kind) -> None:
    finished = kind.path("1")
    kind.ensure(finished, build)
    kind.ensure(finished, never)
    assert (finished / "image").read_text() == "whole"


def test_build_that_fails_leaves_nothing_and_is_made_again(kind: Kind) -> None:
    finished = kind.path("1")
    with pytest.raises(KeyboardInterrupt):
        kind.ensure(finished, fail)
    assert [path.name for path in kind.cache.iterdir()] == ["system.lock"]
    kind.ensure(finished, build)
    assert (finished / "image").read_text() == "whole"


def test_build_that_was_killed_is_not_taken_for_an_image(kind: Kind) -> None:
    killed = kind.cache / "system-1.building"
    killed.mkdir(parents=True)
    (killed / "image").write_text("half")
    kind.ensure(kind.path("1"), build)
    assert not killed.exists()
    assert (kind.path("1") / "image").read_text() == "whole"


def test_build_keeps_the_two_that_were_used_last(kind: Kind) -> None:
    other = Kind(kind.cache, "environment")
    other.ensure(other.path("1"), build)
    for number in ("1", "2"):
        kind.ensure(kind.path(number), build)
        os.utime(kind.path(number), ns=(0, int(number)))
    kind.ensure(kind.path("1"), never)
    kind.ensure(kind.path("3"), build)
    kept = sorted(path.name for path in kind.cache.iterdir() if path.is_dir())
    assert kept == ["environment-1", "system-1", "system-3"]


def test_kind_leaves_another_one_alone_whose_name_begins_alike(kind: Kind) -> None:
    shim = Kind(kind.cache, "system-shim")
    unfinished = shim.path("3.building")
    for number in ("1", "2"):
        shim.ensure(shim.path(number), build)
    unfinished.mkdir()
    for number in ("1", "2", "3"):
        kind.ensure(kind.path(number), build)
    assert all(path.exists() for path in (shim.path("1"), shim.path("2"), unfinished))


def test_outdated_are_all_but_the_newest_two(tmp_path: Path) -> None:
    builds = [tmp_path / name for name in "abcd"]
    for age, path in enumerate(builds):
        path.mkdir()
        os.utime(path, ns=(0, 1_000 - age))
    assert outdated(builds) == builds[2:]
    assert outdated(builds[:1]) == []


def test_lock_is_held_for_the_length_of_the_block(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("ab") as other:
        with locked(path, "another"), pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
