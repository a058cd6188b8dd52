"""Names of quantisations, and how file names carry them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath

QUANTS: tuple[str, ...] = (
    *("F32", "F16", "BF16", "FP16", "FP8", "MXFP4", "MXFP4_MOE", "NVFP4"),
    *("Q1_0", "Q2_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q8_1"),
    *("Q4_0_4_4", "Q4_0_4_8", "Q4_0_8_8"),
    *("Q2_K", "Q2_K_S", "Q2_K_M", "Q2_K_L", "Q2_K_XL"),
    *("Q3_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q3_K_XL"),
    *("Q4_K", "Q4_K_S", "Q4_K_M", "Q4_K_L", "Q4_K_XL"),
    *("Q5_K", "Q5_K_S", "Q5_K_M", "Q5_K_L", "Q5_K_XL"),
    *("Q6_K", "Q6_K_S", "Q6_K_M", "Q6_K_L", "Q6_K_XL"),
    *("Q8_K", "Q8_K_L", "Q8_K_XL"),
    *("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ3_XXS", "IQ3_XS", "IQ3_S", "IQ3_M"),
    *("IQ4_NL", "IQ4_XS", "IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8", "IQ4_NL_XL"),
    *("TQ1_0", "TQ2_0"),
)
"""Exact names; any of them may begin with UD- (Unsloth dynamic), which makes it another variant."""

_NAMES = "|".join(sorted(map(re.escape, QUANTS), key=len, reverse=True))
_QUANT = re.compile(rf"(?<![A-Za-z0-9])(?:UD-)?(?:{_NAMES})(?![A-Za-z0-9_])", re.IGNORECASE)
_SHARD = re.compile(r"^(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})$")


@dataclass(frozen=True, slots=True)
class Shard:
    """Which part of a split file a name stands for; numbers count from 1."""

    stem: str
    number: int
    count: int


def quant_of(file_name: str) -> str | None:
    """The quantisation that a file name tells: ``Model-UD-Q4_K_XL.gguf`` -> ``UD-Q4_K_XL``; None if it tells none.

    Only whole known names count, so ``IQ4_XS`` is never read as something with Q4 in it. The last name in the file
    name decides.
    """
    found = [match[0] for match in _QUANT.finditer(PurePath(file_name).name.removesuffix(".gguf"))]
    return found[-1].upper() if found else None


def shard_of(file_name: str) -> Shard | None:
    """Which part a name like ``Model-00001-of-00003.gguf`` stands for; None for a file that is not split."""
    match = _SHARD.match(PurePath(file_name).stem)
    return Shard(match["stem"], int(match["number"]), int(match["count"])) if match else None


def is_projector(file_name: str) -> bool:
    """Whether the name is that of a vision or audio projector, which is no model by itself."""
    return "mmproj" in PurePath(file_name).name.lower()
