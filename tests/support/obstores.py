"""Stores of obstore for tests: in memory, and one whose answers get lost."""

from typing import Any, Self

from obstore.exceptions import GenericError
from obstore.store import MemoryStore


def memory_store() -> MemoryStore:
    """A store of obstore's own, which has conditional writes."""
    return MemoryStore()


class LossyStore(MemoryStore):
    """A store in memory; `plan` says what becomes of the next puts and deletes.

    Of its words `lost` does it and fails, `failed` fails without; an exception is raised instead.
    After the last one all succeed.  `calls` counts.
    """

    def __new__(cls, _plan: str | Exception = "") -> Self:
        """As obstore makes its own, which takes no arguments."""
        return super().__new__(cls)

    def __init__(self, plan: str | Exception = "") -> None:
        """Begin empty."""
        super().__init__()
        self.plan: list[str | Exception] = (
            [plan] if isinstance(plan, Exception) else [*plan.split()]
        )
        self.calls = 0

    def put(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as obstore has it
        """See `MemoryStore`."""
        self.calls += 1
        fate = self.plan.pop(0) if self.plan else ""
        if isinstance(fate, Exception):
            raise fate
        if fate == "failed":
            raise GenericError("500")
        answer = super().put(*args, **kwargs)
        if fate == "lost":
            raise GenericError("connection reset")
        return answer

    def delete(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as obstore has it
        """See `MemoryStore`."""
        self.calls += 1
        fate = self.plan.pop(0) if self.plan else ""
        if isinstance(fate, Exception):
            raise fate
        if fate != "failed":
            super().delete(*args, **kwargs)
        if fate:
            raise GenericError("500")
