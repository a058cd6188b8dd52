"""The wheel, installed, in another folder: what a user gets has everything in it."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_installed_wheel_validates_the_quickstart_from_another_folder(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="the build back end is not installed")
    source = tmp_path / "source"
    source.mkdir()
    for name in ("src", "pyproject.toml", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"dynamometer/py.typed", "dynamometer/suites/quick.yaml"} <= set(names)
    assert not [name for name in names if name.startswith("tests") or "__pycache__" in name]

    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    place = sysconfig.get_path("purelib", vars={"base": str(tmp_path / "venv")})
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", place, str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    libraries = [path for path in site.getsitepackages() if Path(path).is_dir()]
    (Path(place) / "libraries.pth").write_text("\n".join(libraries) + "\n")

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    quickstart = shutil.copy(ROOT / "examples" / "campaigns" / "quickstart.yaml", elsewhere)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "DYNO", "COV"))}
    env["DYNO_HOME"] = str(tmp_path / "home")

    def said(*words: str) -> str:
        argv = [str(python), "-P", "-m", "dynamometer", *words]
        return subprocess.run(argv, cwd=elsewhere, env=env, check=True, capture_output=True, text=True).stdout

    where = [str(python), "-P", "-c", "import dynamometer; print(dynamometer.__file__)"]
    found = subprocess.run(where, cwd=elsewhere, env=env, check=True, capture_output=True, text=True).stdout
    assert found.startswith(str(place))
    assert "2 experiments x 3 cycles = 6 runs" in said("campaign", "validate", str(quickstart))
    assert '"$schema"' in said("config", "schema")
    assert said("--version").startswith("dyno ")
