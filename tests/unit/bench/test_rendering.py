"""Results as text and as Markdown."""

from collections.abc import Callable

import pytest

from tests.bench.figures import Figure, Section, Table, Target
from tests.bench.rendering import (
    milliseconds,
    page,
    per_second,
    section_in,
    to_markdown,
    to_text,
    with_others,
    with_section,
)

SECTION = Section(
    title="Calls",
    note="Words. " * 20,
    tables=[Table(("call", "p50"), [["Probe", "0.35 ms"], ["CreateVolume", "12.00 ms"]])],
    figures=[Figure("Probe, p50", "0.35 ms", "mock 0.20 ms", 1.75, Target(2.0))],
)


def test_text_of_a_table_aligns_its_columns() -> None:
    lines = to_text(SECTION).splitlines()

    assert "call               p50" in lines
    assert "Probe          0.35 ms" in lines
    assert "CreateVolume  12.00 ms" in lines


def test_text_of_a_figure_has_ratio_target_and_verdict() -> None:
    line = to_text(SECTION).splitlines()[-1]

    assert line.split() == [
        "Probe,",
        "p50",
        "0.35",
        "ms",
        "mock",
        "0.20",
        "ms",
        "1.75",
        "≤",
        "2",
        "ok",
    ]


def test_markdown_of_a_table_has_header_rule_and_rows() -> None:
    lines = to_markdown(SECTION).splitlines()

    at = lines.index("| call | p50 |")
    assert lines[at : at + 3] == ["| call | p50 |", "| :-- | --: |", "| Probe | 0.35 ms |"]


def test_markdown_of_a_figure_is_a_row() -> None:
    row = "| Probe, p50 | 0.35 ms | mock 0.20 ms | 1.75 | ≤ 2 | ok |"

    assert row in to_markdown(SECTION).splitlines()


@pytest.mark.parametrize("render", [to_text, to_markdown])
def test_note_of_a_section_is_wrapped(render: object) -> None:
    assert callable(render)
    assert max(map(len, render(SECTION).splitlines())) <= 100


def test_section_without_figures_has_no_table_of_them() -> None:
    assert "target" not in to_text(Section("Calls", "Words."))


def test_page_names_the_command_and_the_machine() -> None:
    text = page([SECTION, SECTION], machine="2 cores", command="make bench")

    assert "`make bench`" in text
    assert "2 cores" in text
    assert text.count("## Calls") == 2
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.000_35, "0.35 ms"), (0.099, "99.00 ms"), (0.1, "100 ms"), (1.5, "1,500 ms")],
)
def test_milliseconds_have_the_digits_that_mean_something(seconds: float, text: str) -> None:
    assert milliseconds(seconds) == text


def test_rate_has_no_fraction() -> None:
    assert per_second(1234.56) == "1,235/s"


PAGE = (
    "# Performance\n\nWords.\n\n## Calls\n\nOne.\n\n## On OpenZFS\n\nOld.\n\n## Start\n\nThree.\n"
)
NEW = "## On OpenZFS\n\nNew.\n"


def test_section_of_the_same_title_is_replaced_where_it_was() -> None:
    assert with_section(PAGE, NEW) == PAGE.replace("Old.", "New.")
    assert with_section(with_section(PAGE, NEW), NEW) == PAGE.replace("Old.", "New.")


def test_section_that_is_replaced_may_be_the_last_one() -> None:
    page_ending_with_it = PAGE.partition("\n## Start")[0]
    assert with_section(page_ending_with_it, NEW) == page_ending_with_it.replace("Old.", "New.")


def test_section_that_is_new_comes_last() -> None:
    before = PAGE.replace("## On OpenZFS\n\nOld.\n\n", "")
    assert with_section(before, NEW) == f"{before}\n{NEW}"


def test_section_is_taken_out_of_a_page_as_it_was_put_in() -> None:
    assert section_in(with_section(PAGE, NEW), "On OpenZFS") == NEW
    assert section_in(PAGE, "Elsewhere") == ""
    assert section_in("", "On OpenZFS") == ""


def test_new_page_keeps_the_sections_of_other_runs() -> None:
    before = with_section(with_section(PAGE, NEW), "## On a Kubernetes cluster\n\nClaims.\n")
    found = with_others("# Performance\n\n## Making\n\nNew.\n", before)
    assert [line for line in found.splitlines() if line.startswith("## ")] == [
        "## Making",
        "## On OpenZFS",
        "## On a Kubernetes cluster",
    ]


@pytest.mark.parametrize("render", [to_text, to_markdown])
def test_name_with_hyphens_is_not_cut(render: Callable[[Section], str]) -> None:
    assert "kube-controller-manager" in render(
        Section("Title", f"{'x' * 90} kube-controller-manager")
    )
