"""Random requests that are valid protobuf: plausible ones, hostile ones, and all between.

A request is a function of a seed and of what is known of the driver's state: Hypothesis draws (and
shrinks) lists of seeds, and making a message stays cheap enough for ten thousand of them.  What a
field holds follows from the message's descriptor and the field's name, so that a field or a method
that is new in csi.proto is covered without a change here.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import grpc
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from csi_zfs.domain.sizes import MIB, TIB
from csi_zfs.rpc.generated import csi_pb2
from csi_zfs.rpc.requests.node import EPHEMERAL_KEY
from tests.property import hostile_texts
from tests.support.csi_messages import block_capability, mount_capability
from tests.support.direct_driver import METHODS

T = TypeVar("T")

EXPECTED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNAVAILABLE,  # an id of a pool that is elsewhere
    grpc.StatusCode.DATA_LOSS,  # a block volume without a file system, asked for as one
}
# Answered with UNIMPLEMENTED by gRPC itself: the driver does not serve them.
NOT_SERVED = {"ControllerPublishVolume", "ControllerUnpublishVolume"}
# The calls without which there is nothing that others could be about.
_MAKING = ("CreateVolume", "CreateSnapshot", "NodeStageVolume", "NodePublishVolume") * 2
# How often a field holds something that it should not, in one request after another.
_HOSTILITIES = (0.0, 0.0, 0.05, 0.2, 0.5)
_PRESENCES = (1.0, 1.0, 0.8)
_NAMES = ("pvc-1", "pvc-2", "pvc-3", "ä 1", "x" * 128)
_FS_TYPES = ("", "", "ext4", "xfs")
_FLAGS = ("ro", "noatime", "discard", "nosuid")
_SIZES = (0, 0, MIB, 16 * MIB, 300 * MIB, 1024 * MIB)
_HOSTILE_NUMBERS = (-1, 1, 2**31 - 1, 2**31, 2**62, 2**63 - 1, -(2**63), TIB)
_PARAMETERS = {
    "pool": ("*", "pool-1"),
    "provisioning": ("thin", "thick"),
    "size": ("16Mi", "1Gi", "1e9"),
    "compression": ("lz4", "off"),
    "csi.storage.k8s.io/pvc/name": ("claim",),
}
_KEYS = {"mutable_parameters": ["compression"]}
# Fields that most requests leave out, and with which few succeed.
_RARE = {"volume_content_source", "accessibility_requirements", "accessible_topology"}
_RARE |= {"limit_bytes", "parameters", "csi.v1.CreateVolumeRequest.mutable_parameters"}
_RARITY = 0.2
_CAPABILITY = "csi.v1.VolumeCapability"
_INT32 = (2**31 - 1, -(2**31))


@dataclass
class Known:
    """What a request may speak of: ids that exist or have existed, and paths below the root.

    Ids with the word `secret` in them stay unknown.
    """

    root: Path
    secret: str
    volume_ids: list[str] = field(default_factory=list)
    snapshot_ids: list[str] = field(default_factory=list)
    group_snapshot_ids: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def learn(self, answer: Message) -> None:
        """Remember the ids of an answer, the newest ones only, so that most still exist."""
        for descriptor, value in answer.ListFields():
            ids = self._of_field(descriptor.name)
            if isinstance(value, Message):
                self.learn(value)
            elif descriptor.message_type and not descriptor.message_type.GetOptions().map_entry:
                for item in value:
                    self.learn(item)
            elif ids is not None and value not in ids and self.secret not in value:
                ids.append(value)
                del ids[:-6]

    def _of_field(self, name: str) -> list[str] | None:
        return {
            "volume_id": self.volume_ids,
            "snapshot_id": self.snapshot_ids,
            "group_snapshot_id": self.group_snapshot_ids,
            "next_token": self.tokens,
        }.get(name)


class RequestMaker:
    """Makes one request."""

    def __init__(self, seed: int, known: Known) -> None:
        """The same seed and the same knowledge give the same request."""
        self._random = random.Random(seed)
        self._known = known
        self._hostility = self._random.choice(_HOSTILITIES)
        self._presence = self._random.choice(_PRESENCES)
        self._texts: dict[str, Callable[[], str]] = {
            "name": lambda: self._one_of(_NAMES),
            "fs_type": lambda: self._one_of(_FS_TYPES),
            "mount_flags": lambda: self._one_of(_FLAGS),
            "volume_mount_group": str,
            "starting_token": lambda: self._one_of(["", *known.tokens]),
            "volume_id": self._volume_id,
            "source_volume_id": self._volume_id,
            "source_volume_ids": self._volume_id,
            "snapshot_id": lambda: self._one_of(known.snapshot_ids or [""]),
            "snapshot_ids": lambda: self._one_of(known.snapshot_ids or [""]),
            "group_snapshot_id": lambda: self._one_of(known.group_snapshot_ids or [""]),
        }

    def request(self) -> tuple[str, Message]:
        """The name of a method, and a message for it."""
        method = self._one_of([*METHODS, *_MAKING])
        return method, self._message(METHODS[method].input_type)

    def _message(self, descriptor: Descriptor) -> Message:
        message = GetMessageClass(descriptor)()
        if descriptor.full_name == _CAPABILITY and not self._is_hostile():
            return self._capability()
        for one in descriptor.fields:
            if one.containing_oneof is None:
                self._fill(message, one)
        for choice in descriptor.oneofs:
            self._fill(message, self._one_of(choice.fields))
        return message

    def _capability(self) -> Message:
        modes = csi_pb2.VolumeCapability.AccessMode
        mode = self._one_of([modes.SINGLE_NODE_WRITER, modes.SINGLE_NODE_MULTI_WRITER])
        if self._random.random() < 0.25:
            return block_capability(mode=mode)
        return mount_capability(self._one_of(_FS_TYPES), mode=mode)

    def _fill(self, message: Message, one: FieldDescriptor) -> None:
        is_rare = one.name in _RARE or one.full_name in _RARE
        if self._random.random() > (_RARITY if is_rare else self._presence):
            return
        if one.message_type and one.message_type.GetOptions().map_entry:
            self._fill_map(message, one)
        elif one.is_repeated:
            values = [self._value(one) for _ in range(self._random.choice((1, 1, 2, 3)))]
            getattr(message, one.name).extend(values)
        elif one.message_type:
            getattr(message, one.name).SetInParent()
            getattr(message, one.name).CopyFrom(self._message(one.message_type))
        else:
            setattr(message, one.name, self._value(one))

    def _fill_map(self, message: Message, one: FieldDescriptor) -> None:
        for _ in range(self._random.choice((0, 1, 1, 2))):
            key = self._one_of(_KEYS.get(one.name, list(_PARAMETERS)))
            value = self._one_of(_PARAMETERS[key])
            if self._is_hostile():
                key, value = self._one_of([(self._hostile(), value), (key, self._hostile())])
            getattr(message, one.name)[key] = value
        if one.name == "volume_context" and self._random.random() < 0.2:
            getattr(message, one.name)[EPHEMERAL_KEY] = "true"

    def _value(self, one: FieldDescriptor) -> object:
        if one.message_type:
            return self._message(one.message_type)
        if one.enum_type:
            hostile = self._random.randint(_INT32[1], _INT32[0])
            valid = self._one_of([value.number for value in one.enum_type.values])
            return hostile if self._is_hostile() else valid
        if one.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            return self._text(one)
        if one.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            return self._random.random() < 0.5
        return self._number(one)

    def _number(self, one: FieldDescriptor) -> int:
        number = self._one_of(_HOSTILE_NUMBERS if self._is_hostile() else _SIZES)
        is_narrow = one.cpp_type == FieldDescriptor.CPPTYPE_INT32
        return max(_INT32[1], min(_INT32[0], number)) if is_narrow else number

    def _text(self, one: FieldDescriptor) -> str:
        if one.name.endswith("_path"):
            return self._path(one.name)
        make = self._texts.get(one.name)
        if make is None or self._is_hostile():
            return self._hostile()
        return make()

    def _volume_id(self) -> str:
        return self._one_of([*self._known.volume_ids, hostile_texts.EPHEMERAL_ID])

    def _path(self, field_name: str) -> str:
        """Staging paths and targets in two places each, so that volumes meet at them."""
        if self._is_hostile():
            return self._one_of([*hostile_texts.paths(self._known.root), self._hostile()])
        kind = "staging" if "staging" in field_name else "pods"
        return f"{self._known.root}/{kind}/{self._random.randint(1, 2)}/mount"

    def _hostile(self) -> str:
        ids = [*self._known.volume_ids, *self._known.snapshot_ids, *self._known.group_snapshot_ids]
        mutated = [hostile_texts.mutated(self._one_of(ids), self._random)] if ids else []
        return self._one_of([*hostile_texts.TEXTS, *ids, *mutated * 5])

    def _is_hostile(self) -> bool:
        return self._random.random() < self._hostility

    def _one_of(self, items: Sequence[T]) -> T:
        return self._random.choice(items)
