"""Fixtures for every room, and what markers mean on a machine that lacks something."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tests import tiny_gguf as maker
from tests.lab import Lab

IN_CI = bool(os.environ.get("CI"))
# How long an example takes, and how long it takes to make, tells of the machine.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The temporary folder of all that tests run, here and in processes they start; other users may look into it."""
    tmp_path_factory.getbasetemp()  # pytest's own, which stays, is made where the temporary folder is at first
    with tempfile.TemporaryDirectory(prefix="dyno-tests-") as made, pytest.MonkeyPatch.context() as patch:
        Path(made).chmod(0o755)
        patch.setenv("TMPDIR", made)
        patch.setattr(tempfile, "tempdir", made)
        yield Path(made)


@pytest.fixture(autouse=True)
def nothing_stays(scratch: Path) -> Iterator[None]:
    """What a test leaves in the temporary folder would fill that of every user."""
    yield
    left = sorted(scratch.iterdir())
    for path in left:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert not left, f"left behind: {', '.join(path.name for path in left)}"


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
