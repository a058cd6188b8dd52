"""Hugging Face datasets: read from a local folder where the package is installed, refused in plain words where not."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from dynamometer.errors import PreconditionError
from dynamometer.load.prompts import parse_jsonl
from dynamometer.sources import hub_datasets
from dynamometer.sources.hub_datasets import prompts_file

HAS = importlib.util.find_spec("datasets") is not None
installed = pytest.mark.skipif(not HAS, reason="the package datasets is not installed")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset with two splits, offline."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    made = tmp_path / "mine"
    made.mkdir()
    said = [{"role": "user", "content": "Hi"}]
    rows = [{"question": f"Why {number}?", "answer": "So.", "talk": said} for number in range(5)]
    for split in ("train", "test"):
        (made / f"{split}.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in rows[: 5 if split == "train" else 2])
        )
    return made


@pytest.mark.skipif(HAS, reason="the package datasets is installed")
def test_without_the_package_it_is_a_precondition_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(PreconditionError, match="not installed") as caught:
        prompts_file("openai/gsm8k:main", tmp_path)
    assert "dynamometer[datasets]" in (caught.value.hint or "")


def test_what_was_read_before_needs_neither_package_nor_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_datasets, "_read", lambda dataset: f'{{"prompt": "{dataset}"}}\n')
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: True)
    first = prompts_file("owner/name", tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert prompts_file("owner/name", tmp_path) == first
    assert parse_jsonl(first.read_text())[0].text == "owner/name"
    with pytest.raises(PreconditionError):
        prompts_file("owner/name@test", tmp_path)


@installed
@pytest.mark.slow
def test_a_local_dataset_is_read(folder: Path, tmp_path: Path) -> None:
    texts = [prompt.text for prompt in parse_jsonl(prompts_file(str(folder), tmp_path).read_text())]
    assert texts == [f"Why {number}?" for number in range(5)]
    test = parse_jsonl(prompts_file(f"{folder}@test#answer", tmp_path).read_text())
    assert [prompt.text for prompt in test] == ["So.", "So."]
    talk = parse_jsonl(prompts_file(f"{folder}#talk", tmp_path).read_text())
    assert talk[0].messages is not None
    assert talk[0].messages[0].content == "Hi"


@installed
@pytest.mark.slow
@pytest.mark.parametrize(
    ("rest", "message"), [("#nothing", "its columns are"), ("@validation", "validation"), ("@@", "must be NAME")]
)
def test_what_cannot_be_read_says_why(folder: Path, tmp_path: Path, rest: str, message: str) -> None:
    with pytest.raises(PreconditionError, match=message):
        prompts_file(f"{folder}{rest}", tmp_path)


@installed
@pytest.mark.slow
def test_offline_is_said_so(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PreconditionError, match="no-such-owner/no-such-set") as caught:
        prompts_file("no-such-owner/no-such-set", tmp_path)
    assert "\n" not in caught.value.message
    assert not list((tmp_path / "datasets").glob("*"))
