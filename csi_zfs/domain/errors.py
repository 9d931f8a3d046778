"""The error families: one for each thing that a caller can do about it.

Leaves live beside the code that raises them and inherit exactly one family.  A front end (rpc, web)
looks a family up by the method resolution order, so that a new leaf never becomes "internal error".
"""


class CsiZfsError(Exception):
    """Base of every error that is meant for the caller.

    Its text says what to do next and holds no secret.
    """


class InvalidRequestError(CsiZfsError):
    """The request can never work as written: correct it."""


class AccessDeniedError(CsiZfsError):
    """Whoever calls may not: present the right certificate."""


class NotFoundError(CsiZfsError):
    """The very thing asked for is proved not to exist, on a healthy pool."""


class IncompatibleError(CsiZfsError):
    """The name is taken by a thing that differs from the one asked for.

    The text names the difference.
    """


class InUseError(CsiZfsError):
    """The state of the thing forbids this now: release what the text names, then repeat."""


class OperationPendingError(CsiZfsError):
    """The same thing is being worked on: repeat later."""


class OutOfRangeError(CsiZfsError):
    """A size outside what this volume or pool can have."""


class NoSpaceError(CsiZfsError):
    """There is no room here; nothing was changed.  Another node or a smaller size may do."""


class OutcomeUnknownError(CsiZfsError):
    """The work was cut short and may have taken effect: repeat the same call to find out."""


class UnavailableError(CsiZfsError):
    """What is needed is not there now (pool, device, process shutting down): repeat later."""


class CorruptionError(CsiZfsError):
    """Stored data fails its own check.  Never repaired silently, never reported as absent."""


class UnsupportedError(CsiZfsError):
    """The pool or the driver cannot do this at all."""


class UnsupportedParameterError(UnsupportedError, InvalidRequestError):
    """A parameter asks for what the pool cannot do: the caller must change the parameter."""


FAMILIES: tuple[type[CsiZfsError], ...] = (
    InvalidRequestError,
    AccessDeniedError,
    NotFoundError,
    IncompatibleError,
    InUseError,
    OperationPendingError,
    OutOfRangeError,
    NoSpaceError,
    OutcomeUnknownError,
    UnavailableError,
    CorruptionError,
    UnsupportedError,
)
