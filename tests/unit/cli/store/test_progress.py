from csi_zfs.cli.store.progress import Lines
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
