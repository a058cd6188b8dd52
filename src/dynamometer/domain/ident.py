"""Identity: one digest function for plans and for results, and names that are safe as file names."""

from __future__ import annotations

import hashlib
import json
import re

IDENTITY_VERSION = 1
"""Version of the rules below. A change of rules changes every id, so that old results are never mistaken."""


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
"""Made once: plans digest a hundred thousand experiments."""


def canonical_json(value: object) -> str:
    """JSON with sorted keys, no spaces and no NaN: one text for one value."""
    return _ENCODER.encode(value)


def digest(value: object, length: int = 12) -> str:
    """The first ``length`` hex digits of the SHA-256 of the canonical JSON of ``value`` and the rules' version."""
    text = canonical_json([IDENTITY_VERSION, value])
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def text_hash(text: str | bytes) -> str:
    """SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def slug(text: str, limit: int = 48) -> str:
    """``text`` as one safe path part: letters, digits, dot, dash, underscore; never empty, never hidden."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:limit].strip("-.")
    return safe or "campaign"
