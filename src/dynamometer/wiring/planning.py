"""A file becomes a plan, and the plan is held against this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from dynamometer.campaign.loop import Places
from dynamometer.domain.campaign import Campaign
from dynamometer.domain.plan import Facts, Plan, Suite
from dynamometer.domain.variant import Offer, Variant
from dynamometer.engines import ENGINES
from dynamometer.errors import CampaignError, NotFoundError, PreconditionError
from dynamometer.executors.base import Executor
from dynamometer.executors.host import HostExecutor
from dynamometer.executors.simulated import SimulatedExecutor
from dynamometer.load.prompts import BUILTIN, SYNTHETIC
from dynamometer.load.traces import Trace, parse_trace
from dynamometer.plan.make import make_plan
from dynamometer.sources import demo, hub_datasets, local
from dynamometer.spec.layers import from_environment, parse_preferences
from dynamometer.spec.parse import CampaignFile, ExperimentFile, campaign_from_experiment, parse, parse_experiment
from dynamometer.spec.resolve import Resolved, config_references, merge, resolve
from dynamometer.wiring.folders import PROJECT_CONFIG, engines, home, suites
from dynamometer.wiring.source import read_source


@dataclass(frozen=True, slots=True)
class Prepared:
    """A campaign file, read and planned. What validate and the dry run print, and what run runs."""

    text: str
    source: str
    base: Path
    """Folder that relative paths in the file start from."""
    resolved: Resolved
    plan: Plan
    traces: Mapping[str, Trace]
    """Traces of the plan's loads, by the name the campaign gives them."""

    @property
    def campaign(self) -> Campaign:
        """The canonical campaign."""
        return self.resolved.campaign

    @property
    def results(self) -> Path:
        """Where campaign folders are made."""
        return Path(self.campaign.io.results_dir).expanduser()


def prepare(source: str, flags: Mapping[str, Any] | None = None) -> Prepared:
    """Read, check and plan a campaign file. Writes nothing and asks no network.

    Raises CampaignError with all mistakes of the file.
    """
    raw, base = read_source(source)
    known = suites([base / "suites"])
    file = parse(raw, file=source, catalogue=engines(), suites=known)
    return _planned(file, base, known, flags or {})


def prepare_experiment(source: str, flags: Mapping[str, Any] | None = None) -> Prepared:
    """The same for a file with one experiment, which becomes a campaign of one run."""
    raw, base = read_source(source)
    known = suites([base / "suites"])
    file = parse_experiment(raw, file=source, catalogue=engines(), suites=known)
    return _planned(campaign_from_experiment(file), base, known, flags or {})


def _planned(file: CampaignFile, base: Path, known: dict[str, Suite], flags: Mapping[str, Any]) -> Prepared:
    resolved = resolve(
        file,
        preferences=preferences(),
        environment=from_environment(os.environ),
        flags=flags,
        experiment_files=_experiment_files(file, base, known),
    )
    campaign = resolved.campaign
    plan = make_plan(campaign, engines(), known, facts(campaign, base))
    return Prepared(file.text, file.file, base, resolved, plan, _traces(plan, base / campaign.io.config_dir))


def _traces(plan: Plan, folder: Path) -> dict[str, Trace]:
    """Read every trace once. Raises NotFoundError for one that is not there, CampaignError for a wrong one."""
    found: dict[str, Trace] = {}
    for experiment in plan.experiments:
        name = experiment.workload.load.trace
        if name is not None and name not in found:
            raw, _ = read_source(str(folder / name))
            found[name] = parse_trace(raw.decode("utf-8", "replace"), name)
    return found


def preferences() -> dict[str, Any]:
    """The user's configuration: config.yaml in the configuration folder, and over it ``.dyno-config.yaml`` here."""
    found: dict[str, Any] = {}
    for path in (home().config / "config.yaml", Path(PROJECT_CONFIG)):
        if path.is_file():
            found = merge(found, parse_preferences(path.read_bytes(), file=str(path)))
    return found


def _experiment_files(file: CampaignFile, base: Path, known: dict[str, Suite]) -> dict[str, ExperimentFile]:
    """The files that ``experiments[].config`` names. One that cannot be read is a mistake of the campaign file."""
    found, problems = {}, []
    for reference in config_references(file):
        path = base / config_dir(file) / reference
        try:
            raw, _ = read_source(str(path))
        except NotFoundError as error:
            problems += [file.positions.problem(error.message, place) for place in _places_of(file, reference)]
            continue
        found[reference] = parse_experiment(raw, file=str(path), catalogue=engines(), suites=known)
    if problems:
        raise CampaignError(problems)
    return found


def _places_of(file: CampaignFile, reference: str) -> list[tuple[str | int, ...]]:
    entries = enumerate(file.data["experiments"])
    return [("experiments", place, "config") for place, entry in entries if entry.get("config") == reference]


def config_dir(file: CampaignFile) -> str:
    """io.config_dir as the file sets it; read before the campaign is whole, since files it names belong to it."""
    io = file.data.get("io")
    value = io.get("config_dir") if isinstance(io, dict) else None
    return value if isinstance(value, str) else "."


