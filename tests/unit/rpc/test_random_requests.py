from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from tests.support.services import RecordingServices
from tests.unit.rpc.calling import METHODS, AbortedError, DirectDriver
from tests.unit.rpc.examples import EXAMPLES, KUBELET_DIR
from tests.unit.rpc.random_messages import messages, spoilt

EXPECTED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.FAILED_PRECONDITION,
}


def paths_in(value: object) -> Iterator[Path]:
    """Every path that was passed on to a service."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from paths_in(item)
    elif is_dataclass(value):
        for field in fields(value):
            yield from paths_in(getattr(value, field.name))


def code_of(recording: RecordingServices, method: str, request: Message | bytes) -> grpc.StatusCode:
    try:
        DirectDriver(recording).call(method, request)
    except AbortedError as exc:
        return exc.code
    return grpc.StatusCode.OK


@pytest.mark.parametrize("method", EXAMPLES)
@given(data=st.data())
def test_any_message_is_answered_or_refused_for_a_reason(method: str, data: st.DataObject) -> None:
    """rules.md B8 and C1: no INTERNAL, no UNKNOWN, and no path from outside gets through."""
    recording = RecordingServices()
    request = data.draw(spoilt(EXAMPLES[method]()) | messages(METHODS[method].input_type))
    assert code_of(recording, method, request) in EXPECTED
    for path in paths_in(recording.calls):
        assert path.is_relative_to(KUBELET_DIR)
        assert ".." not in path.parts


@pytest.mark.parametrize("method", EXAMPLES)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_answered_or_refused_for_a_reason(method: str, data: bytes) -> None:
    """rules.md B8."""
    assert code_of(RecordingServices(), method, data) in EXPECTED
