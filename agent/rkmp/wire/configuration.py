"""The Configuration payload (RFC 7296 3.15). RKMP has no use for it; peers may still send one."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from rkmp.wire.octets import Reader
from rkmp.wire.payload import Payload
from rkmp.wire.registries import CONFIGURATION_TYPES, PayloadType

_CONFIGURATION = struct.Struct(">B3x")
_ATTRIBUTE = struct.Struct(">HH")

# RFC 7296 3.15.1: the first bit is reserved.
_ATTRIBUTE_TYPE = 0x7FFF


@dataclass(frozen=True, slots=True)
class ConfigurationAttribute:
    """A 15-bit type and a value of that type's own form, which may be empty."""

    attribute_type: int
    value: bytes = b""

    def to_bytes(self) -> bytes:
        if self.attribute_type > _ATTRIBUTE_TYPE:
            raise ValueError(f"attribute type {self.attribute_type} does not fit 15 bits")
        return _ATTRIBUTE.pack(self.attribute_type, len(self.value)) + self.value


@dataclass(frozen=True, slots=True)
class Configuration(Payload):
    """CP: a request, reply, set or acknowledgement of attributes."""

    payload_type: ClassVar[PayloadType] = PayloadType.CP

    configuration_type: int
    attributes: tuple[ConfigurationAttribute, ...] = ()

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        (configuration_type,) = reader.unpack(_CONFIGURATION)
        attributes: list[ConfigurationAttribute] = []
        while reader.remaining:
            attribute_type, length = reader.unpack(_ATTRIBUTE)
            attributes.append(ConfigurationAttribute(attribute_type & _ATTRIBUTE_TYPE, reader.take(length)))
        return cls(CONFIGURATION_TYPES.get(configuration_type, configuration_type), tuple(attributes))

    def to_bytes(self) -> bytes:
        attributes = b"".join([attribute.to_bytes() for attribute in self.attributes])
        return _CONFIGURATION.pack(self.configuration_type) + attributes
