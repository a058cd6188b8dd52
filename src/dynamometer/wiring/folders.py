"""Where things are: the user's folders, the engines, the suites."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

import platformdirs

from dynamometer.domain.engine import Catalogue
from dynamometer.domain.plan import Suite
from dynamometer.engines import catalogue
from dynamometer.sources.cache import default_cache
from dynamometer.spec.suites import parse_suite
from dynamometer.store.calibrations import default_state

PROJECT_CONFIG = ".dyno-config.yaml"


@dataclass(frozen=True, slots=True)
class Home:
    """Folders of this user: XDG folders, or all under DYNO_HOME."""

    config: Path
    state: Path
    cache: Path

    @property
    def index(self) -> Path:
        """The index of campaigns."""
        return self.state / "index.sqlite"


def home() -> Home:
    """Folders of this user. They are made when something is written there."""
    if own_home := os.environ.get("DYNO_HOME"):
        root = Path(own_home).expanduser()
        return Home(root / "config", default_state(), default_cache())
    dirs = platformdirs.PlatformDirs("dynamometer", appauthor=False)
    return Home(dirs.user_config_path, default_state(), default_cache())


@lru_cache(maxsize=1)
def engines() -> Catalogue:
    """All engines of this installation."""
    return catalogue()


def suites(folders: Iterable[Path] = ()) -> dict[str, Suite]:
    """The suites of the package, then the user's own, then those in ``folders``; a later one wins over a name."""
    found: dict[str, Suite] = {}
    for resource in sorted(resources.files("dynamometer").joinpath("suites").iterdir(), key=lambda item: item.name):
        if resource.name.endswith(".yaml"):
            suite = parse_suite(resource.read_text("utf-8"), file=resource.name)
            found[suite.name] = suite
    for folder in (home().config / "suites", *folders):
        for path in sorted(folder.glob("*.yaml")) if folder.is_dir() else ():
            suite = parse_suite(path.read_bytes(), file=str(path))
            found[suite.name] = suite
    return found
