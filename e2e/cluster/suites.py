"""The suites that need a real cluster, which they share."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.cluster import Cluster
from e2e.cluster.errors import ClusterError
from e2e.cluster.run import Selection, run_pytest
from e2e.vm.errors import VmError
from e2e.vm.progress import say
from e2e.vm.results import read_counts
from e2e.vm.suites import Outcome, summary

Start = Callable[[], AbstractContextManager[Cluster]]
_TESTS = "e2e/cluster/tests"


@dataclass(frozen=True, slots=True)
class Suite:
    """A selection of tests."""

    name: str
    arguments: tuple[str, ...]


SUITES = (
    Suite("nodes", (f"{_TESTS}/test_nodes.py",)),
    Suite("life", (f"{_TESTS}/test_life.py",)),
    Suite("pods", (f"{_TESTS}/test_pods.py",)),
    Suite("requests", (f"{_TESTS}/test_requests.py",)),
    Suite("chart", (f"{_TESTS}/test_chart.py",)),
    Suite("room", (f"{_TESTS}/test_room.py",)),
    Suite("openzfs", (f"{_TESTS}/test_openzfs.py",)),
    Suite("drills", (f"{_TESTS}/test_drills.py",)),
)
# What CI has the time for: on a native node alone, so that no machine has to be emulated.
_SHORT_NODES = "ready or reach or logs or mounts"
SHORT_SUITES = (
    Suite("nodes", (f"{_TESTS}/test_nodes.py", "-k", _SHORT_NODES)),
    Suite("life", (f"{_TESTS}/test_life.py", "-k", "not openzfs")),
)


def run_suites(
    checkout: Path,
    start: Start,
    results: Path,
    *,
    limit_s: float,
    chosen: Sequence[Suite] = SUITES,
) -> int:
    """Run the suites and print what became of each; returns 0 when all passed.

    Nodes that have ended are started again before each suite.  A cluster that does not come up, or
    is not whole again, is a failure of every suite that did not run.
    """
    outcomes: list[Outcome] = []
    try:
        with start() as cluster:
            for suite in chosen:
                # What a suite did to a node is not the fault of the next one.
                cluster.revive()
                outcomes.append(_outcome(checkout, results, suite, limit_s=limit_s))
    except (ClusterError, VmError) as exc:
        say(str(exc))
        missed = chosen[len(outcomes) :]
        words = "the cluster did not come up or was not whole again, see above"
        outcomes += [Outcome(suite.name, 1, None, 0.0, words) for suite in missed]
        failed_to_end = not missed
    else:
        failed_to_end = False
    print(summary(outcomes, "a real cluster"), flush=True)
    return int(failed_to_end or any(outcome.status != 0 for outcome in outcomes))


def _outcome(checkout: Path, results: Path, suite: Suite, *, limit_s: float) -> Outcome:
    begin = time.monotonic()
    selection = Selection(suite.arguments, results / suite.name, limit_s)
    try:
        status = run_pytest(checkout, selection)
        counts, words = read_counts(selection.results), ""
    except (ClusterError, VmError) as exc:
        say(str(exc))
        status, counts, words = 1, None, "the run failed, see above"
    return Outcome(suite.name, status, counts, time.monotonic() - begin, words)
