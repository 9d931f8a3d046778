"""What a test lets happen at the effects of a `FakeNode`."""

from collections.abc import Callable


def nothing() -> None:
    """Go on."""


def once(point: str, act: Callable[[], object]) -> Callable[[str], None]:
    """Effects that call `act` when they come to `point` for the first time."""
    points = [point]

    def effects(reached: str) -> None:
        if reached in points:
            points.remove(reached)
            act()

    return effects


def raising(error: BaseException) -> Callable[[], None]:
    """Something that raises this error."""

    def act() -> None:
        raise error

    return act
