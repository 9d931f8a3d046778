import logging
import re
import threading
from collections.abc import Iterator, Mapping

import grpc
import pytest

from csi_zfs.domain.errors import CorruptionError, NotFoundError, OperationPendingError
from csi_zfs.domain.ids import VolumeId
from csi_zfs.domain.model import Volume
from csi_zfs.rpc.generated import csi_pb2
from csi_zfs.rpc.interceptors import fields_of_call
from csi_zfs.rpc.metrics import Metrics
from csi_zfs.rpc.status import INTERNAL_DETAILS
from tests.support.clock import FakeClock
from tests.support.csi_messages import mount_capability
from tests.support.services import VOLUME_ID, RecordingServices, RecordingVolumes
from tests.unit.rpc import examples
from tests.unit.rpc.calling import AbortedError, DirectDriver, FakeContext

GET = csi_pb2.ControllerGetVolumeRequest(volume_id=str(VOLUME_ID))
GET_NAME = "/csi.v1.Controller/ControllerGetVolume"
MALFORMED = [b"\xff", b"\x0a\x05ab", b"\x0a\x02\xff\xfe", b"\x0b\x0b\x0b", b"\x1b" * 10_000]


class SlowVolumes(RecordingVolumes):
    """Takes its time, and looks around meanwhile."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock
        self.seen: list[Mapping[str, str]] = []

    def get(self, volume_id: VolumeId) -> Volume:
        self.seen.append(fields_of_call())
        self.clock.advance(1.5)
        return super().get(volume_id)


@pytest.fixture
def recording() -> RecordingServices:
    return RecordingServices()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def driver(recording: RecordingServices, metrics: Metrics) -> DirectDriver:
    return DirectDriver(recording, metrics=metrics)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What is logged, down to the last detail."""
    with caplog.at_level(logging.DEBUG, logger="csi_zfs.rpc"):
        yield caplog


def metric_lines(metrics: Metrics) -> list[str]:
    return metrics.render().decode().splitlines()


@pytest.mark.parametrize("context", [FakeContext(seconds_left=0), FakeContext(is_active=False)])
def test_call_that_nobody_waits_for_does_no_work(
    recording: RecordingServices, driver: DirectDriver, context: FakeContext
) -> None:
    """It may have waited for a thread past its deadline."""
    with pytest.raises(AbortedError) as caught:
        driver.call("CreateVolume", examples.create_volume(), context)
    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert recording.calls == []


def test_call_without_deadline_is_answered(driver: DirectDriver) -> None:
    driver.call("ControllerGetVolume", GET, FakeContext(seconds_left=float("inf")))


@pytest.mark.parametrize("data", MALFORMED)
def test_call_with_bytes_that_are_no_message_is_the_callers_mistake(
    recording: RecordingServices, driver: DirectDriver, data: bytes
) -> None:
    """rules.md B8."""
    with pytest.raises(AbortedError) as caught:
        driver.call("ControllerGetVolume", data)
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert recording.calls == []


@pytest.mark.expected_logs("ControllerGetVolume met an unexpected error", "failed")
def test_unexpected_error_is_internal_with_its_traceback_in_the_log_only(
    recording: RecordingServices, driver: DirectDriver, log: pytest.LogCaptureFixture
) -> None:
    recording.fail_with(ZeroDivisionError("a bug"))
    with pytest.raises(AbortedError) as caught:
        driver.call("ControllerGetVolume", GET)
    assert (caught.value.code, caught.value.details) == (
        grpc.StatusCode.INTERNAL,
        INTERNAL_DETAILS,
    )
    surprise = next(record for record in log.records if record.exc_info)
    assert surprise.levelno == logging.ERROR
    assert surprise.exc_info is not None
    assert isinstance(surprise.exc_info[1], ZeroDivisionError)


@pytest.mark.expected_logs("CreateVolume met an unexpected error", "failed")
def test_unexpected_error_of_what_makes_something_is_no_final_answer(
    recording: RecordingServices, driver: DirectDriver
) -> None:
    """rules.md B10: to the provisioner INTERNAL means that nothing was made."""
    recording.fail_with(ZeroDivisionError("a bug"))
    request = csi_pb2.CreateVolumeRequest(name="a", volume_capabilities=[mount_capability()])
    with pytest.raises(AbortedError) as caught:
        driver.call("CreateVolume", request)
    assert (caught.value.code, caught.value.details) == (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        INTERNAL_DETAILS,
    )


def test_calls_are_counted_by_method_and_code(
    recording: RecordingServices, driver: DirectDriver, metrics: Metrics
) -> None:
    driver.call("ControllerGetVolume", GET)
    recording.fail_with(NotFoundError("gone"))
    for _ in range(2):
        with pytest.raises(AbortedError):
            driver.call("ControllerGetVolume", GET)
    lines = metric_lines(metrics)
    assert f'csi_zfs_calls_total{{code="OK",method="{GET_NAME}"}} 1.0' in lines
    assert f'csi_zfs_calls_total{{code="NOT_FOUND",method="{GET_NAME}"}} 2.0' in lines


