"""Threads of which exactly one runs at a time, switched at points that a seed chooses."""

import random
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_LIMIT_S = 60.0
# How often the same client goes on, one is held for long, and for how many steps of the others;
# each seed takes one of each.
_GOES_ON = (0.5, 0.9, 0.97)
_STALLS = (0.01, 0.03, 0.1)
_STALLS_DELICATE = 0.5
_LONGEST_STALLS = (100, 300)


class Scheduler:
    """Runs clients; each calls `reached` where it may be held while others go on."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._goes_on, self._stalls = rng.choice(_GOES_ON), rng.choice(_STALLS)
        self._longest_stall = rng.choice(_LONGEST_STALLS)
        self._changed = threading.Condition()
        self._alive: set[str] = set()
        self._stalled: dict[str, int] = {}
        self._running = ""
        self._steps = 0
        self._failures: list[BaseException] = []

    def run(self, clients: Mapping[str, Callable[[], None]]) -> None:
        """Run all clients to their ends; raises what the first of them raised."""
        self._alive = set(clients)
        with self._changed:
            self._choose()
        threads = [
            threading.Thread(target=self._client, args=(name, act), daemon=True)
            for name, act in clients.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(_LIMIT_S)
            assert not thread.is_alive(), "a client hangs"
        if self._failures:
            raise self._failures[0]

    def reached(self, name: str, *, is_delicate: bool) -> None:
        """Let whoever is chosen go on, and wait for the next turn of this one.

        At a delicate point it is held for long more often.
        """
        with self._changed:
            self._steps += 1
            if self._rng.random() < (_STALLS_DELICATE if is_delicate else self._stalls):
                self._stalled[name] = self._steps + self._rng.randrange(self._longest_stall)
            if name in self._stalled or self._rng.random() > self._goes_on:
                self._choose()
            self._wait_for_turn(name)

    def _client(self, name: str, act: Callable[[], None]) -> None:
        with self._changed:
            self._wait_for_turn(name)
        try:
            act()
        except BaseException as exc:  # noqa: BLE001 -- it is raised again by `run`
            self._failures.append(exc)
        with self._changed:
            self._alive.discard(name)
            self._choose()

    def _wait_for_turn(self, name: str) -> None:
        assert self._changed.wait_for(lambda: self._running == name, _LIMIT_S)

    def _choose(self) -> None:
        awake = [one for one in self._alive if self._stalled.get(one, 0) <= self._steps]
        chosen = self._rng.choice(sorted(awake or self._alive) or [""])
        self._stalled.pop(chosen, None)
        self._running = chosen
        self._changed.notify_all()


class InlineExecutor(Executor):
    """An executor that does everything at once, in the caller's thread."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See `Executor`."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as exc:  # noqa: BLE001 -- the future has it
            future.set_exception(exc)
        return future
