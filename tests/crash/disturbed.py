"""Runs of a workflow: undisturbed, or ended by a crash at one of its effects."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.crash.end_state import EndState, end_state_of
from tests.crash.scene import Scene
from tests.crash.workflows import Step, Workflow
from tests.support.files import CrashError
from tests.support.node import FakeNode
from tests.support.pool_core import no_effects


@dataclass(slots=True)
class CrashPoints:
    """The `effects` of a node: notes every point, and ends the process at one of them.

    A dead process has no more effects: not those of its `finally` blocks either.
    """

    crash_at: int | None = None
    passed: list[str] = field(default_factory=list)
    is_dead: bool = False

    def __call__(self, point: str) -> None:
        """Pass a point."""
        if self.is_dead:
            raise CrashError(point)
        self.passed.append(point)
        if len(self.passed) - 1 == self.crash_at:
            self.is_dead = True
            raise CrashError(point)


@dataclass(slots=True)
class Run:
    """A scene on which the workflow can be called, undisturbed or not."""

    scene: Scene

    @classmethod
    def of(cls, workflow: Workflow, directory: Path, *, dependent_clones: bool) -> "Run":
        """Make the node, and what the workflow finds there."""
        scene = Scene(FakeNode(directory, dependent_clones=dependent_clones))
        workflow.given(scene)
        return cls(scene)

    @property
    def end_state(self) -> EndState:
        """What is left."""
        return end_state_of(self.scene.node)

    def count(self, step: Step) -> tuple[str, ...]:
        """Do a step; returns the points that it passed."""
        points = CrashPoints()
        with self._effects(points):
            step(self.scene)
        return tuple(points.passed)

    def crash(self, step: Step, *, at: int) -> str:
        """Cut a step short; returns the point, and fails if the step does not come there."""
        with self._effects(CrashPoints(at)):
            try:
                step(self.scene)
            except CrashError as crash:
                return str(crash)
        raise AssertionError(f"point {at} was not reached")

    def start(self) -> None:
        """Let a new driver take over."""
        self.scene.node.clock.advance(1)
        self.scene.node.restart()

    @contextmanager
    def _effects(self, points: CrashPoints) -> Iterator[None]:
        self.scene.node.effects = points
        try:
            yield
        finally:
            self.scene.node.effects = no_effects


@contextmanager
def a_run(workflow: Workflow, *, dependent_clones: bool) -> Iterator[Run]:
    """A run in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="csi-zfs-") as directory:
        yield Run.of(workflow, Path(directory), dependent_clones=dependent_clones)


@cache
def points_of(workflow: Workflow, *, dependent_clones: bool) -> tuple[str, ...]:
    """All points of an undisturbed run of the workflow's call."""
    with a_run(workflow, dependent_clones=dependent_clones) as run:
        return run.count(workflow.call)


@cache
def undisturbed(workflow: Workflow, *, dependent_clones: bool, and_back: bool) -> EndState:
    """What the call leaves, or the call and its opposite."""
    with a_run(workflow, dependent_clones=dependent_clones) as run:
        workflow.call(run.scene)
        if and_back:
            assert workflow.opposite is not None
            workflow.opposite(run.scene)
        return run.end_state
