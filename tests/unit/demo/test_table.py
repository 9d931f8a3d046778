import io

import pytest
from rich.console import Console

from e2e.demo.table import StepTable


def test_step_prints_its_title_its_words_and_its_time() -> None:
    out = io.StringIO()
    steps = StepTable(Console(file=out, width=100, markup=False))
    with steps.step("do it") as say:
        say("[one]")
        say("two")
    row = out.getvalue().splitlines()[-1]
    assert row.split()[:4] == ["do", "it", "[one];", "two"]
    assert row.rstrip().endswith("ms")
    assert steps.count == 1


def test_step_that_fails_says_so_and_passes_the_error_on() -> None:
    out = io.StringIO()
    steps = StepTable(Console(file=out, width=100, markup=False))
    with pytest.raises(KeyError), steps.step("do it"):
        raise KeyError
    assert "did not work" in out.getvalue()
    assert steps.count == 0
