from pathlib import Path

import pytest

from e2e.demo.writers import CounterWriter, WriterStuckError, are_of_one_instant, read_counter


def test_writer_leaves_the_counter_that_it_reports(tmp_path: Path) -> None:
    paths = [tmp_path / "first", tmp_path / "second"]
    with CounterWriter(paths) as writer:
        assert writer.wait_for_more(3) >= 3
        assert writer.wait_for_more(1) >= 4
    assert [read_counter(path) for path in paths] == [writer.count] * 2


def test_writer_that_cannot_write_is_stuck(tmp_path: Path) -> None:
    with (
        CounterWriter([tmp_path / "missing" / "file"]) as writer,
        pytest.raises(WriterStuckError, match="No such file"),
    ):
        writer.wait_for_more(1)


@pytest.mark.parametrize("counters", [(7, 7, 7), (7, 7, 6), (7, 6, 6), (0, 0, 0)])
def test_counters_of_one_instant_are_taken(counters: tuple[int, ...]) -> None:
    assert are_of_one_instant(counters)


@pytest.mark.parametrize("counters", [(7, 7, 5), (6, 7, 7), (7, 6, 7), (8, 7, 6)])
def test_counters_of_several_instants_are_found(counters: tuple[int, ...]) -> None:
    assert not are_of_one_instant(counters)
