"""The header of a GGUF file: what the model is, and whether the file is as long as its tensor table says.

Format: github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little endian. Every count and length is
compared with what is left of the file before anything is read, so a hostile header is refused at once. Values of large
arrays (vocabularies) are passed over, not kept.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import BinaryIO

MAGIC = b"GGUF"
MAX_HEADER_BYTES = 1 << 30
MAX_KEYS = 1 << 16
MAX_TENSORS = 1 << 20

TENSOR_TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 40),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36),
    41: ("Q1_0", 128, 18),
}
"""Number in the file -> name, elements in a block, bytes of a block."""

FILE_TYPES: dict[int, str] = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    19: "IQ2_XXS",
    20: "IQ2_XS",
    21: "Q2_K_S",
    22: "IQ3_XS",
    23: "IQ3_XXS",
    24: "IQ1_S",
    25: "IQ4_NL",
    26: "IQ3_S",
    27: "IQ3_M",
    28: "IQ2_S",
    29: "IQ2_M",
    30: "IQ4_XS",
    31: "IQ1_M",
    32: "BF16",
    36: "TQ1_0",
    37: "TQ2_0",
    38: "MXFP4",
    39: "NVFP4",
    40: "Q1_0",
}
"""``general.file_type`` -> quantisation."""

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9

Scalar = str | int | float | bool


class GgufError(ValueError):
    """The file is not a whole GGUF file; the message says why, without the file's name."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One entry of the tensor table."""

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int

    @property
    def type_name(self) -> str:
        """Name of its type, or ``type N`` for one that is newer than our table."""
        return TENSOR_TYPES[self.type][0] if self.type in TENSOR_TYPES else f"type {self.type}"

    @property
    def elements(self) -> int:
        """Number of weights."""
        return prod(self.shape)

    @property
    def size_bytes(self) -> int | None:
        """Bytes of its data; None for a type we do not know."""
        if self.type not in TENSOR_TYPES:
            return None
        _, block, block_bytes = TENSOR_TYPES[self.type]
        return -(-self.elements // block) * block_bytes


@dataclass(frozen=True)
class Header:
    """What a GGUF file says of itself."""

    version: int
    metadata: Mapping[str, Scalar]
    """Keys with scalar values."""
    tensors: tuple[Tensor, ...]
    data_offset: int
    """Where tensor data begins."""

    @property
    def architecture(self) -> str | None:
        """Family of the model, e.g. ``llama``."""
        return self._text("general.architecture")

    @property
    def name(self) -> str | None:
        """Name its maker gave it."""
        return self._text("general.name")

    @property
    def quant(self) -> str | None:
        """Quantisation by ``general.file_type``."""
        number = self.metadata.get("general.file_type")
        return FILE_TYPES.get(number) if isinstance(number, int) else None

    @property
    def context_length(self) -> int | None:
        """Tokens of context it was trained for."""
        length = self.metadata.get(f"{self.architecture}.context_length")
        return length if isinstance(length, int) else None

    @property
    def has_chat_template(self) -> bool:
        """Whether it brings its own chat template."""
        return "tokenizer.chat_template" in self.metadata

    @property
    def is_projector(self) -> bool:
        """Whether it is the vision or audio part of another model (mmproj), not a language model."""
        return self.architecture == "clip" or self.metadata.get("general.type") == "mmproj"

    @cached_property
    def tensor_types(self) -> dict[str, int]:
        """Tensor type -> number of tensors: what the label of a quantisation hides."""
        return dict(Counter(tensor.type_name for tensor in self.tensors).most_common())

    @cached_property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(tensor.elements for tensor in self.tensors)

    @cached_property
    def needed_bytes(self) -> int:
        """Bytes the file must have to hold all tensor data."""
        return max((self.data_offset + each.offset + (each.size_bytes or 0) for each in self.tensors), default=0)

    def _text(self, key: str) -> str | None:
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None


def read_header(path: Path) -> Header:
    """The header of ``path``. Raises GgufError when the file is no GGUF or is cut short, OSError when unreadable."""
    size = path.stat().st_size
    with path.open("rb", buffering=1 << 20) as stream:
        header = _Reader(stream, size).header()
    if header.needed_bytes > size:
        gap = header.needed_bytes - size
        raise GgufError(f"cut short: {size:,} of {header.needed_bytes:,} bytes are there, {gap:,} are missing")
    return header


class _Reader:
    """Reads forward through a header and never asks for more than the file has."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._size = size
        self._position = 0

    def header(self) -> Header:
        version = self._preamble()
        tensor_count = self._count("tensors", least_bytes=24, limit=MAX_TENSORS)
        key_count = self._count("keys", least_bytes=13, limit=MAX_KEYS)
        metadata: dict[str, Scalar] = {}
        for _ in range(key_count):
            key = self._string()
            value = self._value(self._number("I"))
            if value is not None:
                metadata[key] = value
        tensors = tuple(self._tensor() for _ in range(tensor_count))
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1) or alignment > 1 << 20:
            raise GgufError(f"damaged: alignment {alignment!r} is not a power of two")
        return Header(version, metadata, tensors, -(-self._position // alignment) * alignment)

    def _preamble(self) -> int:
        if self._size == 0:
            raise GgufError("empty file")
        if self._size < len(MAGIC) or self._bytes(len(MAGIC)) != MAGIC:
            raise GgufError("not a GGUF file: it does not begin with 'GGUF'")
        version = self._number("I")
        if version in {2, 3}:
            return version
        if version & 0xFFFF == 0:
            raise GgufError("a big-endian GGUF file; engines on this machine need little-endian ones")
        raise GgufError(f"GGUF version {version}; versions 2 and 3 are known")

    def _bytes(self, count: int) -> bytes:
        if count > self._size - self._position:
            raise GgufError(f"cut short: the file ends inside its header, at {self._size:,} bytes")
        self._advance(count)
        return self._stream.read(count)

    def _skip(self, count: int) -> None:
        if count > self._size - self._position:
            raise GgufError(f"cut short: the file ends inside its header, at {self._size:,} bytes")
        self._advance(count)
        self._stream.seek(count, 1)

    def _advance(self, count: int) -> None:
        self._position += count
        if self._position > MAX_HEADER_BYTES:
            raise GgufError(f"damaged: the header is larger than {MAX_HEADER_BYTES:,} bytes")

    def _number(self, code: str) -> int:
        layout = struct.Struct("<" + code)
        number: int = layout.unpack(self._bytes(layout.size))[0]
        return number

    def _count(self, what: str, least_bytes: int, limit: int = MAX_HEADER_BYTES) -> int:
        count = self._number("Q")
        if count > limit:
            raise GgufError(f"damaged: its header speaks of {count:,} {what}")
        if count * least_bytes > self._size - self._position:
            raise GgufError(f"cut short: no room for {count:,} {what} in a file of {self._size:,} bytes")
        return count

    def _string(self) -> str:
        return self._bytes(self._count("bytes of text", least_bytes=1)).decode("utf-8", errors="replace")

    def _value(self, kind: int) -> Scalar | None:
        """A scalar; None for an array, which is passed over."""
        if kind == _STRING:
            return self._string()
        if kind in _SCALARS:
            layout = struct.Struct("<" + _SCALARS[kind])
            scalar: int | float | bool = layout.unpack(self._bytes(layout.size))[0]
            return scalar
        if kind == _ARRAY:
            self._skip_array()
            return None
        raise GgufError(f"damaged: value of unknown type {kind}")

    def _skip_array(self) -> None:
        kind = self._number("I")
        if kind == _STRING:
            for _ in range(self._count("texts", least_bytes=8)):
                self._skip(self._count("bytes of text", least_bytes=1))
        elif kind in _SCALARS:
            width = struct.calcsize("<" + _SCALARS[kind])
            self._skip(self._count("numbers", least_bytes=width) * width)
        else:
            raise GgufError(f"damaged: array of unknown type {kind}")

    def _tensor(self) -> Tensor:
        name = self._string()
        dimensions = self._number("I")
        if not 1 <= dimensions <= 4:
            raise GgufError(f"damaged: tensor {name[:64]!r} has {dimensions} dimensions")
        shape = tuple(self._number("Q") for _ in range(dimensions))
        return Tensor(name, shape, type=self._number("I"), offset=self._number("Q"))
