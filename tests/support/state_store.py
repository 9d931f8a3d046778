"""The node's state directory in memory."""

from collections.abc import Callable, Iterator

from tests.support.pool_core import no_effects


class MemoryStateStore:
    """A `StateStore` that outlives the driver.

    Attributes:
        documents: what is stored, by key.
        effects: called with `state.save:before`, `state.save:after`, `state.remove:before` and
            `state.remove:after`; what it raises stops the call there, as a crash would.
    """

    def __init__(self, *, effects: Callable[[str], None] = no_effects) -> None:
        """Begin empty."""
        self.documents: dict[str, bytes] = {}
        self.effects = effects

    def load(self) -> Iterator[tuple[str, bytes]]:
        """See `StateStore`."""
        return iter(sorted(self.documents.items()))

    def save(self, key: str, data: bytes) -> None:
        """See `StateStore`."""
        self.effects("state.save:before")
        self.documents[key] = data
        self.effects("state.save:after")

    def remove(self, key: str) -> None:
        """See `StateStore`."""
        self.effects("state.remove:before")
        self.documents.pop(key, None)
        self.effects("state.remove:after")
