from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
from pathlib import Path

import pytest

from dynamometer.domain.experiment import Source, Weights
from dynamometer.errors import PreconditionError
from dynamometer.sources import discover, hashes, locate, model_facts
from dynamometer.sources.cache import default_cache


def put(model: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(model, target)
    return target


def weights(ref: str, file: str | None = None, source: Source = "path") -> Weights:
    return Weights(format="gguf", source=source, ref=ref, file=file)


def test_a_file_is_one_variant_under_the_path_as_written(tiny_gguf: Path, tmp_path: Path) -> None:
    put(tiny_gguf, tmp_path / "models" / "tiny-Q8_0.gguf")
    (variant,) = discover("models/tiny-Q8_0.gguf", tmp_path).variants
    assert (variant.ref, variant.file, variant.quant) == ("models/tiny-Q8_0.gguf", None, "Q8_0")
    assert variant.size_bytes == tiny_gguf.stat().st_size


def test_without_a_name_the_header_tells_the_quant(tiny_gguf: Path, tmp_path: Path) -> None:
    put(tiny_gguf, tmp_path / "model.gguf")
    assert discover("model.gguf", tmp_path).variants[0].quant == "F32"


def test_each_file_of_a_folder_is_a_variant_but_projectors_are_not(tiny_gguf: Path, tmp_path: Path) -> None:
    for name in ("m-Q8_0.gguf", "m-IQ4_XS.gguf", "mmproj-m-F16.gguf", "Q4_K_M/m.gguf"):
        put(tiny_gguf, tmp_path / "m" / name)
    offer = discover("m", tmp_path)
    assert {variant.quant: variant.file for variant in offer.variants} == {
        "Q8_0": "m-Q8_0.gguf",
        "IQ4_XS": "m-IQ4_XS.gguf",
        "Q4_K_M": "Q4_K_M/m.gguf",
    }
    assert offer.missing is None


def test_a_split_model_is_one_variant(tiny_gguf: Path, tmp_path: Path) -> None:
    for part in (1, 2, 3):
        put(tiny_gguf, tmp_path / f"m-Q4_0-0000{part}-of-00003.gguf")
    (variant,) = discover(".", tmp_path).variants
    assert (variant.file, variant.quant) == ("m-Q4_0-00001-of-00003.gguf", "Q4_0")
    assert variant.size_bytes == 3 * tiny_gguf.stat().st_size


def test_a_split_model_without_a_part_is_incomplete(tiny_gguf: Path, tmp_path: Path) -> None:
    for part in (1, 3):
        put(tiny_gguf, tmp_path / f"m-Q4_0-0000{part}-of-00003.gguf")
    missing = discover(".", tmp_path).missing or ""
    assert "m-Q4_0-00002-of-00003.gguf of 3 parts missing" in missing


def test_a_part_is_not_a_model(tiny_gguf: Path, tmp_path: Path) -> None:
    put(tiny_gguf, tmp_path / "m-Q4_0-00002-of-00003.gguf")
    assert "give the first part" in (discover("m-Q4_0-00002-of-00003.gguf", tmp_path).missing or "")


def test_a_file_cut_short_is_left_out_with_its_reason(tiny_gguf: Path, tmp_path: Path) -> None:
    put(tiny_gguf, tmp_path / "m-Q8_0.gguf")
    (tmp_path / "m-Q4_0.gguf").write_bytes(tiny_gguf.read_bytes()[:-1000])
    offer = discover(".", tmp_path)
    assert [variant.quant for variant in offer.variants] == ["Q8_0"]
    (skipped,) = offer.skipped
    assert skipped.startswith("m-Q4_0.gguf: cut short")
    assert "cut short" in (discover("m-Q4_0.gguf", tmp_path).missing or "")


def test_two_files_of_one_quant_are_ambiguous(tiny_gguf: Path, tmp_path: Path) -> None:
    put(tiny_gguf, tmp_path / "a-Q8_0.gguf")
    put(tiny_gguf, tmp_path / "b-Q8_0.gguf")
    offer = discover(".", tmp_path)
    assert offer.variants == ()
    assert "a-Q8_0.gguf, b-Q8_0.gguf" in (offer.missing or "")


def test_links_are_followed(tiny_gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "link-Q8_0.gguf").symlink_to(tiny_gguf)
    (variant,) = discover("link-Q8_0.gguf", tmp_path).variants
    assert variant.size_bytes == tiny_gguf.stat().st_size


def test_reasons(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "readme.md").touch()
    (tmp_path / "zero.gguf").touch()
    (tmp_path / "model.bin").write_bytes(b"x")
    (tmp_path / "mmproj-F16.gguf").write_bytes(b"x")
    (tmp_path / "dangling.gguf").symlink_to(tmp_path / "gone.gguf")
    (tmp_path / "loop.gguf").symlink_to(tmp_path / "loop.gguf")
    os.mkfifo(tmp_path / "pipe.gguf")
    expected = {
        "gone.gguf": "no such file or folder",
        "empty": "empty folder",
        "texts": "no GGUF files and no safetensors",
        "zero.gguf": "empty file",
        "model.bin": "not a .gguf file",
        "mmproj-F16.gguf": "projector",
        "dangling.gguf": "a link to",
        "loop.gguf": "",
        "pipe.gguf": "not a regular file",
        "nul\0byte.gguf": "no such file",
        "x" * 5000: "too long",
    }
    for ref, words in expected.items():
        offer = discover(ref, tmp_path)
        assert offer.variants == ()
        assert words in (offer.missing or ""), ref
        assert offer.missing


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file(tiny_gguf: Path, tmp_path: Path) -> None:
    put(tiny_gguf, tmp_path / "m.gguf").chmod(0)
    assert "permission denied" in (discover("m.gguf", tmp_path).missing or "")


def safetensors(path: Path, data: int = 64, claimed: int | None = None) -> Path:
    entry = {"dtype": "F32", "shape": [data // 4], "data_offsets": [0, data if claimed is None else claimed]}
    header = json.dumps({"__metadata__": {"format": "pt"}, "w": entry}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * data)
    return path


def config(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "llama"}')


def test_a_folder_with_safetensors_is_one_variant(tmp_path: Path) -> None:
    size = safetensors(tmp_path / "m" / "model.safetensors").stat().st_size
    config(tmp_path / "m")
    (variant,) = discover("m", tmp_path).variants
    assert (variant.format, variant.quant, variant.size_bytes) == ("safetensors", None, size)


def test_safetensors_that_cannot_be_loaded(tmp_path: Path) -> None:
    safetensors(tmp_path / "bare" / "model.safetensors")
    safetensors(tmp_path / "cut" / "model.safetensors", claimed=1000)
    config(tmp_path / "cut")
    safetensors(tmp_path / "split" / "model-1.safetensors")
    config(tmp_path / "split")
    (tmp_path / "split" / "model.safetensors.index.json").write_text('{"weight_map": {"w": "model-2.safetensors"}}')
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "model.safetensors").write_bytes(b"\xff" * 16)
    config(tmp_path / "odd")
    expected = {"bare": "without config.json", "cut": "cut short", "split": "model-2.safetensors", "odd": "no room"}
    for ref, words in expected.items():
        assert words in (discover(ref, tmp_path).missing or ""), ref


def test_locate_is_relative_to_the_campaign_file(tiny_gguf: Path, tmp_path: Path) -> None:
    put(tiny_gguf, tmp_path / "m" / "a-Q8_0.gguf")
    found = locate(weights("m", "a-Q8_0.gguf"), base=tmp_path, cache_dir=tmp_path)
    assert found == (tmp_path / "m" / "a-Q8_0.gguf").resolve()
    assert locate(weights(str(found)), base=Path("/"), cache_dir=tmp_path) == found


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (weights("gone.gguf"), "no weights at"),
        (weights("m"), "is a folder"),
        (weights("m", "../secret.gguf"), "lies outside"),
        (weights("org/repo", source="hub"), "not available yet"),
        (weights("llama3:8b", source="ollama"), "not available yet"),
        (weights("SmolLM2-135M-Instruct-Q4_1", source="demo"), "not in the cache"),
    ],
)
def test_locate_refuses(asked: Weights, message: str, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "secret.gguf").touch()
    with pytest.raises(PreconditionError, match=message) as caught:
        locate(asked, base=tmp_path, cache_dir=tmp_path)
    assert caught.value.hint or "outside" in message


