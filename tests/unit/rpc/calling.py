"""Calls of the gRPC face over services that only remember."""

from collections.abc import Callable
from pathlib import Path

from csi_zfs.rpc.metrics import Metrics
from tests.support import direct_driver
from tests.support.direct_driver import METHODS, AbortedError, FakeContext
from tests.support.services import RecordingServices
from tests.unit.rpc.examples import KUBELET_DIR

__all__ = ["METHODS", "AbortedError", "DirectDriver", "FakeContext"]


class DirectDriver(direct_driver.DirectDriver):
    """The gRPC face over services that only remember."""

    def __init__(
        self,
        recording: RecordingServices,
        *,
        metrics: Metrics | None = None,
        monotonic_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        super().__init__(
            recording.services,
            kubelet_dir=Path(KUBELET_DIR),
            metrics=metrics,
            monotonic_s=monotonic_s,
        )
