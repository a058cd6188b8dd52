"""Fixtures for every room."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import tiny_gguf as maker


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model; not to be changed by tests."""
    return maker.make(tmp_path_factory.mktemp("model") / "tiny-random-F32.gguf")
