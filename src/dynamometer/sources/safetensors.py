"""Folders with safetensors weights: complete or not, how large, which architecture.

Format: github.com/huggingface/safetensors#format — eight bytes with the length of a JSON header, the header, the data.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

MAX_HEADER_BYTES = 100_000_000


def check(folder: Path) -> int:
    """Bytes of the weights in ``folder``. Raises ValueError with the reason when it holds no whole model."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ValueError("no GGUF files and no safetensors in this folder" if any(folder.iterdir()) else "empty folder")
    if not (folder / "config.json").is_file():
        raise ValueError("safetensors without config.json")
    _read_json(folder / "config.json")
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        named = set(_read_json(index).get("weight_map", {}).values())
        if gone := sorted(named - {file.name for file in files}):
            raise ValueError(f"incomplete: {', '.join(gone[:3])} of {len(named)} files missing")
    return sum(_checked_size(file) for file in files)


def architecture(folder: Path) -> str | None:
    """``model_type`` of config.json; None when it has none."""
    model_type = _read_json(folder / "config.json").get("model_type")
    return model_type if isinstance(model_type, str) else None


def _checked_size(file: Path) -> int:
    size = file.stat().st_size
    with file.open("rb") as stream:
        prefix = stream.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else size
        if length > min(size - 8, MAX_HEADER_BYTES):
            raise ValueError(f"{file.name}: cut short or damaged: no room for its header")
        try:
            entries = json.loads(stream.read(length))
            needed = (
                8 + length + max((e["data_offsets"][1] for k, e in entries.items() if k != "__metadata__"), default=0)
            )
        except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
            raise ValueError(f"{file.name}: damaged header") from error
    if needed > size:
        raise ValueError(f"{file.name}: cut short: {size:,} of {needed:,} bytes are there")
    return size


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path.name} is not JSON") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path.name} holds no mapping")
    return value
