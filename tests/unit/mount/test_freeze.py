"""Freezing: everything is thawed, whatever happens, and no error hides another."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from csi_zfs.mount import freeze
from csi_zfs.mount.api import (
    Device,
    DeviceUnavailableError,
    FreezeLimitError,
    MountRequest,
)
from tests.support.mounter_worlds import LinuxWorld, is_frozen

pytestmark = pytest.mark.root


@contextmanager
def opened(target: Path) -> Iterator[int]:
    descriptor = os.open(target, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@pytest.fixture
def other_stage(node: LinuxWorld) -> Path:
    device = node.mounter.attach(node.create_image("other"))
    node.mounter.format(device, "xfs")
    node.mounter.mount(MountRequest(device, node.root / "other", "xfs"))
    return node.root / "other"


def fail_frozen(
    mounts: Mapping[Path, int], *, limit_s: float, before: Callable[[], object]
) -> None:
    """A block that does something, and fails."""
    with freeze.frozen(mounts, limit_s=limit_s):
        before()
        raise KeyError


def test_block_holds_a_freeze(stage: Path) -> None:
    with opened(stage) as directory:
        with freeze.frozen({stage: directory}, limit_s=60):
            assert is_frozen(directory)
        assert not is_frozen(directory)


def test_filesystem_that_cannot_be_frozen_leaves_none_frozen(stage: Path) -> None:
    """The file system of /proc has nothing to freeze."""
    proc = Path("/proc")
    with opened(stage) as directory, opened(proc) as nothing:
        mounts = {stage: directory, proc: nothing}
        with (
            pytest.raises(DeviceUnavailableError, match="/proc does not freeze"),
            freeze.frozen(mounts, limit_s=60),
        ):
            pytest.fail("the block ran")
        assert not is_frozen(directory)


def test_thaw_that_fails_is_said_and_the_others_are_thawed(stage: Path, other_stage: Path) -> None:
    with opened(stage) as directory, opened(other_stage) as other:
        borrowed = os.dup(directory)
        mounts = {stage: borrowed, other_stage: other}
        with pytest.raises(DeviceUnavailableError, match=f"{stage} does not thaw") as caught:
            fail_frozen(mounts, limit_s=60, before=lambda: os.close(borrowed))
        assert isinstance(caught.value.__context__, KeyError), "the failure of the block is kept"
        assert is_frozen(directory)
        assert not is_frozen(other)
        freeze.thaw(directory)


def test_limit_that_comes_while_freezing_thaws_and_fails(stage: Path) -> None:
    with opened(stage) as directory:
        block = freeze._Block()
        block.expire()
        with pytest.raises(FreezeLimitError):
            block.freeze(stage, directory)
        block.thaw_all()
        assert not is_frozen(directory)


def test_thaw_that_fails_at_the_limit_is_tried_again_and_told(stage: Path) -> None:
    with opened(stage) as directory:
        borrowed = os.dup(directory)
        block = freeze._Block()
        block.freeze(stage, borrowed)
        os.close(borrowed)
        block.expire()
        with pytest.raises(DeviceUnavailableError, match=f"{stage} does not thaw"):
            block.thaw_all()
        freeze.thaw(directory)


class ManualTimer:
    """A timer that ends when a test says so."""

    made: ClassVar[list["ManualTimer"]] = []

    def __init__(self, _limit_s: float, expire: Callable[[], None]) -> None:
        self.daemon = False
        self.expire = expire
        self.made.append(self)

    def start(self) -> None:
        """Do nothing until the test says so."""

    def cancel(self) -> None:
        """Do nothing after that either."""


def limit_passes() -> None:
    ManualTimer.made[-1].expire()


def test_limit_does_not_hide_the_failure_of_the_block(
    stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "Timer", ManualTimer)
    with opened(stage) as directory:
        with pytest.raises(KeyError):
            fail_frozen({stage: directory}, limit_s=60, before=limit_passes)
        assert not is_frozen(directory)


def test_thaw_of_a_filesystem_that_is_not_frozen_does_nothing(stage: Path) -> None:
    with opened(stage) as directory:
        freeze.thaw(directory)


def test_thaw_after_a_crash_lets_writes_go_on(node: LinuxWorld, stage: Path) -> None:
    """rules.md D: the next start thaws."""
    block = freeze._Block()
    with opened(stage) as directory:
        block.freeze(stage, directory)
    node.mounter.thaw(stage)
    node.write_file(stage, "file", b"data")


def test_unmount_of_a_frozen_filesystem_frees_its_device(
    node: LinuxWorld, device: Device, stage: Path
) -> None:
    """The kernel would keep the device busy, with no mount left to thaw it by: rules.md B5."""
    block = freeze._Block()
    with opened(stage) as directory:
        block.freeze(stage, directory)
    node.mounter.unmount(stage)
    node.mounter.wipe(device)
