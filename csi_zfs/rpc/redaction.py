"""Messages as text, without what must not be read (rules.md C4).

What is secret is said by the interface itself, in the field option `csi_secret`; beyond that by the
specification's words about mount flags, and by the kubelet, which puts the tokens of service
accounts into a volume's context.
"""

from collections.abc import MutableMapping
from functools import cache

from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from csi_zfs.rpc.generated import csi_pb2

TOKENS_KEY = "csi.storage.k8s.io/serviceAccount.tokens"
_SECRET_BY_WORDS = frozenset({"csi.v1.VolumeCapability.MountVolume.mount_flags"})


def render(message: Message) -> str:
    """The message on one line, without its secrets and without fields that are unknown here."""
    copy = type(message)()
    copy.CopyFrom(message)
    _strip(copy)
    return text_format.MessageToString(copy, as_one_line=True, print_unknown_fields=False)


def _strip(message: Message) -> None:
    for name in _secret_fields_of(message.DESCRIPTOR):
        message.ClearField(name)
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            _strip_map(value)
        else:
            for item in value if field.is_repeated else (value,):
                _strip(item)


def _strip_map(values: MutableMapping[object, object]) -> None:
    for key, value in list(values.items()):
        if isinstance(value, Message):
            _strip(value)
        elif key == TOKENS_KEY:
            del values[key]


@cache
def _secret_fields_of(descriptor: Descriptor) -> tuple[str, ...]:
    """The names of the secret fields of a type of message, found once for each type."""
    return tuple(
        field.name
        for field in descriptor.fields
        if field.GetOptions().Extensions[csi_pb2.csi_secret] or field.full_name in _SECRET_BY_WORDS
    )
