"""Section `footprint`: how soon the driver is there, and what memory it takes."""

import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from csi_zfs.domain.sizes import KIB, MIB
from csi_zfs.rpc.generated import csi_pb2
from tests.bench.figures import Figure, Section, Target
from tests.bench.rendering import milliseconds
from tests.bench.workbench import Workbench
from tests.support.process import RealDriver

_RSS_LIMIT_BYTES = 120 * MIB
_READY_LIMIT_S, _PLUGIN_INFO_LIMIT_S = 3.0, 1.0
_ANSWER_LIMIT_S = 60.0
_RSS = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)
_WITHIN = Target(1.0)


@dataclass(frozen=True, slots=True)
class _Start:
    """Seconds from the start of the process to two answers."""

    plugin_info_s: float
    ready_s: float


def measure(bench: Workbench) -> Section:
    """Measure the section; the driver is started again, so it comes last."""
    volumes = bench.amount.volumes[-1]
    driver = bench.driver_with(volumes)
    _read_everything(driver)
    busy_bytes = rss_bytes(driver.pid)
    driver.stop()
    warm = _started(driver)
    driver.stop()
    driver.export_pool()
    cold = _started(driver)
    _read_everything(driver)
    fresh_bytes = rss_bytes(driver.pid)
    return Section(
        title=f"Start and memory with {volumes:,} volumes",
        note=(
            "From the start of the process to the first answers; the interpreter's own start is in"
            " it. After a reboot the pool is mounted first and read from the disk."
        ),
        figures=[
            _seconds("GetPluginInfo answers", warm.plugin_info_s, _PLUGIN_INFO_LIMIT_S),
            _seconds("Probe says ready", warm.ready_s, _READY_LIMIT_S),
            _seconds("GetPluginInfo after a reboot", cold.plugin_info_s, _PLUGIN_INFO_LIMIT_S),
            _seconds("Probe after a reboot", cold.ready_s, _READY_LIMIT_S),
            _memory("memory (RSS), all volumes listed", fresh_bytes),
            _memory("memory (RSS) after the calls above", busy_bytes),
        ],
    )


def _started(driver: RealDriver) -> _Start:
    """Start the driver and wait for two answers at once."""
    answered: list[float] = []

    def ask() -> None:
        driver.client.identity.GetPluginInfo(
            csi_pb2.GetPluginInfoRequest(), timeout=_ANSWER_LIMIT_S, wait_for_ready=True
        )
        answered.append(time.monotonic())

    asking = threading.Thread(target=ask)
    begin = time.monotonic()
    asking.start()
    driver.start()
    ready_s = time.monotonic() - begin
    asking.join()
    return _Start(plugin_info_s=answered[0] - begin, ready_s=ready_s)


def _read_everything(driver: RealDriver) -> None:
    for _ in driver.client.list_volumes():
        pass


def rss_bytes(pid: int) -> int:
    found = _RSS.search(Path(f"/proc/{pid}/status").read_text())
    if found is None:
        raise LookupError(f"process {pid} has no memory")
    return int(found[1]) * KIB


def _seconds(what: str, seconds: float, limit_s: float) -> Figure:
    limit = milliseconds(limit_s)
    return Figure(what, milliseconds(seconds), f"limit {limit}", seconds / limit_s, _WITHIN)


def _memory(what: str, size_bytes: int) -> Figure:
    ratio = size_bytes / _RSS_LIMIT_BYTES
    measured, limit = f"{size_bytes / MIB:.0f} MiB", f"limit {_RSS_LIMIT_BYTES // MIB} MiB"
    return Figure(what, measured, limit, ratio, _WITHIN)
