"""The fake OpenZFS's /dev/zfs, as far as it matters: whether somebody has it open."""

import os
import select
import weakref


class FakeControl:
    """Gives out descriptors, each the one end of a pipe: the other end sees its last copy go."""

    def __init__(self) -> None:
        """Begin with none."""
        self._ends: dict[int, int] = {}
        self._closing = weakref.finalize(self, _close_all, self._ends)

    def open(self) -> int:
        """A descriptor, the caller's to close."""
        end, descriptor = os.pipe()
        self._ends[os.fstat(end).st_ino] = end
        return descriptor

    def key_of(self, descriptor: int) -> int:
        """What is the same for all copies of a descriptor; `KeyError` for one of another file."""
        key = os.fstat(descriptor).st_ino
        if key not in self._ends:
            raise KeyError(descriptor)
        return key

    def is_open(self, key: int) -> bool:
        """Whether a copy is open anywhere."""
        poll = select.poll()
        poll.register(self._ends[key], 0)  # nothing but the end of the pipe
        return not poll.poll(0)


def _close_all(ends: dict[int, int]) -> None:
    for end in ends.values():
        os.close(end)
