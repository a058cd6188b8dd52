"""A tiny random llama model: real to every engine that reads GGUF, 0.6 MB, made in 0.3 s, nonsense inside."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

WIDTH, HIDDEN, LAYERS, CONTEXT = 64, 256, 2, 2048
WORDS = ("Ġthe", "Ġhello", "Ġworld", "Ġfox")
CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CHATML = (
    "{% for m in messages %}<|im_start|>{{m['role']}}\n{{m['content']}}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make(path: Path, *, seed: int = 0, chat_template: bool = True, heads: int = 2) -> Path:
    """Write the model to ``path``. With 4 heads a head is 16 wide, which quantised caches do not divide."""
    tokens, merges = _vocabulary()
    writer = gguf.GGUFWriter(str(path), "llama")
    _describe(writer, len(tokens) + len(CONTROL), heads)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*tokens, *CONTROL])
    writer.add_token_types([gguf.TokenType.NORMAL] * len(tokens) + [gguf.TokenType.CONTROL] * len(CONTROL))
    writer.add_token_merges(merges)
    writer.add_pad_token_id(len(tokens))
    writer.add_bos_token_id(len(tokens) + 1)
    writer.add_eos_token_id(len(tokens) + 2)
    writer.add_add_bos_token(False)
    if chat_template:
        writer.add_chat_template(CHATML)
    for name, weights in _tensors(len(tokens) + len(CONTROL), seed):
        writer.add_tensor(name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _describe(writer: gguf.GGUFWriter, vocabulary: int, heads: int) -> None:
    writer.add_name("tiny-random-llama")
    writer.add_license("MIT")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads // 2)
    writer.add_key_length(WIDTH // heads)
    writer.add_value_length(WIDTH // heads)
    writer.add_rope_dimension_count(WIDTH // heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(vocabulary)
    writer.add_rope_freq_base(10000.0)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)


def _vocabulary() -> tuple[list[str], list[str]]:
    """The 256 byte tokens of GPT-2 and what merges of the words need."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    shifted = {byte: 256 + n for n, byte in enumerate(b for b in range(256) if b not in printable)}
    tokens = [chr(shifted.get(byte, byte)) for byte in range(256)]
    merges: list[str] = []
    for word in WORDS:
        for end in range(1, len(word)):
            merge = f"{word[:end]} {word[end]}"
            if merge not in merges:
                merges.append(merge)
                tokens.append(word[: end + 1])
    return list(dict.fromkeys(tokens)), merges


def _tensors(vocabulary: int, seed: int) -> list[tuple[str, NDArray[np.float32]]]:
    rng = np.random.default_rng(seed)

    def noise(*shape: int) -> NDArray[np.float32]:
        return (rng.standard_normal(shape) * 0.05).astype(np.float32)

    ones = np.ones(WIDTH, np.float32)
    attention, cache = WIDTH, WIDTH // 2
    tensors = [
        ("token_embd.weight", noise(vocabulary, WIDTH)),
        ("output_norm.weight", ones),
        ("output.weight", noise(vocabulary, WIDTH)),
    ]
    for layer in range(LAYERS):
        tensors += [
            (f"blk.{layer}.{name}.weight", weights)
            for name, weights in (
                ("attn_norm", ones),
                ("attn_q", noise(attention, WIDTH)),
                ("attn_k", noise(cache, WIDTH)),
                ("attn_v", noise(cache, WIDTH)),
                ("attn_output", noise(WIDTH, attention)),
                ("ffn_norm", ones),
                ("ffn_gate", noise(HIDDEN, WIDTH)),
                ("ffn_up", noise(HIDDEN, WIDTH)),
                ("ffn_down", noise(WIDTH, HIDDEN)),
            )
        ]
    return tensors