def facts(campaign: Campaign, base: Path) -> Facts:
    """What planning may know: the weights of each model, and this machine."""
    cache = home().cache
    offers = {model.name: offer_of(model.path, base, cache, _remote(model)) for model in campaign.models}
    for name in _named_models(campaign):
        if name not in offers:
            remote = (Variant(format="safetensors", source="hub", ref=name),)
            offers[name] = offer_of(name, base, cache, ()) if _looks_local(name) else Offer(remote)
    return Facts(
        offers=offers,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        memory_bytes=psutil.virtual_memory().total,
    )


def _remote(model: Any) -> tuple[Variant, ...]:
    return tuple(
        Variant(format=format_, source=source, ref=ref, revision=model.revision, size_bytes=_estimate(model))
        for format_, source, ref in (
            ("safetensors", "hub", model.safetensors_repo),
            ("gguf", "hub", model.gguf_repo),
            ("ollama", "ollama", model.ollama_tag),
        )
        if ref
    )


def _estimate(model: Any) -> int | None:
    return int(model.estimated_size_gb * 1e9) if model.estimated_size_gb else None


def offer_of(path: str | None, base: Path, cache: Path, remote: tuple[Variant, ...]) -> Offer:
    """Weights at a path (or of a demo model), together with those in repositories."""
    if path is None:
        return Offer(remote)
    found = demo.offer(path, cache) if path.startswith(demo.PREFIX) else local.discover(path, base)
    return Offer((*found.variants, *remote), None if remote else found.missing, found.skipped)


def _named_models(campaign: Campaign) -> list[str]:
    names = list(campaign.grid.models) if campaign.grid else []
    for group in campaign.grid.groups if campaign.grid else ():
        names += [str(mapping["model"]) for mapping in group if "model" in mapping]
    for extra in campaign.grid.include if campaign.grid else ():
        names += [str(extra["model"])] if "model" in extra else []
    return names + [entry.model for entry in campaign.experiments if entry.model]


def _looks_local(name: str) -> bool:
    return name.startswith((".", "/", "~", demo.PREFIX)) or name.lower().endswith(".gguf")


def check_runnable(plan: Plan) -> None:
    """Raise PreconditionError when this machine, or this version, cannot run the plan."""
    if plan.unavailable:
        lines = [f"  {item.where}: {item.what}" for item in plan.unavailable]
        raise PreconditionError(
            "\n".join(["the campaign asks for what this version cannot do yet:", *lines]),
            hint="leave these out; dyno campaign validate lists them",
        )
    if not plan.experiments:
        lines = [
            f"  {item.name}: {item.reason}" + (f" (x {item.count})" if item.count > 1 else "") for item in plan.excluded
        ]
        hints = dict.fromkeys(item.hint for item in plan.excluded if item.hint)
        raise PreconditionError(
            "\n".join(["nothing can be run, since every experiment is left out:", *lines]),
            hint="; ".join(hints) or "change the campaign file; dyno campaign validate shows its plan",
        )
    if plan.campaign.execution.mode == "simulated":
        return
    missing = {
        name: reason
        for name in dict.fromkeys(experiment.engine for experiment in plan.experiments)
        if (reason := ENGINES[name].missing())
    }
    if missing:
        raise PreconditionError("\n".join(f"{name}: {reason}" for name, reason in missing.items()))


def check_files(prepared: Prepared, experiments: Iterable[int]) -> None:
    """Raise PreconditionError when weights or prompts of these experiments are not on this machine."""
    places = places_of(prepared)
    missing: dict[str, str | None] = {}
    looked_at: dict[tuple[str, str | None, str], int] = {}
    for index in experiments:
        experiment = prepared.plan.experiments[index]
        looked_at.setdefault((experiment.weights.ref, experiment.weights.file, experiment.workload.dataset), index)
    for index in looked_at.values():
        try:
            found = places(index)
        except PreconditionError as error:
            missing.setdefault(error.message, error.hint)
        else:
            if found.dataset is not None and not Path(found.dataset).is_file():
                missing.setdefault(f"there are no prompts at {found.dataset}", "see workload.dataset and io.config_dir")
    if missing:
        raise PreconditionError(
            "\n".join(missing), hint="; ".join(dict.fromkeys(filter(None, missing.values()))) or None
        )


def executor_for(campaign: Campaign) -> Executor:
    """Where this campaign's runs are executed."""
    return SimulatedExecutor() if campaign.execution.mode == "simulated" else HostExecutor()


def places_of(prepared: Prepared) -> Callable[[int], Places]:
    """Experiment -> its files on this machine."""
    cache = home().cache
    config = prepared.base / prepared.campaign.io.config_dir

    def places(index: int) -> Places:
        experiment = prepared.plan.experiments[index]
        dataset = experiment.workload.dataset
        simulated = prepared.campaign.execution.mode == "simulated"
        weights = None if simulated else str(local.locate(experiment.weights, base=prepared.base, cache_dir=cache))
        trace = experiment.workload.load.trace
        if experiment.workload.hub_dataset:
            prompts = None if simulated else str(hub_datasets.prompts_file(dataset, cache))
        else:
            prompts = None if dataset in (BUILTIN, SYNTHETIC) else str(config / dataset)
        return Places(weights, prompts, str(config / trace) if trace is not None else None)

    return places
