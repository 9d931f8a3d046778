"""The form of every small file that the pool keeps: one line of JSON, then its digest.

The digest finds what a torn write or an editor did; the fields are then read strictly, by type.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from csi_zfs.datasets.api import RecordCorruptError, RecordTooLargeError
from csi_zfs.datasets.fields import RecordFields
from csi_zfs.system.digest import hex_digest_of

VERSION = 1
MAX_BYTES = 4 * 1024 * 1024

# Made once: `json.dumps` with options makes an encoder at each call.
_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def seal(fields: Mapping[str, object]) -> bytes:
    """The content of a file with these fields; raises `RecordTooLargeError` above `MAX_BYTES`."""
    line = _encode({"version": VERSION, **fields}).encode()
    data = line + b'\n{"blake3":"' + hex_digest_of(line).encode() + b'"}\n'
    if len(data) > MAX_BYTES:
        raise RecordTooLargeError(f"a record of {len(data)} bytes is above {MAX_BYTES} bytes")
    return data


def sealed_fields(data: bytes, *, path: Path | str, keys: frozenset[str]) -> RecordFields:
    """The fields of a sealed file, once its digest and its version fit.

    Raises `RecordCorruptError`, naming the file, and so do the fields.
    """

    def corrupt(why: str) -> RecordCorruptError:
        return RecordCorruptError(f"{path} cannot be read: {why}")

    line, _, rest = data.partition(b"\n")
    if rest != b'{"blake3":"' + hex_digest_of(line).encode() + b'"}\n':
        raise corrupt("its digest does not fit its content")
    try:
        fields = json.loads(line)
    except ValueError as exc:
        raise corrupt("it is not JSON") from exc
    if isinstance(fields, dict) and fields.pop("version", None) != VERSION:
        raise corrupt(f"its version is not {VERSION}")
    return RecordFields(fields, keys=keys, corrupt=corrupt)