def test_calls_are_timed_and_show_themselves_while_they_run(
    recording: RecordingServices, metrics: Metrics
) -> None:
    clock = FakeClock()
    volumes = SlowVolumes(clock)
    recording.volumes = volumes
    DirectDriver(recording, metrics=metrics, monotonic_s=clock.monotonic_s).call(
        "ControllerGetVolume", GET
    )
    lines = metric_lines(metrics)
    assert f'csi_zfs_call_seconds_sum{{method="{GET_NAME}"}} 1.5' in lines
    assert "csi_zfs_calls_in_flight 0.0" in lines


def test_call_in_flight_is_counted_until_it_ends(
    recording: RecordingServices, metrics: Metrics
) -> None:
    inside, go_on = threading.Event(), threading.Event()

    class WaitingVolumes(RecordingVolumes):
        def get(self, volume_id: VolumeId) -> Volume:
            inside.set()
            assert go_on.wait(10)
            return super().get(volume_id)

    recording.volumes = WaitingVolumes()
    driver = DirectDriver(recording, metrics=metrics)
    thread = threading.Thread(target=driver.call, args=("ControllerGetVolume", GET))
    thread.start()
    assert inside.wait(10)
    assert "csi_zfs_calls_in_flight 1.0" in metric_lines(metrics)
    go_on.set()
    thread.join(10)
    assert "csi_zfs_calls_in_flight 0.0" in metric_lines(metrics)


def test_work_knows_the_call_that_it_is_for(recording: RecordingServices) -> None:
    volumes = SlowVolumes(FakeClock())
    recording.volumes = volumes
    driver = DirectDriver(recording)
    driver.call("ControllerGetVolume", GET)
    driver.call("ControllerGetVolume", GET)
    first, second = volumes.seen
    assert first["method"] == GET_NAME
    assert re.fullmatch(r"[0-9a-f]{8}-1", first["request_id"])
    assert first["request_id"] != second["request_id"]


def test_call_that_changes_something_is_logged_with_what_it_made(
    driver: DirectDriver, log: pytest.LogCaptureFixture
) -> None:
    driver.call("CreateVolume", examples.create_volume())
    fields = vars(log.records[-1])
    assert log.records[-1].levelno == logging.INFO
    assert fields["method"] == "/csi.v1.Controller/CreateVolume"
    assert (fields["code"], fields["duration_s"]) == ("OK", 0.0)
    assert (fields["requested_name"], fields["volume_id"]) == ("pvc-1", str(VOLUME_ID))
    assert fields["request_id"]


def test_call_that_only_looks_is_logged_at_debug(
    driver: DirectDriver, log: pytest.LogCaptureFixture
) -> None:
    driver.call("NodeGetVolumeStats", examples.stats())
    assert {record.levelno for record in log.records} == {logging.DEBUG}


def test_call_that_fails_is_logged_with_its_error(
    recording: RecordingServices, driver: DirectDriver, log: pytest.LogCaptureFixture
) -> None:
    recording.fail_with(OperationPendingError("pvc-1 is being deleted"))
    with pytest.raises(AbortedError):
        driver.call("ControllerGetVolume", GET)
    fields = vars(log.records[-1])
    assert log.records[-1].levelno == logging.INFO
    assert (fields["code"], fields["error"]) == ("ABORTED", "pvc-1 is being deleted")
    assert fields["volume_id"] == str(VOLUME_ID)


@pytest.mark.expected_logs("ControllerGetVolume failed")
def test_call_that_meets_damaged_data_is_logged_as_an_error(
    recording: RecordingServices, driver: DirectDriver, log: pytest.LogCaptureFixture
) -> None:
    recording.fail_with(CorruptionError("the record of pvc-1 cannot be read"))
    with pytest.raises(AbortedError):
        driver.call("ControllerGetVolume", GET)
    assert log.records[-1].levelno == logging.ERROR


def test_log_is_quiet_about_calls_that_only_look_at_level_info(
    driver: DirectDriver, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="csi_zfs.rpc"):
        driver.call("ControllerGetVolume", GET)
    assert caplog.records == []


def test_log_shortens_what_a_caller_made_too_long(
    driver: DirectDriver, log: pytest.LogCaptureFixture
) -> None:
    request = csi_pb2.CreateVolumeGroupSnapshotRequest(
        name="n" * 4000, source_volume_ids=["v" * 4000] * 100
    )
    with pytest.raises(AbortedError):
        driver.call("CreateVolumeGroupSnapshot", request)
    fields = vars(log.records[-1])
    assert fields["requested_name"] == "n" * 128
    assert fields["source_volume_ids"] == ["v" * 128] * 16


def test_request_is_shown_at_debug(driver: DirectDriver, log: pytest.LogCaptureFixture) -> None:
    driver.call("CreateVolume", examples.create_volume())
    assert 'name: "pvc-1"' in vars(log.records[0])["request"]
