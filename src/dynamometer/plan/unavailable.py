"""What a campaign asks for that this version cannot do yet: known, checked, and refused by run; never ignored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dynamometer.domain.campaign import Campaign, ColdStart, Container, HealthCheck, ModelsFrom
from dynamometer.domain.engine import Catalogue
from dynamometer.domain.experiment import Experiment
from dynamometer.domain.plan import Suite, Unavailable
from dynamometer.plan.expand import DEFAULT_SUITE


def unavailable(
    campaign: Campaign, experiments: Iterable[Experiment], catalogue: Catalogue, suites: dict[str, Suite]
) -> tuple[Unavailable, ...]:
    """Every such key once, in the order of the canonical file."""
    found = [
        *_engines(experiments, catalogue),
        *_suites(campaign, suites),
        *_execution(campaign),
        *_energy(campaign),
        *_rest(campaign),
    ]
    return tuple(Unavailable(where=where, what=what) for where, what in dict.fromkeys(found))


Found = Iterator[tuple[str, str]]


def _engines(experiments: Iterable[Experiment], catalogue: Catalogue) -> Found:
    for experiment in experiments:
        traits = catalogue.find(experiment.engine)
        if traits is not None and traits.unavailable:
            yield f"engine {experiment.engine}", traits.unavailable.removeprefix("not available yet: ")
        if experiment.weights.source == "hub":
            yield f"model {experiment.model}", f"weights from the hub ({experiment.weights.ref}); use path for now"
        if experiment.weights.source == "ollama":
            yield f"model {experiment.model}", f"weights from Ollama ({experiment.weights.ref}); use path for now"


def _suites(campaign: Campaign, suites: dict[str, Suite]) -> Found:
    used = {
        *(entry.suite for entry in campaign.engines),
        *(entry.suite for entry in campaign.experiments),
        campaign.workload.suite or DEFAULT_SUITE,
    }
    for name in sorted(filter(None, used)):
        for benchmark in suites[name].benchmarks:
            if benchmark.kind == "quality":
                yield f"suite {name}", f"its benchmark {benchmark.name} asks quality questions"


def _execution(campaign: Campaign) -> Found:
    execution = campaign.execution
    if execution.mode not in ("auto", "host", "simulated"):
        yield "execution.mode", f"running on {execution.mode}; host works"
    for place, entry in enumerate(campaign.engines):
        if entry.mode == "docker":
            yield f"engines.{place}.mode", "running in Docker; host works"
    if execution.container != Container():
        yield "execution.container", "containers"
    if execution.agent is not None:
        yield "execution.agent", "remote agents"
    if execution.parallel:
        yield "execution.parallel", "several runs at once on several GPUs"
    if execution.reuse_engine:
        yield "execution.reuse_engine", "one engine start for several runs"
    if execution.health_check != HealthCheck():
        yield "execution.health_check", "health checks of containers"
    if execution.cold_start != ColdStart():
        yield "execution.cold_start", "cold starts; on the host every run starts a new engine anyway"
    if execution.thermal.max_temperature_c is not None:
        yield "execution.thermal.max_temperature_c", "waiting for a temperature; pauses work"


def _energy(campaign: Campaign) -> Found:
    energy = campaign.energy
    if energy.source in ("nvml", "zeus", "codecarbon"):
        yield "energy.source", f"energy from {energy.source}; rapl works"
    if energy.baseline:
        yield "energy.baseline", "subtracting idle power"
    for key in ("carbon_g_per_kwh", "price_per_kwh", "pue"):
        if getattr(energy, key) is not None:
            yield f"energy.{key}", "carbon and cost"


def _rest(campaign: Campaign) -> Found:
    for key, default in ModelsFrom():
        if getattr(campaign.models_from, key) != default:
            yield f"models_from.{key}", "managed downloads"
    if campaign.disk.reserve_gb:
        yield "disk.reserve_gb", "keeping free space"
    if campaign.disk.cleanup_after_run:
        yield "disk.cleanup_after_run", "deleting downloaded models"
    if campaign.disk.path is not None:
        yield "disk.path", "choosing where models are kept"
    if campaign.schedule.enabled:
        yield "schedule", "unattended repetition"
    if campaign.notifications.desktop:
        yield "notifications.desktop", "desktop notifications"
    if campaign.notifications.urls:
        yield "notifications.urls", "notifications"
    if campaign.io.volumes:
        yield "io.volumes", "volumes for containers"
