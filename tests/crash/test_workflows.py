"""Every workflow, ended by a crash before and after every single effect, on fakes (rules.md B1).

What a new driver then makes of it is what an undisturbed run leaves: nothing lost, leaked or stuck.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.crash.disturbed import a_scene, points_of, undisturbed
from tests.crash.end_state import EndState, end_state_of
from tests.crash.scene import Scene
from tests.crash.workflows import WORKFLOWS, Workflow

# A start settles what nobody can use; it says so.
pytestmark = pytest.mark.expected_logs("stays attached")


@dataclass(frozen=True, slots=True)
class Case:
    """One workflow on one kind of pool, and one point of it."""

    workflow: Workflow
    dependent_clones: bool
    number: int
    point: str

    def __str__(self) -> str:
        pool = "openzfs" if self.dependent_clones else "reflink"
        return f"{self.workflow}-{pool}-{self.number:02}-{self.point}"

    @contextmanager
    def crashed(self) -> Iterator[Scene]:
        """The scene after a call that ended there."""
        with a_scene(self.workflow, dependent_clones=self.dependent_clones) as scene:
            assert scene.crash(self.workflow.call, at=self.number) == self.point
            yield scene

    def undisturbed(self, *, and_back: bool = False) -> EndState:
        """What a run leaves that nothing ended."""
        return undisturbed(self.workflow, dependent_clones=self.dependent_clones, and_back=and_back)


def cases() -> Iterator[Case]:
    for workflow in WORKFLOWS:
        for dependent_clones in (False, True):
            points = points_of(workflow, dependent_clones=dependent_clones)
            for number, point in enumerate(points):
                yield Case(workflow, dependent_clones, number, point)


CASES = list(cases())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_call_repeated_after_crash_ends_as_undisturbed(case: Case) -> None:
    with case.crashed() as scene:
        scene.restart()
        answer = case.workflow.call(scene)
        assert case.workflow.call(scene) == answer
        assert end_state_of(scene.node) == case.undisturbed()


@pytest.mark.parametrize("case", [case for case in CASES if case.workflow.opposite], ids=str)
def test_opposite_of_call_after_crash_ends_as_undisturbed(case: Case) -> None:
    with case.crashed() as scene:
        scene.restart()
        assert case.workflow.opposite is not None
        case.workflow.opposite(scene)
        end_state, undisturbed = end_state_of(scene.node), case.undisturbed(and_back=True)
        for part in end_state.keys() - case.workflow.stays:
            assert end_state[part] == undisturbed[part]
        case.workflow.call(scene)
        case.workflow.opposite(scene)
        assert end_state_of(scene.node) == undisturbed


@pytest.mark.parametrize("case", CASES, ids=str)
def test_start_after_crash_that_crashes_too_ends_as_undisturbed(case: Case) -> None:
    with case.crashed() as scene:
        points = scene.count(Scene.restart)
    for number, point in enumerate(points):
        with case.crashed() as scene:
            assert scene.crash(Scene.restart, at=number) == point
            scene.restart()
            case.workflow.call(scene)
            assert end_state_of(scene.node) == case.undisturbed(), point


@pytest.mark.parametrize("case", CASES, ids=str)
def test_crash_leaves_no_mount_that_the_node_state_does_not_know(case: Case) -> None:
    """What node_state.py promises: too much knowledge, never too little."""
    with case.crashed() as scene:
        assert scene.unknown_mounts() == set()


def test_points_of_all_workflows_cover_what_services_do() -> None:
    """A new effect of a service belongs into a workflow."""
    on_pools = {"create", "clone", "destroy", "retire", "snapshot", "destroy_snapshot", "resize"}
    on_pools |= {"rename_snapshot", "set_user_properties"}
    on_node = {"attach", "detach", "wipe", "format", "grow", "freeze", "thaw"}
    on_node |= {"mount", "bind", "bind_device", "unmount", "remove"}
    in_state = {"state.save", "state.remove"}
    assert {case.point.partition(":")[0] for case in CASES} == on_pools | on_node | in_state
