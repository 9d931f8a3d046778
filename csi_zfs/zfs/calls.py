"""Calls made in a helper process, and given up where they would never come back.

A call into a pool that is suspended may block for ever, in a way that no signal ends: a thread that
is stuck so keeps its whole process alive.  So the calls are made elsewhere, and given up here once
the kernel says that the pool is suspended.  What hangs then hangs in the helper process, and ends
there by itself when the pool goes on.
"""

import logging
import sys
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from csi_zfs.datasets.api import PoolUnavailableError
from csi_zfs.domain.errors import OutcomeUnknownError
from csi_zfs.system.clock import Clock
from csi_zfs.zfs.errors import PoolSuspendedError
from csi_zfs.zfs.helper import Answer, Helper
from csi_zfs.zfs.pool_state import PoolState, PoolStates

WORKER = (sys.executable, "-m", "csi_zfs.zfs.worker")
# They change nothing, so that giving one up leaves nothing unknown.
_READS = frozenset({"holds", "exists", "read_program", "send"})
# They take as long as the other end of their descriptor does.
_STREAMS = frozenset({"send", "receive"})

log = logging.getLogger(__name__)


class CallTimeoutError(OutcomeUnknownError):
    """A call had no answer at its deadline, and may still take effect."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for an answer.

    Attributes:
        look_s: how often to look at the pool's state meanwhile.
        deadline_s: when to give a call up although its pool is well; streams have no deadline.
    """

    look_s: float = 1.0
    deadline_s: float = 300.0


DEFAULT_PATIENCE = Patience()


class Calls:
    """Makes calls in a helper process, which starts at the first and again after it died.

    Thread-safe.  While a call into a pool is stuck, no other is made into it: so at most those are
    stuck that were under way when it was suspended.
    """

    def __init__(
        self,
        *,
        states: PoolStates,
        clock: Clock,
        patience: Patience = DEFAULT_PATIENCE,
        command: Sequence[str] = WORKER,
        kept: Sequence[int] = (),
    ) -> None:
        """Start nothing yet.

        `command` is what runs in the helper process, which has copies of the descriptors `kept`.
        """
        self._states = states
        self._clock = clock
        self._patience = patience
        self._command = command
        self._kept = tuple(kept)
        self._lock = threading.Lock()
        self._running: Helper | None = None
        self._stuck: defaultdict[str, list[Answer]] = defaultdict(list)

    def close(self) -> None:
        """End the helper process."""
        with self._lock:
            helper, self._running = self._running, None
            stuck, self._stuck = self._stuck, defaultdict(list)
        if helper is not None:
            helper.end()
        for answer in chain.from_iterable(stuck.values()):
            answer.forget()

    def make(self, call: str, about: str, **arguments: object) -> object:
        """Make a call and wait for its end; `about` is any name in the pool that it goes into.

        Raises:
            LzcError: the library refused it.
            PoolSuspendedError: the pool is suspended.  The call was not made, or, where it says
                `is_outcome_unknown`, may take effect when the pool goes on.
            PoolUnavailableError: an earlier call into the pool is stuck; this one was not made.
            CallTimeoutError: no answer at the deadline.
            HelperFailedError: the helper process died in the call.
        """
        zpool_name = zpool_name_of(about)
        self._require_passable(zpool_name)
        answer = self._helper().ask(call, arguments)
        self._wait(answer, zpool_name)
        return answer.result()

    def _require_passable(self, zpool_name: str) -> None:
        if self._states.read(zpool_name) is PoolState.SUSPENDED:
            raise PoolSuspendedError(f"{_suspended(zpool_name)}; nothing was done")
        with self._lock:
            stuck = _still_stuck(self._stuck.pop(zpool_name, ()))
            if stuck:
                self._stuck[zpool_name] = stuck
                msg = f"a call into pool {zpool_name} ({stuck[0].call}) is stuck; nothing was done"
                raise PoolUnavailableError(msg)

    def _helper(self) -> Helper:
        with self._lock:
            if self._running is not None and self._running.has_ended:
                self._running.end()
                self._running = None
            if self._running is None:
                self._running = Helper(self._command, kept=self._kept)
                log.info("OpenZFS's helper process began", extra={"pid": self._running.pid})
            return self._running

    def _wait(self, answer: Answer, zpool_name: str) -> None:
        deadline_s = self._clock.monotonic_s() + self._patience.deadline_s
        while not answer.wait(self._patience.look_s):
            if self._states.read(zpool_name) is PoolState.SUSPENDED:
                self._give_up(answer, zpool_name)
                raise _suspended_during(answer.call, zpool_name)
            if answer.call not in _STREAMS and self._clock.monotonic_s() >= deadline_s:
                self._give_up(answer, zpool_name)
                limit = f"{self._patience.deadline_s:g} s"
                raise CallTimeoutError(f"{answer.call} in pool {zpool_name} took over {limit}")

    def _give_up(self, answer: Answer, zpool_name: str) -> None:
        with self._lock:
            self._stuck[zpool_name].append(answer)
        log.warning("a call is stuck", extra={"zpool_name": zpool_name, "call": answer.call})


def _still_stuck(answers: Iterable[Answer]) -> list[Answer]:
    """Those without an end; the others are forgotten."""
    stuck = []
    for answer in answers:
        if answer.is_there:
            answer.forget()
        else:
            stuck.append(answer)
    return stuck


def zpool_name_of(name: str) -> str:
    """The pool of a dataset, snapshot or bookmark."""
    for separator in "/@#":
        name = name.partition(separator)[0]
    return name


def _suspended(zpool_name: str) -> str:
    return f"pool {zpool_name} is suspended: repair its disks, then run `zpool clear {zpool_name}`"


def _suspended_during(call: str, zpool_name: str) -> PoolSuspendedError:
    if call in _READS:
        return PoolSuspendedError(_suspended(zpool_name))
    msg = f"{_suspended(zpool_name)}; {call} may take effect then"
    return PoolSuspendedError(msg, is_outcome_unknown=True)
