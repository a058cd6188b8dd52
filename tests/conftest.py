"""Fixtures for every room, and what markers mean on a machine that lacks something."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import tiny_gguf as maker
from tests.lab import Lab

IN_CI = bool(os.environ.get("CI"))


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model; not to be changed by tests."""
    return maker.make(tmp_path_factory.mktemp("model") / "tiny-random-F32.gguf")


@pytest.fixture
def lab(tmp_path: Path, tiny_gguf: Path) -> Iterator[Lab]:
    """A user with an empty home and an empty folder; whatever it started is gone afterwards."""
    made = Lab.at(tmp_path, tiny_gguf)
    yield made
    made.clear()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A GPU or root that is missing skips; in CI, a missing Docker or embedded engine is a failure."""
    if item.get_closest_marker("gpu") and not list(Path("/proc/driver/nvidia/gpus").glob("*")):
        pytest.skip("no GPU")
    if item.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("not root")
    if item.get_closest_marker("docker") and not _docker_answers():
        _missing("no Docker engine answers")
    if item.get_closest_marker("engine") and importlib.util.find_spec("xllamacpp") is None:
        _missing("xllamacpp is not installed: pip install 'dynamometer[llama-cpp]'")


def _missing(what: str) -> None:
    if IN_CI:
        pytest.fail(f"{what}, and this is CI", pytrace=False)
    pytest.skip(what)


def _docker_answers() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    return subprocess.run([docker, "info"], capture_output=True, timeout=30, check=False).returncode == 0
