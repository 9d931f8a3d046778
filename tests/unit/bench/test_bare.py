"""The bare loop does to a disk what the embedded pool does to it, no more and no less."""

import fcntl
import os
import re
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from csi_zfs.datasets.admission import Policy
from csi_zfs.datasets.api import NewDataset, NewSnapshot
from csi_zfs.domain.sizes import MIB
from csi_zfs.reflink.creation import create_pool
from csi_zfs.reflink.datasets import ReflinkDatasets
from csi_zfs.reflink.engine import Engine
from csi_zfs.reflink.place import Tools
from csi_zfs.reflink.root import PoolRoot
from csi_zfs.reflink.space import Space
from csi_zfs.system.files import Files
from tests.bench.bare import BareLoop
from tests.support.clock import FakeClock


class Recorder:
    """Notes each system call that changes a disk: what it is, and its paths as seen from `root`."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.effects: list[str] = []
        self._root = root
        for name in ("mkdir", "ftruncate", "fsync", "rename", "unlink", "rmdir"):
            monkeypatch.setattr(os, name, self._noting(name, getattr(os, name)))
        monkeypatch.setattr(os, "open", self._noting_new_files(os.open))
        monkeypatch.setattr(fcntl, "ioctl", self._clone)

    def _noting(self, name: str, do: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **keywords: object) -> object:
            self._note(name, *arguments[: 2 if name == "rename" else 1])
            return do(*arguments, **keywords)

        return call

    def _noting_new_files(self, do: Callable[..., int]) -> Callable[..., int]:
        def call(path: object, flags: int, *arguments: int, **keywords: int) -> int:
            if flags & os.O_CREAT:
                self._note("create", path)
            return do(path, flags, *arguments, **keywords)

        return call

    def _clone(self, descriptor: int, _request: int, source: int) -> None:
        """Take the place of FICLONE, which the file system of the tests may not have."""
        self._note("clone", source, descriptor)
        os.truncate(f"/proc/self/fd/{descriptor}", os.fstat(source).st_size)

    def _note(self, name: str, *paths: object) -> None:
        self.effects.append(" ".join([name, *map(self._shown, paths)]))

    def _shown(self, path: object) -> str:
        whole = (
            Path(f"/proc/self/fd/{path}").readlink() if isinstance(path, int) else Path(str(path))
        )
        return re.sub(r"^t/[^/]+", "t/*", os.path.relpath(whole, self._root))

    def drain(self) -> list[str]:
        """What was noted since the last call."""
        effects, self.effects = self.effects, []
        return effects


class SeenFiles(Files):
    """Renames by a call that the recorder sees."""

    def rename_new(self, path: Path, new_path: Path) -> None:
        assert not new_path.exists()
        path.rename(new_path)


@pytest.fixture
def pool_effects(tmp_path: Path) -> list[list[str]]:
    """What a pool in an image file of its own does for each step of the cycle."""
    root = tmp_path / "pool"
    with pytest.MonkeyPatch.context() as monkeypatch:
        recorder = Recorder(root, monkeypatch)
        create_pool(root, tools=Tools(files=SeenFiles()))
        engine = Engine(
            PoolRoot(root, pool_name="fast"),
            Space(root, image=None),
            policy=Policy(),
            is_ordered=True,
            files=SeenFiles(),
            clock=FakeClock(),
        )
        pool = ReflinkDatasets(engine)
        recorder.drain()
        try:
            return steps_of_pool(pool, recorder)
        finally:
            pool.close()


def steps_of_pool(pool: ReflinkDatasets, recorder: Recorder) -> list[list[str]]:
    effects = []
    volume = pool.create(new("one"))
    effects.append(recorder.drain())
    wanted = NewSnapshot("v/one@snap", user_properties={})
    (snapshot,) = pool.snapshot([wanted], quiesced=nullcontext())
    effects.append(recorder.drain())
    pool.clone("v/one@snap", new("two"), quiesced=nullcontext())
    effects.append(recorder.drain())
    pool.clone("v/one", new("three"), quiesced=nullcontext())
    effects.append(recorder.drain())
    pool.destroy_snapshot(snapshot.name, uid=snapshot.uid)
    effects.append(recorder.drain())
    pool.destroy(volume.name, uid=volume.uid)
    effects.append(recorder.drain())
    return effects


def new(leaf: str) -> NewDataset:
    return NewDataset(name=f"v/{leaf}", size_bytes=MIB, user_properties={})


@pytest.fixture
def bare_effects(tmp_path: Path) -> list[list[str]]:
    """What the bare loop does for each step of the cycle."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        recorder = Recorder(tmp_path / "bare", monkeypatch)
        bare = BareLoop(tmp_path / "bare")
        recorder.drain()
        steps: list[Callable[[], None]] = [
            lambda: bare.create("one"),
            lambda: bare.snapshot("one", "snap"),
            lambda: bare.clone_snapshot("one", "snap", "two"),
            lambda: bare.clone_volume("one", "three"),
            lambda: bare.delete_snapshot("one", "snap"),
            lambda: bare.delete("one"),
        ]
        effects = []
        for step in steps:
            step()
            effects.append(recorder.drain())
        return effects


def test_bare_loop_has_the_effects_of_the_pool(
    bare_effects: list[list[str]], pool_effects: list[list[str]]
) -> None:
    assert bare_effects == pool_effects


def test_recorder_sees_every_effect_of_a_create(bare_effects: list[list[str]]) -> None:
    assert bare_effects[0] == [
        "mkdir t/*",
        "create t/*/image",
        "ftruncate t/*/image",
        "create t/*/record.json",
        "fsync t/*/record.json",
        "rename t/* v/one",
        "fsync v",
    ]
