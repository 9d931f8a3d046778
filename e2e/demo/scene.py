"""What every step of the demo works with, and how it checks what it sees."""

import os
from dataclasses import dataclass
from pathlib import Path

from csi_zfs.domain.sizes import format_size
from e2e.demo.table import StepTable
from e2e.demo.trees import Tree, differences, read_tree
from tests.support.csi_client import CsiClient
from tests.support.orchestrator import Orchestrator, PublishedVolume
from tests.support.process import RealDriver

_SHOWN = 5


class NotAsExpectedError(Exception):
    """A comparison failed: the driver does not do what it has to."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The driver, the orchestrator that uses it, and the table of what was done."""

    driver: RealDriver
    orchestrator: Orchestrator
    steps: StepTable

    @property
    def client(self) -> CsiClient:
        """The orchestrator's connection to the driver."""
        return self.orchestrator.client


def data_of(volume: PublishedVolume) -> Path:
    """The directory of a volume that holds the demo's files; `lost+found` stays outside."""
    return volume.target_path / "data"


def require(is_so: bool, words: str) -> None:  # noqa: FBT001 - reads as the sentence that it is
    """Raise `NotAsExpectedError` with these words unless it is so."""
    if not is_so:
        raise NotAsExpectedError(words)


def require_tree(volume: PublishedVolume, expected: Tree) -> str:
    """Compare the files of a volume with what they have to be; returns words about them."""
    found = differences(expected, read_tree(data_of(volume)))
    shown = "\n".join(found[:_SHOWN])
    require(not found, f"{volume.name}: {len(found)} paths are not as they were:\n{shown}")
    return f"{len(expected)} entries are equal in content, mode, owner, time, links, attributes"


def mounted_as(volume: PublishedVolume, fs_type: str) -> str:
    """Prove that a volume is mounted at its target; returns words about it."""
    number = volume.target_path.stat().st_dev
    require(os.path.ismount(volume.target_path), f"{volume.target_path} is not a mount")
    return f"{fs_type} on /dev/loop{os.minor(number)}"


def room_of(volume: PublishedVolume) -> int:
    """The size of a mounted file system, in bytes."""
    state = os.statvfs(volume.target_path)
    return state.f_blocks * state.f_frsize


def grown(before_bytes: int, after_bytes: int) -> str:
    """Words about a growth."""
    return f"{format_size(before_bytes)} -> {format_size(after_bytes)}"
