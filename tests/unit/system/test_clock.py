"""The machine's clocks, and the fake one of the tests."""

import time

from csi_zfs.system.clock import SystemClock
from tests.support.clock import START_NS, FakeClock


def test_system_clock_tells_the_time_of_the_machine() -> None:
    before = time.time_ns()
    assert before <= SystemClock().now_ns() <= time.time_ns()


def test_system_clock_waits_for_the_time_it_was_asked_for() -> None:
    clock = SystemClock()
    begin = clock.monotonic_s()
    clock.wait(0.01)
    assert clock.monotonic_s() - begin >= 0.01


def test_fake_clock_moves_only_when_it_is_told_to() -> None:
    clock = FakeClock()
    assert (clock.now_ns(), clock.monotonic_s()) == (START_NS, 0)
    clock.wait(1.5)
    clock.advance(0.5)
    assert (clock.now_ns(), clock.monotonic_s()) == (START_NS + 2_000_000_000, 2)
