"""Results as text: for the terminal and for docs/performance.md.  Pure."""

import textwrap
from collections.abc import Iterator, Sequence

from tests.bench.figures import Figure, Section, Table

# The sections that other runs write into the page.
OPENZFS_TITLE = "On OpenZFS"
ROUTER_TITLE = "A router before many nodes"
CLUSTER_TITLE = "On a Kubernetes cluster"
STORE_TITLE = "The chunk store"
_OTHERS = (OPENZFS_TITLE, ROUTER_TITLE, CLUSTER_TITLE, STORE_TITLE)
_COLUMNS = 100
_SECTION = "\n## "
_HEADERS = ("figure", "measured", "beside", "ratio", "target", "")


def milliseconds(seconds: float) -> str:
    """A duration in milliseconds, with as many digits as mean something."""
    return f"{seconds * 1000:,.0f} ms" if seconds >= 0.1 else f"{seconds * 1000:.2f} ms"


def per_second(rate: float) -> str:
    """A rate."""
    return f"{rate:,.0f}/s"


def to_text(section: Section) -> str:
    """A section for the terminal."""
    lines = [f"=== {section.title}"]
    lines += _wrapped(section.note)
    for table in _tables(section):
        lines += ["", *_aligned(table)]
    return "\n".join(lines) + "\n"


def to_markdown(section: Section) -> str:
    """A section of a Markdown page."""
    lines = [f"## {section.title}", "", *_wrapped(section.note)]
    for table in _tables(section):
        lines += ["", *_piped(table)]
    return "\n".join(lines) + "\n"


def page(sections: Sequence[Section], *, machine: str, command: str) -> str:
    """The whole Markdown page."""
    note = (
        f"Measured by `{command}` on {machine}, and the pool's image on the machine's disk. Each"
        " figure is a ratio of two values of the same run; none is a test, since a busy machine"
        " would fail it. `ok` and `missed` say whether that run reached the target."
    )
    head = "\n".join(["# Performance", "", *_wrapped(note), ""])
    return "\n".join([head, *(to_markdown(section) for section in sections)])


def with_section(text: str, section: str) -> str:
    """A page with this section in the place of the one of the same title, or as its last one."""
    head, *sections = text.rstrip("\n").split(_SECTION)
    wanted = section.strip("\n").removeprefix(_SECTION.lstrip())
    title = _title_of(wanted)
    if title in map(_title_of, sections):
        sections = [wanted + "\n" if _title_of(one) == title else one for one in sections]
    else:
        sections = [*sections[:-1], *(one + "\n" for one in sections[-1:]), wanted]
    return _SECTION.join([head, *sections]).rstrip("\n") + "\n"


def section_in(text: str, title: str) -> str:
    """The section of this title in a page; empty where there is none."""
    _, *sections = text.rstrip("\n").split(_SECTION)
    found = [one for one in sections if _title_of(one) == title]
    return f"{_SECTION.lstrip()}{found[0].rstrip()}\n" if found else ""


def with_others(text: str, before: str) -> str:
    """A new page with the sections that other runs have written into the one before."""
    for title in _OTHERS:
        if kept := section_in(before, title):
            text = with_section(text, kept)
    return text


def _wrapped(text: str) -> list[str]:
    # A name that is cut at its hyphen would be shown with a space in it.
    return textwrap.wrap(text, _COLUMNS, break_on_hyphens=False)


def _title_of(section: str) -> str:
    return section.partition("\n")[0]


def _tables(section: Section) -> Iterator[Table]:
    yield from section.tables
    if section.figures:
        yield Table(_HEADERS, [_row(figure) for figure in section.figures])


def _row(figure: Figure) -> Sequence[str]:
    return (
        figure.what,
        figure.measured,
        figure.beside,
        f"{figure.ratio:.2f}",
        str(figure.target),
        figure.verdict,
    )


def _aligned(table: Table) -> list[str]:
    """The first column stands left, all others right."""
    every = [table.headers, *table.rows]
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in every
    ]


def _piped(table: Table) -> list[str]:
    rule = [":--", *["--:"] * (len(table.headers) - 1)]
    return [f"| {' | '.join(row)} |" for row in (table.headers, rule, *table.rows)]
