from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from csi_zfs.rpc.generated import csi_pb2
from csi_zfs.rpc.redaction import TOKENS_KEY, render
from tests.unit.rpc import examples

CANARY = "s3cr3t-canary"
OPTIONAL = FieldDescriptorProto.LABEL_OPTIONAL
MESSAGE = FieldDescriptorProto.TYPE_MESSAGE


def secret_fields(descriptor: Descriptor) -> Iterator[FieldDescriptor]:
    for field in descriptor.fields:
        if field.GetOptions().Extensions[csi_pb2.csi_secret]:
            yield field


WITH_SECRETS = [
    message
    for message in csi_pb2.DESCRIPTOR.message_types_by_name.values()
    if any(secret_fields(message))
]


@pytest.mark.parametrize("descriptor", WITH_SECRETS, ids=lambda descriptor: descriptor.name)
def test_render_leaves_out_every_secret_field_of_the_interface(descriptor: Descriptor) -> None:
    """rules.md C4."""
    message = GetMessageClass(descriptor)()
    for field in secret_fields(descriptor):
        getattr(message, field.name)["password"] = CANARY
    assert CANARY in str(message)
    assert CANARY not in render(message)


def test_interface_has_secrets_in_all_calls_that_take_them() -> None:
    assert len(WITH_SECRETS) >= 20


def test_render_leaves_out_tokens_of_service_accounts_only() -> None:
    """rules.md C4."""
    request = examples.publish_ephemeral()
    request.volume_context[TOKENS_KEY] = CANARY
    text = render(request)
    assert CANARY not in text
    assert '"2Gi"' in text


def test_render_leaves_out_mount_flags_wherever_they_are() -> None:
    request = examples.create_volume()
    request.volume_capabilities[0].mount.mount_flags.append(f"password={CANARY}")
    request.volume_capabilities[0].mount.fs_type = "xfs"
    text = render(request)
    assert CANARY not in text
    assert '"xfs"' in text


def test_render_leaves_the_message_itself_alone() -> None:
    request = examples.create_volume()
    request.secrets["password"] = CANARY
    render(request)
    assert request.secrets["password"] == CANARY


def test_render_leaves_out_fields_that_the_interface_does_not_know() -> None:
    """A newer caller may send secrets of which this driver has never heard."""
    future = csi_pb2.DeleteVolumeRequest(volume_id=CANARY).SerializeToString()
    request = csi_pb2.ProbeRequest.FromString(future)
    assert CANARY not in render(request)


def test_render_is_one_line() -> None:
    request = csi_pb2.CreateVolumeRequest(name="a\nb")
    assert "\n" not in render(request)


@dataclass(frozen=True)
class Shape:
    """The type of a field."""

    number: "FieldDescriptorProto.Type.ValueType"
    type_name: str = ""


TEXT = Shape(FieldDescriptorProto.TYPE_STRING)


def add_field(
    message: DescriptorProto,
    name: str,
    shape: Shape,
    *,
    is_secret: bool = False,
    is_repeated: bool = False,
) -> None:
    field = message.field.add(name=name, number=len(message.field) + 1, type=shape.number)
    field.label = FieldDescriptorProto.LABEL_REPEATED if is_repeated else OPTIONAL
    if shape.type_name:
        field.type_name = shape.type_name
    field.options.Extensions[csi_pb2.csi_secret] = is_secret


def add_map(message: DescriptorProto, name: str, key: Shape, value: Shape) -> None:
    entry = message.nested_type.add(name=f"{name.title()}Entry")
    entry.options.map_entry = True
    add_field(entry, "key", key)
    add_field(entry, "value", value)
    shape = Shape(MESSAGE, f".redaction_test.{message.name}.{entry.name}")
    add_field(message, name, shape, is_repeated=True)


@pytest.fixture(scope="module")
def outer_type() -> type[Message]:
    """A message with secrets of every shape, in every place."""
    file = FileDescriptorProto(
        name="redaction_test.proto",
        package="redaction_test",
        syntax="proto3",
        dependency=[csi_pb2.DESCRIPTOR.name],
    )
    inner = file.message_type.add(name="Inner")
    add_field(inner, "text", TEXT, is_secret=True)
    add_field(inner, "texts", TEXT, is_secret=True, is_repeated=True)
    add_field(inner, "data", Shape(FieldDescriptorProto.TYPE_BYTES), is_secret=True)
    add_field(inner, "plain", TEXT)
    of_inner = Shape(MESSAGE, ".redaction_test.Inner")
    outer = file.message_type.add(name="Outer")
    add_field(outer, "one", of_inner)
    add_field(outer, "many", of_inner, is_repeated=True)
    add_field(outer, "whole", of_inner, is_secret=True)
    add_map(outer, "names", TEXT, of_inner)
    add_map(outer, "numbers", Shape(FieldDescriptorProto.TYPE_INT32), TEXT)
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return GetMessageClass(pool.FindMessageTypeByName("redaction_test.Outer"))


def fill(inner: Any) -> None:  # noqa: ANN401 - a type that is made at run time
    inner.text = CANARY
    inner.texts.append(CANARY)
    inner.data = CANARY.encode()
    inner.plain = "to be seen"


def test_render_finds_secrets_at_any_depth_and_in_maps(outer_type: type[Message]) -> None:
    """rules.md C4."""
    message: Any = outer_type()
    for inner in (message.one, message.many.add(), message.whole, message.names["n"]):
        fill(inner)
    message.numbers[7] = "seven"
    assert str(message).count(CANARY) == 12
    text = render(message)
    assert CANARY not in text
    assert text.count("to be seen") == 3
    assert '"seven"' in text
