"""Text -> a checked campaign file: what it sets, where each value stands, and every mistake at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dynamometer.domain.engine import Catalogue
from dynamometer.domain.plan import Suite
from dynamometer.errors import CampaignError, Problem
from dynamometer.spec.check import Vocabulary, findings
from dynamometer.spec.dialects import Canonical, Dialect, canonical_campaign, canonical_experiment
from dynamometer.spec.places import Places
from dynamometer.spec.yamltext import Document, read

MAX_PROBLEMS = 50


@dataclass(frozen=True, slots=True)
class CampaignFile:
    """A campaign file without mistakes of its own."""

    file: str
    """Its name, for messages."""
    text: str
    """Its text."""
    dialect: Dialect
    """The dialect it is written in."""
    data: Mapping[str, Any]
    """What it sets, in canonical form; nothing is filled in."""
    positions: Places
    """Where each value stands."""
    vocabulary: Vocabulary
    """Engines and suites it was checked against; what other layers set is checked against the same."""


@dataclass(frozen=True, slots=True)
class ExperimentFile:
    """A file with one experiment, without mistakes of its own."""

    file: str
    """Its name, for messages."""
    text: str
    """Its text."""
    dialect: Dialect
    """The dialect it is written in."""
    data: Mapping[str, Any]
    """What it sets, as the campaign of this one experiment: the experiment is ``experiments[0]``."""
    positions: Places
    """Where each value stands."""
    vocabulary: Vocabulary
    """Engines and suites it was checked against."""

    @property
    def experiment(self) -> Mapping[str, Any]:
        """The experiment itself."""
        experiment: Mapping[str, Any] = self.data["experiments"][0]
        return experiment


def parse(text: str | bytes, *, file: str, catalogue: Catalogue, suites: Mapping[str, Suite]) -> CampaignFile:
    """A campaign file, in any dialect.

    Raises CampaignError with every mistake in it: its file, line, column, its place as the user spelled it, and what
    was probably meant.
    """
    document = read(text, file=file)
    canonical = canonical_campaign(document, file, catalogue)
    vocabulary = Vocabulary(catalogue, suites)
    refuse(_problems(document, canonical, canonical.data, vocabulary))
    return CampaignFile(file, document.text, canonical.dialect, canonical.data, canonical.places, vocabulary)


def parse_experiment(
    text: str | bytes, *, file: str, catalogue: Catalogue, suites: Mapping[str, Suite]
) -> ExperimentFile:
    """A file with one experiment: the keys of an entry of ``experiments``, and what running it alone needs.

    That is ``models`` (where weights are, if ``model`` is a name), ``name``, ``description``, ``seed``, ``quants``,
    ``execution``, ``energy``, ``io``. Raises CampaignError with every mistake in it.
    """
    document = read(text, file=file)
    canonical = canonical_experiment(document, file, catalogue)
    vocabulary = Vocabulary(catalogue, suites)
    problems = _problems(document, canonical, {"name": "experiment", **canonical.data}, vocabulary)
    problems += [
        canonical.places.problem("a file with one experiment holds the values themselves", ("experiments", 0, key))
        for key in ("config", "overrides")
        if key in document.data
    ]
    refuse(problems)
    return ExperimentFile(file, document.text, canonical.dialect, canonical.data, canonical.places, vocabulary)


def campaign_from_experiment(file: ExperimentFile) -> CampaignFile:
    """The campaign that runs this one experiment, once: its load is one unless it names a suite that has several.

    Named after its file when it has no name.
    """
    stem = file.file.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0].strip()[:200]
    data = {"name": stem if stem.isprintable() and stem else "experiment", "cycles": 1, **file.data}
    data = {**data, "workload": {"suite": "single", **data.get("workload", {})}}
    return CampaignFile(file.file, file.text, file.dialect, data, file.positions, file.vocabulary)


def refuse(problems: Iterable[Problem]) -> None:
    """Raise CampaignError if there are problems: each once, in the order of the file, at most 50."""
    found = sorted(dict.fromkeys(problems), key=lambda each: (each.file or "", each.line or 0, each.column or 0))
    if len(found) > MAX_PROBLEMS:
        found = [*found[:MAX_PROBLEMS], Problem(f"and {len(found) - MAX_PROBLEMS:,} more")]
    if found:
        raise CampaignError(found)


def _problems(
    document: Document, canonical: Canonical, data: Mapping[str, Any], vocabulary: Vocabulary
) -> list[Problem]:
    placed = [
        canonical.places.problem(each.message, each.path, at_key=each.at_key, suggestion=each.suggestion)
        for each in findings(data, vocabulary)
    ]
    return [*document.problems, *canonical.problems, *placed]
