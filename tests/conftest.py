"""What every test tier shares: the header, skips with words, unexpected log records, profiles."""

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support import machine

settings.register_profile("ci", derandomize=True, database=None, deadline=None, print_blob=True)
settings.register_profile("deep", deadline=None, max_examples=5_000, print_blob=True)
settings.load_profile("ci")


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Name the tiers that run, and for each one that does not the reason and the remedy."""
    lines = machine.header(machine.TIERS, machine.needs())
    if config.getoption("markexpr") == "not deep":
        lines.append("does not run: deep: takes minutes -> make test-deep")
    return lines


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests of tests/property, so that `make test-deep` finds them."""
    if item.path.is_relative_to(item.config.rootpath / "tests" / "property"):
        item.add_marker("property")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose needs this machine does not meet; in CI only where that is documented."""
    for need in machine.needs().values():
        if need.why_not is None or item.get_closest_marker(need.name) is None:
            continue
        if machine.in_ci(os.environ) and need.name not in machine.documented_without(os.environ):
            pytest.fail(
                f"{need.why_not}; in CI that is a failure"
                f" unless {machine.WITHOUT_VARIABLE} names {need.name!r}",
                pytrace=False,
            )
        pytest.skip(need.why_not)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List every reason for which tests were skipped, and how many."""
    reasons = Counter(
        str(report.longrepr[2]).removeprefix("Skipped: ")
        for report in terminalreporter.getreports("skipped")
        if isinstance(report.longrepr, tuple)
    )
    if reasons:
        terminalreporter.section("skipped")
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"skipped {count}: {reason}")


class _Keeper(logging.Handler):
    """Keeps what is logged at WARNING or above."""

    def __init__(self) -> None:
        super().__init__(level=logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(f"{record.levelname} {record.name}: {record.getMessage()}")


@pytest.fixture(autouse=True)
def no_unexpected_logs(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that causes a warning or an error in the log without expecting it.

    A test that expects some says `@pytest.mark.expected_logs("pattern", ...)`.
    """
    keeper = _Keeper()
    logger = logging.getLogger("csi_zfs")
    logger.addHandler(keeper)
    try:
        yield
    finally:
        logger.removeHandler(keeper)
    marks = list(request.node.iter_markers("expected_logs"))
    patterns = [pattern for mark in marks for pattern in mark.args or (".",)]
    unexpected = [
        message
        for message in keeper.messages
        if not any(re.search(pattern, message) for pattern in patterns)
    ]
    if unexpected:
        pytest.fail("unexpected log records:\n" + "\n".join(unexpected), pytrace=False)
