"""What the chart renders is what was looked at, and Helm's own lint finds nothing."""

import pytest

from tests.chart.cases import CASES
from tests.chart.golden import FOLDER, golden_text, path_of
from tests.chart.helm import CHART, VALUES, run_helm


@pytest.mark.parametrize("name", CASES)
def test_render_is_the_accepted_one(name: str) -> None:
    accepted = path_of(name).read_text(encoding="utf-8")
    assert golden_text(CASES[name]) == accepted, "look at it, then run `make chart-accept`"


def test_every_accepted_render_has_a_case() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == CASES.keys()


def test_lint_finds_nothing() -> None:
    files = [f"--values={path}" for path in sorted(VALUES.glob("*.yaml"))]
    for values in ([], *([file] for file in files)):
        said = run_helm("lint", "--strict", "--kube-version=1.35.0", str(CHART), *values)
        assert "WARNING" not in said
