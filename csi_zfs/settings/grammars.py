"""The kinds of settings that have a grammar of their own."""

import re
from pathlib import Path
from typing import NamedTuple

from csi_zfs.domain.ids import MAX_POOL_PARENT_BYTES, POOL_PARENT_PATTERN
from csi_zfs.domain.sizes import MAX_BYTES, MIB, InvalidSizeError, format_size, parse_size
from csi_zfs.settings.kinds import (
    InvalidValueError,
    Kind,
    absolute_path,
    require_text,
    text_like,
    unlike,
    wrong_type,
)

_LABEL = r"[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?"
_LOWER_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_KEY_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})", re.ASCII)
_MAX_PORT = 65535
_OBJECT_NAME = re.compile(
    rf"(?P<namespace>(?=[^/]{{1,63}}/){_LOWER_LABEL})"
    rf"/(?P<name>(?=.{{1,253}}\Z){_LOWER_LABEL}(\.{_LOWER_LABEL})*)",
    re.ASCII,
)


def _parse_size(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise wrong_type(SIZE.what, value)
    size_bytes = parse_size(value) if isinstance(value, str) else value
    if not MIB <= size_bytes <= MAX_BYTES:
        raise InvalidSizeError(f"must be {SIZE.what}, and less than {format_size(MAX_BYTES)}")
    return size_bytes


SIZE = Kind("a size of at least 1Mi, such as 10Gi", _parse_size)


def _parse_endpoint(value: object) -> Path:
    text = require_text(ENDPOINT.what, value)
    return _SOCKET_PATH.parse(text.removeprefix("unix://"))


# sockaddr_un has 108 bytes, with the NUL.
_SOCKET_PATH = absolute_path("unix:// and the path of a socket", 107)
ENDPOINT = Kind(_SOCKET_PATH.what, _parse_endpoint)


class Address(NamedTuple):
    """A host name or address (one of IPv6 in brackets), and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        """As it is written."""
        return f"{self.host}:{self.port}"


def _parse_address(value: object) -> Address | None:
    text = require_text(ADDRESS.what, value)
    if not text:
        return None
    match = _ADDRESS.fullmatch(text)
    if match is None or not 1 <= int(match["port"]) <= _MAX_PORT:
        raise unlike(ADDRESS.what, text)
    return Address(match["host"], int(match["port"]))


ADDRESS = Kind(
    "a host and a port such as 127.0.0.1:9808 or [::]:9808, or '' for none", _parse_address
)


def _parse_required_address(value: object) -> Address:
    address = _parse_address(value)
    if address is None:
        raise unlike(REQUIRED_ADDRESS.what, "")
    return address


REQUIRED_ADDRESS = Kind("a host and a port such as 10.0.0.7:9809", _parse_required_address)


class ObjectName(NamedTuple):
    """An object of a Kubernetes cluster."""

    namespace: str
    name: str


def _parse_object_name(value: object) -> ObjectName | None:
    text = require_text(OBJECT_NAME.what, value)
    if not text:
        return None
    match = _OBJECT_NAME.fullmatch(text)
    if match is None:
        raise unlike(OBJECT_NAME.what, text)
    return ObjectName(match["namespace"], match["name"])


OBJECT_NAME = Kind(
    "a namespace and a name such as kube-system/csi-zfs, or '' for none", _parse_object_name
)

# The lengths and forms are those of csi.proto and of Kubernetes' label keys, the stricter of both.
DRIVER_NAME = text_like(
    "a domain name of at most 63 characters", rf"(?=.{{1,63}}\Z){_LABEL}(\.{_LABEL})*"
)
TOPOLOGY_KEY = text_like(
    "a label key such as topology.example.io/node: a lower-case domain name, '/', a name,"
    " each of at most 63 characters",
    rf"((?=[^/]{{1,63}}/){_LOWER_LABEL}(\.{_LOWER_LABEL})*/)?{_KEY_NAME}",
)
# The node's name is the value of its topology segment, which Kubernetes keeps as a label's value.
NODE_ID = text_like(
    "1 to 63 letters, digits, '-', '_' and '.', a letter or digit first and last", _KEY_NAME
)
POOL_NAME = text_like(
    "1 to 63 lower-case letters and digits, with '-' after the first", r"[a-z0-9][a-z0-9-]{0,62}"
)
DIRECTORY = absolute_path("the path of a directory", 4095)
OPTIONAL_DIRECTORY = Kind(
    f"{DIRECTORY.what}, or '' for none",
    lambda value: None if value == "" else DIRECTORY.parse(value),
)
POOL_PATH = absolute_path("the path of a pool's directory", MAX_POOL_PARENT_BYTES)

_DATASET = re.compile(POOL_PARENT_PATTERN, re.ASCII)


def _parse_dataset(value: object) -> str:
    text = require_text(DATASET.what, value)
    # Told first: it is the mistake that a shorter name mends.
    if (length_bytes := len(text.encode(errors="surrogatepass"))) > MAX_POOL_PARENT_BYTES:
        raise InvalidValueError(
            f"has {length_bytes} bytes: it may have {MAX_POOL_PARENT_BYTES}, so that the longest"
            " name of a snapshot below it fits into the 255 bytes of ZFS"
        )
    if _DATASET.fullmatch(text) is None:
        raise unlike(DATASET.what, text)
    return text


DATASET = Kind(
    "a zpool and a dataset in it such as tank/csi, of letters, digits, '-', '_', '.' and ':',"
    f" of at most {MAX_POOL_PARENT_BYTES} bytes",
    _parse_dataset,
)
