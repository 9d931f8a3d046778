"""Runs of a workflow: undisturbed, or up to the moment of its call."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests.crash.end_state import EndState, end_state_of
from tests.crash.scene import Scene
from tests.crash.workflows import Workflow
from tests.support.node import FakeNode


@contextmanager
def a_scene(workflow: Workflow, *, dependent_clones: bool) -> Iterator[Scene]:
    """A new node, and what the workflow finds there."""
    with tempfile.TemporaryDirectory(prefix="csi-zfs-") as directory:
        scene = Scene(FakeNode(Path(directory), dependent_clones=dependent_clones))
        workflow.given(scene)
        yield scene


@cache
def points_of(workflow: Workflow, *, dependent_clones: bool) -> tuple[str, ...]:
    """All points of an undisturbed run of the workflow's call."""
    with a_scene(workflow, dependent_clones=dependent_clones) as scene:
        return scene.count(workflow.call)


@cache
def undisturbed(workflow: Workflow, *, dependent_clones: bool, and_back: bool) -> EndState:
    """What the call leaves, or the call and its opposite."""
    with a_scene(workflow, dependent_clones=dependent_clones) as scene:
        workflow.call(scene)
        if and_back:
            assert workflow.opposite is not None
            workflow.opposite(scene)
        return end_state_of(scene.node)
