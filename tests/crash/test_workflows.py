"""Every workflow, ended by a crash before and after every single effect, on fakes (rules.md B1).

What a new driver then makes of it is what an undisturbed run leaves: nothing lost, leaked or stuck.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.crash.disturbed import Run, a_run, points_of, undisturbed
from tests.crash.end_state import EndState
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
    def crashed(self) -> Iterator[Run]:
        """A run that ended there."""
        with a_run(self.workflow, dependent_clones=self.dependent_clones) as run:
            assert run.crash(self.workflow.call, at=self.number) == self.point
            yield run

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
    with case.crashed() as run:
        run.start()
        answer = case.workflow.call(run.scene)
        assert case.workflow.call(run.scene) == answer
        assert run.end_state == case.undisturbed()


@pytest.mark.parametrize("case", [case for case in CASES if case.workflow.opposite], ids=str)
def test_opposite_of_call_after_crash_ends_as_undisturbed(case: Case) -> None:
    with case.crashed() as run:
        run.start()
        assert case.workflow.opposite is not None
        case.workflow.opposite(run.scene)
        end_state, undisturbed = run.end_state, case.undisturbed(and_back=True)
        for part in end_state.keys() - case.workflow.stays:
            assert end_state[part] == undisturbed[part]
        case.workflow.call(run.scene)
        case.workflow.opposite(run.scene)
        assert run.end_state == undisturbed
