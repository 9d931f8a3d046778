"""What every role of the driver does as a process: log, be watched, be told to stop, end."""

import logging
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType

from csi_zfs.rpc.interceptors import fields_of_call
from csi_zfs.rpc.metrics import Metrics
from csi_zfs.rpc.monitoring import MonitoringServer
from csi_zfs.settings import ServerSettings
from csi_zfs.system.logs import LogFormat, configure_logging

log = logging.getLogger(__name__)
CALLS_LEFT_BEHIND = 3


def start_logging(settings: ServerSettings) -> None:
    """Log as the settings say, with the call in every line that is written in one."""
    configure_logging(
        LogFormat(settings.log_format),
        logging.getLevelNamesMapping()[settings.log_level.upper()],
        fields_of_call=fields_of_call,
    )


def start_monitoring(
    settings: ServerSettings, metrics: Metrics, is_ready: Callable[[], bool], stack: ExitStack
) -> None:
    """Serve metrics and liveness where the settings say so, until `stack` is closed."""
    if settings.metrics_address is not None:
        monitoring = MonitoringServer(metrics, is_ready=is_ready)
        monitoring.start(*settings.metrics_address)
        stack.callback(monitoring.stop)


def end_at_once() -> None:
    """End the process with calls left behind, as a crash would: an exit waits for their threads."""
    log.warning("calls did not end within the grace time: the next start finishes their work")
    logging.shutdown()
    os._exit(CALLS_LEFT_BEHIND)


def stop_signal() -> int:
    """A descriptor from which a byte can be read once SIGTERM or SIGINT has come.

    An event set by a handler would not do: handlers run in the main thread only, and a signal that
    comes just before that thread falls asleep does not wake it.  The byte is written at once.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave_it_to_the_byte)
    return reader


def _leave_it_to_the_byte(_number: int, _frame: FrameType | None) -> None:
    """Without a handler there would be no byte."""
