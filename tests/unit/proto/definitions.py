"""What csi.proto defines, as flat paths and values by which two such files can be compared."""

import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

CSI_PROTO = "csi.proto"

# The order of these elements means nothing, so a name tells them apart.  All others are told
# apart by position: a field refers to its oneof by index, for example.
_ELEMENTS_WITH_NAMES = frozenset(
    {
        "enum_type",
        "extension",
        "field",
        "message_type",
        "method",
        "nested_type",
        "service",
        "value",
    }
)


def load_definitions(folder: Path) -> dict[str, object]:
    """Compile the csi.proto in `folder` and return everything it defines, by path."""
    compiled = FileDescriptorSet.FromString(_compile(folder))
    # Options are extensions that the file itself declares.  Only classes from a pool that holds
    # the file read them as named values: to any other class they are unknown fields.
    pool = DescriptorPool()
    for file in compiled.file:
        pool.AddSerializedFile(file.SerializeToString())
    file_class = GetMessageClass(pool.FindMessageTypeByName("google.protobuf.FileDescriptorProto"))
    csi = next(file for file in compiled.file if file.name == CSI_PROTO)
    return dict(_flatten(file_class.FromString(csi.SerializeToString())))


def differences(expected: Mapping[str, object], found: Mapping[str, object]) -> list[str]:
    """Describe each definition that the two sides do not share, ordered by path."""
    return [
        f"{path}: expected {expected.get(path, 'nothing')}, found {found.get(path, 'nothing')}"
        for path in sorted(expected.keys() | found.keys())
        if expected.get(path) != found.get(path)
    ]


def _compile(folder: Path) -> bytes:
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", "--include_imports"]
    output = subprocess.run(
        [*command, "--descriptor_set_out=/dev/stdout", CSI_PROTO],
        check=True,
        stdout=subprocess.PIPE,
    )
    return output.stdout


def _flatten(message: Message, prefix: str = "") -> Iterator[tuple[str, object]]:
    for field, value in message.ListFields():
        path = prefix + (f"({field.full_name})" if field.is_extension else field.name)
        if not field.is_repeated:
            yield from _flatten_value(field, value, path)
            continue
        for key, item in _keyed(field, value):
            yield from _flatten_value(field, item, f"{path}[{key}]")


def _flatten_value(
    field: FieldDescriptor, value: object, path: str
) -> Iterator[tuple[str, object]]:
    if isinstance(value, Message):
        yield from _flatten(value, f"{path}.")
    elif field.enum_type is not None and isinstance(value, int):
        yield path, field.enum_type.values_by_number[value].name
    else:
        yield path, value


def _keyed(field: FieldDescriptor, values: Iterable[Any]) -> Iterator[tuple[object, Any]]:
    for position, value in enumerate(values):
        yield (value.name if field.name in _ELEMENTS_WITH_NAMES else position), value