def test_facts_of_a_model(tiny_gguf: Path, tmp_path: Path) -> None:
    facts = model_facts("tiny", tiny_gguf, weights(str(tiny_gguf)), cache_dir=tmp_path)
    assert facts.sha256 == hashlib.sha256(tiny_gguf.read_bytes()).hexdigest()
    assert facts.size_bytes == tiny_gguf.stat().st_size
    assert (facts.architecture, facts.quant, facts.tensor_types) == ("llama", "F32", {"F32": 21})


def test_facts_of_safetensors(tmp_path: Path) -> None:
    safetensors(tmp_path / "m" / "a.safetensors")
    safetensors(tmp_path / "m" / "b.safetensors")
    config(tmp_path / "m")
    facts = model_facts("m", tmp_path / "m", weights("m"), cache_dir=tmp_path / "cache")
    assert facts.architecture == "llama"
    assert facts.sha256 is not None
    assert len(facts.sha256) == 64


def test_facts_of_a_damaged_model_are_a_precondition(tiny_gguf: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny_gguf.read_bytes()[:1000])
    with pytest.raises(PreconditionError, match="cut short"):
        model_facts("m", cut, weights("cut.gguf"), cache_dir=tmp_path)


def test_a_cache_that_cannot_be_written_costs_no_run(tmp_path: Path, tiny_gguf: Path) -> None:
    blocked = tmp_path / "cache"
    blocked.write_text("a file where the cache should be")
    assert hashes.sha256_of([tiny_gguf], cache_dir=blocked) == hashlib.sha256(tiny_gguf.read_bytes()).hexdigest()
    assert [child.name for child in tmp_path.iterdir()] == ["cache"]


def test_a_hash_is_remembered_until_the_file_changes(tmp_path: Path) -> None:
    path, cache = tmp_path / "w.bin", tmp_path / "cache"
    path.write_bytes(b"one")
    first = hashes.sha256_of([path], cache_dir=cache)
    (entry,) = (cache / "sha256").iterdir()
    entry.write_text(entry.read_text().replace(first, "remembered"))
    assert hashes.sha256_of([path], cache_dir=cache) == "remembered"
    path.write_bytes(b"other")
    assert hashes.sha256_of([path], cache_dir=cache) == hashlib.sha256(b"other").hexdigest()


@pytest.mark.parametrize("damage", ["", "{", "7", "[1]", '["x", 1]', "[[], null]"])
def test_a_damaged_memory_of_hashes_is_not_believed(damage: str, tmp_path: Path) -> None:
    path, cache = tmp_path / "w.bin", tmp_path / "cache"
    path.write_bytes(b"one")
    sha256 = hashes.sha256_of([path], cache_dir=cache)
    (entry,) = (cache / "sha256").iterdir()
    entry.write_text(damage)
    assert hashes.sha256_of([path], cache_dir=cache) == sha256


def test_the_cache_follows_dyno_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DYNO_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "cache"
    monkeypatch.delenv("DYNO_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "dynamometer"
