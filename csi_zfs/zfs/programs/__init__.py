"""Channel programs: what is read and changed inside the kernel, in one transaction.

Each begins with `prelude.lua`, which proves that this is our pool before anything is said about
what is in it (rules.md A5); only those that ask or say which pool it is stand alone.  Each returns
a table whose `outcome` is one of `Outcome`.
"""

import enum
from functools import cache
from importlib.resources import files


class Outcome(enum.StrEnum):
    """What a program says."""

    DONE = "done"
    AWAY = "away"
    ABSENT = "absent"
    EXISTS = "exists"
    CHANGED = "changed"
    DEPENDENTS = "dependents"
    HELD = "held"
    AGAIN = "again"
    REFUSED = "refused"
    TAKEN = "taken"
    UNREADABLE = "unreadable"


_ALONE = frozenset({"identify", "claim"})


@cache
def source_of(program: str) -> str:
    """The text of a program."""
    parts = [program] if program in _ALONE else ["prelude", program]
    folder = files(__name__)
    return "\n".join(folder.joinpath(f"{part}.lua").read_text() for part in parts)
