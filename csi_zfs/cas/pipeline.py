"""Work in threads, in order and with an end to what is under way."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


def in_order(
    executor: Executor,
    work: Callable[[_Task], _Result],
    tasks: Iterable[_Task],
    *,
    at_once: int,
) -> Iterator[_Result]:
    """The results of `work` for each task, in their order; `at_once` are under way or waiting.

    The first error is raised at its task's turn; what has not begun then is not begun, and what
    has is waited for.
    """
    under_way: deque[Future[_Result]] = deque()
    try:
        for task in tasks:
            under_way.append(executor.submit(work, task))
            if len(under_way) == at_once:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        begun = [future for future in under_way if not future.cancel()]
        for future in begun:
            future.exception()
