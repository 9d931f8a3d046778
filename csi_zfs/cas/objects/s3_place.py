"""Where on which S3 server objects are, and how long one waits for it."""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

from csi_zfs.cas.objects.grammar import require_prefix
from csi_zfs.domain.errors import InvalidRequestError

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)


class InvalidPlaceError(InvalidRequestError):
    """What is said about the place of the objects cannot be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Place:
    """A bucket, or the part of one below a prefix, and who may use it.

    Attributes:
        endpoint: the server, such as `https://s3.eu-central-1.amazonaws.com`; `http://` goes
            without encryption, for a server on the same machine.
        prefix: words, each with `/` behind it; empty for the whole bucket.
        is_path_style: the bucket is part of the path, as servers of one's own have it, and not of
            the server's name, as Amazon wants it.
        session_token: of credentials that last for some time only.
    """

    endpoint: str
    bucket: str
    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)
    prefix: str = ""
    region: str = "us-east-1"
    is_path_style: bool = True

    def __post_init__(self) -> None:
        """Raise `InvalidPlaceError`, `InvalidKeyError`."""
        parts = urlsplit(self.endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InvalidPlaceError("an endpoint is a URL that begins with https:// or http://")
        if parts.username or parts.password or parts.query or parts.fragment or parts.path:
            raise InvalidPlaceError("an endpoint names a server and its port, and nothing else")
        if _BUCKET.fullmatch(self.bucket) is None:
            raise InvalidPlaceError(f"{self.bucket!r} is no name of a bucket")
        if not self.access_key_id or not self.secret_access_key:
            raise InvalidPlaceError("the credentials of the bucket are missing")
        require_prefix(self.prefix)

    @property
    def is_encrypted(self) -> bool:
        """Whether what is sent is encrypted on the way."""
        return self.endpoint.startswith("https://")

    @property
    def url(self) -> str:
        """Where the bucket answers."""
        if self.is_path_style:
            return self.endpoint
        return self.endpoint.replace("://", f"://{self.bucket}.", 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long one waits for a server, and how often it is asked again.

    Attributes:
        connect: until a connection stands.
        request: for one request; 32 MiB in five minutes are 110 kB/s.
        retries: of one request that got no answer, or 5xx.
        retry: after this much time a request is not sent again.
    """

    connect: timedelta = timedelta(seconds=5)
    request: timedelta = timedelta(minutes=5)
    retries: int = 5
    retry: timedelta = timedelta(minutes=2)
    first_pause: timedelta = timedelta(milliseconds=100)
    longest_pause: timedelta = timedelta(seconds=10)
