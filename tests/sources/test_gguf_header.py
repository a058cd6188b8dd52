from __future__ import annotations

import struct
import time
from pathlib import Path

import gguf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dynamometer.sources.gguf import FILE_TYPES, TENSOR_TYPES, GgufError, Header, read_header


def test_a_header_tells_what_the_model_is(tiny_gguf: Path) -> None:
    header = read_header(tiny_gguf)
    assert header.architecture == "llama"
    assert header.name == "tiny-random-llama"
    assert header.quant == "F32"
    assert header.context_length == 2048
    assert header.has_chat_template
    assert not header.is_projector
    assert header.tensor_types == {"F32": 21}
    assert header.parameters * 4 == sum(tensor.size_bytes or 0 for tensor in header.tensors)


def test_it_agrees_with_the_reference_reader(tiny_gguf: Path) -> None:
    reference = gguf.GGUFReader(tiny_gguf)
    header = read_header(tiny_gguf)
    assert header.data_offset == reference.data_offset
    assert [(each.name, each.size_bytes) for each in header.tensors] == [
        (each.name, each.n_bytes) for each in reference.tensors
    ]
    assert header.needed_bytes <= tiny_gguf.stat().st_size < header.needed_bytes + 32


def test_tensor_types_are_those_of_the_reference() -> None:
    known = {int(kind): (kind.name, *sizes) for kind, sizes in gguf.GGML_QUANT_SIZES.items()}
    assert {number: known[number] for number in TENSOR_TYPES} == TENSOR_TYPES


def test_file_types_are_those_of_the_reference() -> None:
    known = {int(kind): kind.name.removeprefix("MOSTLY_").removeprefix("ALL_") for kind in gguf.LlamaFileType}
    assert {number: known[number].removesuffix("_MOE") for number in FILE_TYPES} == FILE_TYPES


def test_a_file_cut_at_any_boundary_is_found(tiny_gguf: Path, tmp_path: Path) -> None:
    whole = tiny_gguf.read_bytes()
    header = read_header(tiny_gguf)
    starts = [header.data_offset + tensor.offset for tensor in header.tensors]
    ends = [start + (tensor.size_bytes or 0) for start, tensor in zip(starts, header.tensors, strict=True)]
    boundaries = {0, 1, 3, 4, 8, 16, 24, header.data_offset - 40, header.data_offset, *starts, *ends}
    cuts = {cut + step for cut in boundaries for step in (-1, 0, 1) if 0 <= cut + step < header.needed_bytes}
    path = tmp_path / "cut.gguf"
    for cut in cuts:
        path.write_bytes(whole[:cut])
        with pytest.raises(GgufError, match=r"cut short|empty file|not a GGUF file"):
            read_header(path)


def test_a_file_cut_anywhere_in_its_header_is_found(tiny_gguf: Path, tmp_path: Path) -> None:
    whole = tiny_gguf.read_bytes()
    path = tmp_path / "cut.gguf"
    for cut in range(4, read_header(tiny_gguf).data_offset, 37):
        path.write_bytes(whole[:cut])
        with pytest.raises(GgufError, match="cut short"):
            read_header(path)


def test_the_message_says_how_much_is_missing(tiny_gguf: Path, tmp_path: Path) -> None:
    needed = read_header(tiny_gguf).needed_bytes
    path = tmp_path / "cut.gguf"
    path.write_bytes(tiny_gguf.read_bytes()[: needed - 1000])
    with pytest.raises(GgufError, match=rf"{needed - 1000:,} of {needed:,} bytes are there, 1,000 are missing"):
        read_header(path)


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def made(tensors: int = 0, keys: int = 0, body: bytes = b"", version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys) + body


HUGE = 2**63
U32, ARRAY, STRING = 4, 9, 8

