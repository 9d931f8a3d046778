"""A canary in every place for secrets, in every call, looked for wherever the driver writes.

rules.md C4.
"""

import io
import logging
from collections.abc import Iterator

import pytest
from google.protobuf.message import Message

from csi_zfs.domain.errors import NotFoundError
from csi_zfs.rpc.generated import csi_pb2
from csi_zfs.rpc.interceptors import fields_of_call
from csi_zfs.rpc.metrics import Metrics
from csi_zfs.rpc.redaction import TOKENS_KEY
from csi_zfs.system.logs import JsonFormatter
from tests.support.services import RecordingServices
from tests.unit.rpc import examples
from tests.unit.rpc.calling import METHODS, AbortedError, DirectDriver, FakeContext
from tests.unit.rpc.examples import EXAMPLES

CANARY = "s3cr3t-canary"


class Watched:
    """A driver, and everything that it writes."""

    def __init__(self) -> None:
        self.recording = RecordingServices()
        self.metrics = Metrics()
        self.log = io.StringIO()
        self._driver = DirectDriver(self.recording, metrics=self.metrics)
        self._details: list[str] = []

    def call(self, method: str, request: Message | bytes, *, is_late: bool = False) -> None:
        context = FakeContext(seconds_left=0 if is_late else 60)
        try:
            self._driver.call(method, request, context)
        except AbortedError as exc:
            self._details.append(exc.details)

    @property
    def failures(self) -> int:
        return len(self._details)

    def everything_written(self) -> str:
        page = self.metrics.render().decode()
        return "\n".join([self.log.getvalue(), page, *self._details, repr(self.recording.calls)])


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    handler = logging.StreamHandler(watched.log)
    handler.setFormatter(JsonFormatter(fields_of_call))
    logger = logging.getLogger("csi_zfs")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield watched
    logger.removeHandler(handler)
    logger.setLevel(level)


def with_canary(method: str) -> Message:
    """The example of a method, with the canary wherever it takes secrets."""
    request = EXAMPLES[method]()
    for field in METHODS[method].input_type.fields:
        if field.GetOptions().Extensions[csi_pb2.csi_secret]:
            getattr(request, field.name)["password"] = CANARY
        elif field.name in {"volume_context", "publish_context"}:
            getattr(request, field.name)[TOKENS_KEY] = CANARY
    return request


def test_there_is_an_example_of_every_method() -> None:
    assert set(EXAMPLES) == set(DirectDriver(RecordingServices()).methods)


@pytest.mark.parametrize("method", EXAMPLES)
def test_secret_of_a_call_that_succeeds_is_written_nowhere(watched: Watched, method: str) -> None:
    watched.call(method, with_canary(method))
    assert watched.failures == 0
    assert method in watched.log.getvalue()
    assert CANARY not in watched.everything_written()


@pytest.mark.parametrize("method", EXAMPLES)
def test_secret_of_a_call_that_the_service_refuses_is_written_nowhere(
    watched: Watched, method: str
) -> None:
    watched.recording.fail_with(NotFoundError("gone"))
    watched.call(method, with_canary(method))
    assert CANARY not in watched.everything_written()


@pytest.mark.expected_logs
@pytest.mark.parametrize("method", EXAMPLES)
def test_secret_of_a_call_that_meets_a_bug_is_written_nowhere(
    watched: Watched, method: str
) -> None:
    watched.recording.fail_with(ZeroDivisionError("a bug"))
    watched.call(method, with_canary(method))
    assert CANARY not in watched.everything_written()


@pytest.mark.parametrize("method", EXAMPLES)
def test_secret_of_a_request_that_is_invalid_is_written_nowhere(
    watched: Watched, method: str
) -> None:
    for field in METHODS[method].input_type.fields:
        request = with_canary(method)
        request.ClearField(field.name)
        watched.call(method, request)
    assert CANARY not in watched.everything_written()


def test_secret_in_a_mount_flag_that_is_refused_is_written_nowhere(watched: Watched) -> None:
    request = examples.create_volume()
    request.volume_capabilities[0].mount.mount_flags.append(f"password={CANARY}")
    watched.call("CreateVolume", request)
    assert watched.failures == 1
    assert CANARY not in watched.everything_written()


@pytest.mark.parametrize("method", EXAMPLES)
def test_secret_of_a_message_that_is_cut_short_is_written_nowhere(
    watched: Watched, method: str
) -> None:
    watched.call(method, with_canary(method).SerializeToString()[:-1] or b"\xff")
    assert watched.failures == 1
    assert CANARY not in watched.everything_written()


@pytest.mark.parametrize("method", EXAMPLES)
def test_secret_of_a_call_that_comes_too_late_is_written_nowhere(
    watched: Watched, method: str
) -> None:
    watched.call(method, with_canary(method), is_late=True)
    assert watched.failures == 1
    assert CANARY not in watched.everything_written()
