import sys

import pytest

from csi_zfs.cli.store.progress import Lines, progress
from csi_zfs.domain.sizes import MIB
from tests.support.clock import FakeClock


def lines_of(total_bytes: int | None) -> list[str]:
    said: list[str] = []
    clock = FakeClock()
    lines = Lines("storing", total_bytes, clock, said.append)
    for _ in range(5):
        clock.advance(5)
        lines.advance(10 * MIB)
    return said


def test_line_has_rate_share_and_time_left_every_ten_seconds() -> None:
    assert lines_of(100 * MIB) == [
        "storing: 20 MiB, 2 MiB/s, 20 % of 100 MiB, 40 s left",
        "storing: 40 MiB, 2 MiB/s, 40 % of 100 MiB, 30 s left",
    ]


def test_line_of_what_nobody_knows_the_size_of_has_the_rate() -> None:
    """Also where there is more than was thought."""
    expected = ["storing: 20 MiB, 2 MiB/s", "storing: 40 MiB, 2 MiB/s"]

    assert lines_of(None) == expected
    assert lines_of(10 * MIB) == expected


@pytest.mark.parametrize("total_bytes", [100, None])
def test_terminal_gets_a_bar_and_a_log_no_line_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], total_bytes: int | None
) -> None:
    with progress("storing", total_bytes) as advance:
        advance(100)
    assert capsys.readouterr() == ("", "")

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress("storing", total_bytes) as advance:
        advance(100)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "storing" in shown.err
