"""Random messages: of any type wholly at random, and examples with some fields spoilt."""

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

from csi_zfs.rpc.requests.node import EPHEMERAL_KEY
from tests.support.services import EPHEMERAL_ID, GROUP_ID, SNAPSHOT_ID, VOLUME_ID
from tests.unit.rpc.examples import KUBELET_DIR, STAGING_PATH, TARGET_PATH

IDS = tuple(map(str, (VOLUME_ID, SNAPSHOT_ID, GROUP_ID, EPHEMERAL_ID)))
PATHS = (STAGING_PATH, TARGET_PATH, f"{KUBELET_DIR}/../../etc", "/", "relative", "/a\0b")
WORDS = ("", "ext4", "xfs", "ro", "noatime", "1000", "-rf", "a,b", "a@b", "%2e%2e", "\n", "true")
TEXTS = st.sampled_from(IDS + PATHS + WORDS) | st.text(max_size=140)
KEYS = st.sampled_from((EPHEMERAL_KEY, "pool", "provisioning", "compression")) | TEXTS

Kind = FieldDescriptor


@st.composite
def messages(draw: st.DrawFn, descriptor: Descriptor) -> Message:
    """A message with any of its fields."""
    message = GetMessageClass(descriptor)()
    for field in descriptor.fields:
        # Most fields are mostly there, or hardly any request would pass.
        if draw(st.integers(0, 4)):
            fill(draw, message, field)
    return message


@st.composite
def spoilt(draw: st.DrawFn, example: Message) -> Message:
    """The example with a few of its fields, at any depth, filled at random."""
    for _ in range(draw(st.integers(0, 3))):
        message: Any = example
        while message.DESCRIPTOR.fields:
            field = draw(st.sampled_from(list(message.DESCRIPTOR.fields)))
            if field.message_type is None or field.is_repeated or draw(st.booleans()):
                message.ClearField(field.name)
                fill(draw, message, field)
                break
            message = getattr(message, field.name)
    return example


def fill(draw: st.DrawFn, message: Any, field: FieldDescriptor) -> None:  # noqa: ANN401
    target = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        target.update(draw(st.dictionaries(KEYS, TEXTS, max_size=2)))
    elif field.is_repeated:
        target.extend(draw(st.lists(values(field), max_size=3)))
    elif field.message_type is not None:
        target.SetInParent()
        target.CopyFrom(draw(messages(field.message_type)))
    else:
        setattr(message, field.name, draw(values(field)))


def values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    """What one field, or one item of it, can hold."""
    if field.message_type is not None:
        return messages(field.message_type)
    if field.enum_type is not None:
        return st.sampled_from([*(value.number for value in field.enum_type.values), 99, -1])
    sizes = st.sampled_from((0, 1, 2**30, 2**63 - 1, -(2**63)))
    return {
        Kind.CPPTYPE_STRING: TEXTS,
        Kind.CPPTYPE_BOOL: st.booleans(),
        Kind.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
        Kind.CPPTYPE_INT64: sizes | st.integers(-(2**63), 2**63 - 1),
    }[field.cpp_type]
