"""The one table from error families to gRPC codes.

Looked up by the method resolution order: a new leaf has its family's code, and only what has no
family is INTERNAL.  Which code it is decides what the sidecars do next (rules.md B10): the
provisioner takes every code but CANCELLED, DEADLINE_EXCEEDED, UNAVAILABLE and ABORTED as "nothing
was made".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import grpc

from csi_zfs.domain import errors

INTERNAL_DETAILS = "internal error: see the driver's log"

# Details travel percent-encoded in an HTTP/2 header, where up to three bytes stand for one; callers
# refuse more than 8 KiB of headers with an error of their own.
MAX_DETAILS_BYTES = 2000


@dataclass(frozen=True, slots=True)
class Row:
    """What a family of errors becomes on the wire, and what that means to a caller."""

    code: grpc.StatusCode
    meaning: str


@dataclass(frozen=True, slots=True)
class Status:
    """How a call ends that failed."""

    code: grpc.StatusCode
    details: str


TABLE: Mapping[type[errors.CsiZfsError], Row] = MappingProxyType(
    {
        errors.InvalidRequestError: Row(
            grpc.StatusCode.INVALID_ARGUMENT,
            "The request can never work as written; the details name the field. Correct it.",
        ),
        errors.AccessDeniedError: Row(
            grpc.StatusCode.PERMISSION_DENIED,
            "The certificate of the caller is not that of a caller who may ask this. Nothing was"
            " done.",
        ),
        errors.NotFoundError: Row(
            grpc.StatusCode.NOT_FOUND,
            "What was asked for is proved not to exist. Deletes of such things succeed instead.",
        ),
        errors.IncompatibleError: Row(
            grpc.StatusCode.ALREADY_EXISTS,
            "The name is taken by something else; the details say in what it differs.",
        ),
        errors.InUseError: Row(
            grpc.StatusCode.FAILED_PRECONDITION,
            "The state of the thing forbids this now. Release what the details name, then repeat.",
        ),
        errors.OperationPendingError: Row(
            grpc.StatusCode.ABORTED,
            "The same thing is being worked on, or a listing has to begin anew. Repeat later.",
        ),
        errors.OutOfRangeError: Row(
            grpc.StatusCode.OUT_OF_RANGE,
            "The size is not one that this volume or pool can have. Ask for another one.",
        ),
        errors.NoSpaceError: Row(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "There is no room here; nothing was changed. Another node or a smaller size may do.",
        ),
        errors.OutcomeUnknownError: Row(
            grpc.StatusCode.DEADLINE_EXCEEDED,
            "The work was cut short and may have taken effect. Repeat the same call to find out.",
        ),
        errors.UnavailableError: Row(
            grpc.StatusCode.UNAVAILABLE,
            "Something that is needed is away: a pool, a device, the driver itself. Repeat later.",
        ),
        errors.CorruptionError: Row(
            grpc.StatusCode.DATA_LOSS,
            "Stored data fails its own check. It is neither repaired nor called absent.",
        ),
        errors.UnsupportedError: Row(
            grpc.StatusCode.UNIMPLEMENTED,
            "The pool or the driver cannot do this at all.",
        ),
        errors.UnsupportedParameterError: Row(
            grpc.StatusCode.INVALID_ARGUMENT,
            "A parameter asks for what the pool cannot do. Change the parameter.",
        ),
    }
)
_FAMILIES: Mapping[grpc.StatusCode, type[errors.CsiZfsError]] = MappingProxyType(
    {TABLE[family].code: family for family in errors.FAMILIES}
)
INTERNAL_MEANING = (
    "A bug in the driver; its log has the traceback. Never answered for an expected fault, and"
    " by nothing that makes something: that is DEADLINE_EXCEEDED then, since it may be made."
)


def status_for(exc: BaseException) -> Status:
    """The status of a call that ended with `exc`: by the first class of its MRO that has a row.

    Without a row it is INTERNAL, and the text is kept back: nobody vouches that it holds no secret.
    """
    for family in type(exc).__mro__:
        if row := TABLE.get(family):
            return Status(row.code, _details_of(str(exc)))
    return Status(grpc.StatusCode.INTERNAL, INTERNAL_DETAILS)


def error_of(status: Status) -> errors.CsiZfsError | None:
    """The error that another driver ended a call with, by its family; None if that was a bug."""
    family = _FAMILIES.get(status.code)
    return None if family is None else family(status.details)


def _details_of(text: str) -> str:
    # File names may hold surrogates, which gRPC cannot encode.
    data = text.encode("utf-8", "backslashreplace")[:MAX_DETAILS_BYTES]
    return data.decode("utf-8", "ignore")