HOSTILE = {
    "tensor count": made(tensors=HUGE),
    "tensor count within the limit": made(tensors=1 << 20),
    "key count": made(keys=HUGE),
    "key count within the limit": made(keys=1 << 16),
    "key length": made(keys=1, body=struct.pack("<Q", HUGE) + b"x" * 64),
    "text length": made(keys=1, body=text("a") + struct.pack("<IQ", STRING, HUGE) + b"x" * 64),
    "array length": made(keys=1, body=text("a") + struct.pack("<IIQ", ARRAY, U32, HUGE) + b"x" * 64),
    "array of texts": made(keys=1, body=text("a") + struct.pack("<IIQ", ARRAY, STRING, 1 << 29) + b"x" * 64),
    "array of arrays": made(keys=1, body=text("a") + struct.pack("<IIQ", ARRAY, ARRAY, 1) + b"x" * 64),
    "unknown value type": made(keys=1, body=text("a") + struct.pack("<I", 77) + b"x" * 64),
    "dimensions": made(tensors=1, body=text("t") + struct.pack("<I", 2**31) + b"x" * 64),
    "no dimensions": made(tensors=1, body=text("t") + struct.pack("<I", 0) + b"x" * 64),
    "shape": made(tensors=1, body=text("t") + struct.pack("<IQQIQ", 2, HUGE, HUGE, 0, 0)),
    "offset": made(tensors=1, body=text("t") + struct.pack("<IQIQ", 1, 1, 0, HUGE)),
    "unknown tensor type far away": made(tensors=1, body=text("t") + struct.pack("<IQIQ", 1, 1, 999, HUGE)),
    "alignment zero": made(keys=1, body=text("general.alignment") + struct.pack("<II", U32, 0) + b"x" * 64),
    "alignment text": made(keys=1, body=text("general.alignment") + struct.pack("<I", STRING) + text("32") + b"x" * 64),
    "version": made(version=99),
    "version 1": made(version=1),
    "big endian": b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
    "other magic": b"GGML" + b"\0" * 64,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers_are_refused_at_once(name: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.gguf"
    path.write_bytes(HOSTILE[name])
    began = time.process_time()
    with pytest.raises(GgufError):
        read_header(path)
    assert time.process_time() - began < 0.5


def test_a_huge_sparse_file_with_a_hostile_count_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "sparse.gguf"
    with path.open("wb") as stream:
        stream.write(made(keys=1, body=text("a") + struct.pack("<IIQ", ARRAY, U32, 1 << 35)))
        stream.truncate(1 << 40)
    with pytest.raises(GgufError, match="damaged"):
        read_header(path)


def test_big_endian_is_named(tmp_path: Path) -> None:
    path = tmp_path / "be.gguf"
    path.write_bytes(HOSTILE["big endian"])
    with pytest.raises(GgufError, match="big-endian"):
        read_header(path)


def test_a_type_newer_than_our_table_is_kept_by_number(tmp_path: Path) -> None:
    path = tmp_path / "new.gguf"
    path.write_bytes(made(tensors=1, body=text("t") + struct.pack("<IQIQ", 1, 1, 999, 0)) + b"\0" * 64)
    assert read_header(path).tensor_types == {"type 999": 1}


def read_or_none(path: Path) -> Header | None:
    """The header; None when it is refused the way it should be. Anything else goes through."""
    try:
        return read_header(path)
    except GgufError:
        return None


@settings(max_examples=150, deadline=20_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_to_a_header_is_read_or_refused_never_worse(
    data: st.DataObject, tiny_gguf: Path, tmp_path: Path
) -> None:
    damaged = bytearray(tiny_gguf.read_bytes())
    end = 8000
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, end))
        damaged[at : at + 8] = data.draw(st.binary(min_size=8, max_size=8))
    path = tmp_path / "damaged.gguf"
    path.write_bytes(damaged)
    header = read_or_none(path)
    assert header is None or header.needed_bytes <= len(damaged)


@settings(max_examples=200, deadline=20_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=400))
def test_random_bytes_are_refused_or_read(body: bytes, tmp_path: Path) -> None:
    path = tmp_path / "random.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<I", 3) + body)
    header = read_or_none(path)
    assert header is None or header.needed_bytes <= path.stat().st_size
