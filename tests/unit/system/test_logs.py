import io
import json
import logging
from collections.abc import Iterator

import pytest

from csi_zfs.system.logs import LogFormat, configure_logging

logger = logging.getLogger("csi_zfs.test")


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """Put back what was configured before."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()  # or they would be closed
    yield
    root.handlers[:], root.level = handlers, level


def written(log_format: LogFormat, *, level: int = logging.INFO) -> io.StringIO:
    stream = io.StringIO()
    configure_logging(
        log_format, level, fields_of_call=lambda: {"request_id": "ab-1"}, stream=stream
    )
    return stream


def test_text_has_time_level_logger_message_and_fields() -> None:
    stream = written(LogFormat.TEXT)
    logger.info("made %s", "pvc-1", extra={"duration_s": 0.25, "ids": ["a"], "is_new": True})
    time, rest = stream.getvalue().split(" ", 1)
    assert time.endswith("Z")
    assert rest == (
        'INFO csi_zfs.test: made pvc-1 request_id="ab-1" duration_s=0.25 ids=["a"] is_new=True\n'
    )


def test_json_is_one_object_with_the_same() -> None:
    stream = written(LogFormat.JSON)
    logger.info("made %s", "pvc-1", extra={"duration_s": 0.25, "request_id": "own"})
    entry = json.loads(stream.getvalue())
    assert entry.pop("time").endswith("Z")
    assert entry == {
        "level": "INFO",
        "logger": "csi_zfs.test",
        "message": "made pvc-1",
        "duration_s": 0.25,
        "request_id": "own",
    }


@pytest.mark.parametrize("log_format", list(LogFormat))
@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\x1b[31mb", "a\x85b", "a\u2028b", "a\x9bb"])
def test_text_of_a_caller_cannot_begin_a_line_or_colour_the_terminal(
    log_format: LogFormat, text: str
) -> None:
    stream = written(log_format)
    logger.info("made %s", text, extra={"volume_name": text})
    line = stream.getvalue()
    assert line.endswith("\n")
    assert line[:-1].isprintable()


def raise_and_log() -> None:
    try:
        raise ValueError("first\nsecond")  # noqa: TRY301 - to have a traceback
    except ValueError:
        logger.exception("met a bug")


@pytest.mark.expected_logs("met a bug")
def test_traceback_in_text_is_indented_so_that_no_line_of_it_looks_like_a_record() -> None:
    stream = written(LogFormat.TEXT)
    raise_and_log()
    _, *lines = stream.getvalue().splitlines()
    assert lines[-1] == "    second"
    assert all(line.startswith("    ") for line in lines)


@pytest.mark.expected_logs("met a bug")
def test_traceback_in_json_is_a_field() -> None:
    stream = written(LogFormat.JSON)
    raise_and_log()
    assert "ValueError: first\nsecond" in json.loads(stream.getvalue())["traceback"]


def test_records_below_the_level_are_not_written() -> None:
    stream = written(LogFormat.TEXT, level=logging.WARNING)
    logger.info("quiet")
    assert stream.getvalue() == ""


def test_configuring_again_replaces_what_was_there() -> None:
    first = written(LogFormat.TEXT)
    second = written(LogFormat.TEXT)
    logger.info("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1


def test_fields_of_the_call_are_optional(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogFormat.TEXT, logging.INFO)
    logger.info("plain")
    assert capsys.readouterr().err.endswith("INFO csi_zfs.test: plain\n")
