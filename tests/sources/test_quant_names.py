from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamometer.sources.quants import QUANTS, Shard, is_projector, quant_of, shard_of


@pytest.mark.parametrize(
    ("name", "quant"),
    [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1"),
        ("Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf", "Q4_K_M"),
        ("Meta-Llama-3.1-8B-Instruct-IQ4_XS.gguf", "IQ4_XS"),
        ("Qwen3-8B-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("Qwen3-8B-Q4_K_XL.gguf", "Q4_K_XL"),
        ("Qwen3-8B-ud-iq1_s.gguf", "UD-IQ1_S"),
        ("Phi-3-IQ4_NL.gguf", "IQ4_NL"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("model-f16.gguf", "F16"),
        ("model.BF16.gguf", "BF16"),
        ("model_Q8_0.gguf", "Q8_0"),
        ("F32.gguf", "F32"),
        ("Llama-Q5_K_M-00001-of-00003.gguf", "Q5_K_M"),
        ("Llama-Q4_0_4_8.gguf", "Q4_0_4_8"),
        ("Q4_0-of-the-West-Q8_0.gguf", "Q8_0"),
        ("sub/Model-TQ1_0.gguf", "TQ1_0"),
        ("model.gguf", None),
        ("ModelQ8_0.gguf", None),
        ("Model-Q8_01.gguf", None),
        ("Model-XQ4_0.gguf", None),
    ],
)
def test_file_names_tell_exact_quants(name: str, quant: str | None) -> None:
    assert quant_of(name) == quant


@given(st.sampled_from(QUANTS), st.booleans(), st.sampled_from("-._"))
def test_every_known_name_is_read_back_whole(name: str, dynamic: bool, separator: str) -> None:
    wanted = f"UD-{name}" if dynamic else name
    assert quant_of(f"Model-7B{separator}{wanted}.gguf") == wanted


def test_parts_of_split_files() -> None:
    assert shard_of("M-Q4_0-00002-of-00003.gguf") == Shard("M-Q4_0", 2, 3)
    assert shard_of("M-Q4_0.gguf") is None


def test_projectors_are_known_by_name() -> None:
    assert is_projector("mmproj-model-f16.gguf")
    assert is_projector("Model-MMPROJ-F16.gguf")
    assert not is_projector("model-f16.gguf")
