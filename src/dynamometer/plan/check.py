"""Cells -> experiments: each cell is instantiated as the real thing, or left out with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from pydantic import ValidationError

from dynamometer.domain.campaign import Campaign, Quants
from dynamometer.domain.engine import EngineTraits, Format
from dynamometer.domain.experiment import MOST_REQUESTS, Experiment, Weights, load_label
from dynamometer.domain.plan import Excluded, Facts, Warned
from dynamometer.domain.units import format_duration
from dynamometer.domain.variant import Variant
from dynamometer.plan.expand import Cell, options_key

WEIGHTS_HINT = (
    "the path of a model is a .gguf file, a folder of weights, or demo:NAME (dyno model list); "
    "a relative one starts at the folder of the campaign file"
)


@dataclass(slots=True)
class Reasons:
    """Reasons with the first name they met and how often they did; order of first meeting is kept."""

    _seen: dict[str, tuple[str, int, str | None]] = field(default_factory=dict)

    def add(self, name: str, reason: str, hint: str | None = None) -> None:
        """Count one more cell with this reason."""
        first, count, _ = self._seen.get(reason, (name, 0, None))
        self._seen[reason] = (first, count + 1, hint)

    def excluded(self) -> tuple[Excluded, ...]:
        """The reasons as exclusions."""
        return tuple(
            Excluded(name=name, reason=reason, count=count, hint=hint)
            for reason, (name, count, hint) in self._seen.items()
        )

    def warned(self) -> tuple[Warned, ...]:
        """The reasons as warnings."""
        return tuple(Warned(name=name, reason=reason, count=count) for reason, (name, count, _) in self._seen.items())


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of the cells."""

    experiments: tuple[Experiment, ...]
    excluded: tuple[Excluded, ...]
    warnings: tuple[Warned, ...]


@dataclass(frozen=True, slots=True)
class Options:
    """One set of engine options, validated: what differs from the defaults, or why it is refused."""

    changed: Mapping[str, Any]
    effective: Mapping[str, Any]
    problem: str | None = None


@dataclass(slots=True)
class Checker:
    """Checks cells one by one and remembers what they share."""

    campaign: Campaign
    facts: Facts
    excluded: Reasons = field(default_factory=Reasons)
    warnings: Reasons = field(default_factory=Reasons)
    _options: dict[tuple[str, str], Options] = field(default_factory=dict)
    _weights: dict[tuple[str, str, str | None, tuple[str, ...] | None], tuple[Weights, ...]] = field(
        default_factory=dict
    )
    _ids: dict[str, Experiment] = field(default_factory=dict)

    def experiments(self, cells: Iterable[Cell]) -> tuple[Experiment, ...]:
        """Every cell that can run, each configuration once."""
        for cell in cells:
            options = self._checked_options(cell.engine, cell.options)
            if reason := options.problem or precision_problem(cell) or kind_problem(cell) or load_problem(cell):
                self.excluded.add(f"{cell.engine.name}/{cell.model}", reason)
                continue
            if reason := time_problem(cell, self.campaign.execution.timeout):
                self.excluded.add(f"{cell.engine.name}/{cell.model}", reason, "raise execution.timeout")
                continue
            for weights in self._checked_weights(cell):
                self._keep(cell, weights, options)
        return tuple(self._ids.values())

    def _keep(self, cell: Cell, weights: Weights, options: Options) -> None:
        experiment = Experiment(
            engine=cell.engine.name,
            model=cell.model,
            weights=weights,
            precision=cell.precision,
            options=options.changed,
            workload=cell.workload,
        )
        known = self._ids.setdefault(experiment.id, experiment)
        if known is not experiment:
            if known.weights.ref != weights.ref:
                self.excluded.add(
                    experiment.name,
                    f"{weights.ref} and {known.weights.ref} have one model name and one file name; "
                    "give the models different names",
                )
            return
        for reason in run_warnings(cell, weights, options, self.facts):
            self.warnings.add(experiment.name, reason)

    def _checked_options(self, engine: EngineTraits, options: Mapping[str, Any]) -> Options:
        key = (engine.name, options_key(options))
        known = self._options.get(key)
        if known is None:
            known = self._options[key] = check_options(engine, options)
        return known

    def _checked_weights(self, cell: Cell) -> tuple[Weights, ...]:
        key = (cell.engine.name, cell.model, cell.quant, cell.formats)
        known = self._weights.get(key)
        if known is None:
            known = self._weights[key] = tuple(self._choose_weights(cell))
        return known

    def _choose_weights(self, cell: Cell) -> Iterator[Weights]:
        name = f"{cell.engine.name}/{cell.model}"
        if cell.offer.missing is not None:
            self.excluded.add(name, f"no weights of {cell.model}: {cell.offer.missing}", WEIGHTS_HINT)
            return
        formats = [format_ for format_ in cell.engine.formats if cell.formats is None or _asked(format_, cell.formats)]
        usable = [variant for variant in cell.offer.variants if variant.format in formats]
        if not usable:
            offered = ", ".join(sorted({variant.format for variant in cell.offer.variants})) or "nothing"
            loads = ", ".join(formats) or f"none of {', '.join(cell.formats or ())}"
            self.excluded.add(name, f"{cell.engine.name} loads {loads}; {cell.model} offers {offered}")
            return
        if cell.quant is not None:
            usable = [variant for variant in usable if (variant.quant or "").lower() == cell.quant.lower()]
            if not usable:
                names = ", ".join(sorted({variant.quant or "?" for variant in cell.offer.variants}))
                self.excluded.add(name, f"{cell.model} has no quantisation {cell.quant}; it has {names}")
        for variant in usable:
            if reason := filtered(variant, self.campaign.quants, self.campaign.limits.max_model_size_gb):
                self.excluded.add(f"{name}/{variant.quant or variant.format}", reason)
            else:
                yield Weights(**dict(variant))


def _asked(format_: Format, formats: tuple[Format, ...]) -> bool:
    """Whether a cell may use a format. What an Ollama tag names is GGUF, so asking for GGUF admits it."""
    return format_ in formats or (format_ == "ollama" and "gguf" in formats)


def check_options(engine: EngineTraits, options: Mapping[str, Any]) -> Options:
    """Instantiate the engine's options; a refusal becomes a sentence."""
    try:
        checked = engine.options.model_validate(dict(options))
    except ValidationError as error:
        sentences = "; ".join(
            ": ".join(
                part for part in (".".join(map(str, item["loc"])), item["msg"].removeprefix("Value error, ")) if part
            )
            for item in error.errors(include_url=False)
        )
        return Options({}, {}, f"{engine.name}: {sentences}")
    return Options(checked.model_dump(mode="json", exclude_defaults=True), checked.model_dump(mode="json"))


def precision_problem(cell: Cell) -> str | None:
    """Why this engine cannot run at this precision."""
    if cell.precision in cell.engine.precisions:
        return None
    return f"{cell.engine.name} + {cell.precision}: it knows {', '.join(cell.engine.precisions)}"


def kind_problem(cell: Cell) -> str | None:
    """Why this kind of benchmark cannot be run."""
    if cell.benchmark.kind == "load":
        return None
    return f"benchmark {cell.benchmark.name}: {cell.benchmark.kind} benchmarks are not available yet"


def load_problem(cell: Cell) -> str | None:
    """Why a load cannot be planned: in its time, an open loop comes to more requests than a window may have."""
    load, seconds = cell.workload.load, cell.workload.duration_s
    count = load.requests_within(seconds) if seconds is not None else None
    if count is None or count <= MOST_REQUESTS:
        return None
    return f"{load_label(load)} for {seconds:g} s is {count:,.0f} requests; a window has at most {MOST_REQUESTS:,}"


def time_problem(cell: Cell, timeout_s: float) -> str | None:
    """Why a window would be cut short for sure: the time of its run, engine start included, ends before it."""
    workload = cell.workload
    if not workload.outlasts(timeout_s):
        return None
    seconds, label = workload.duration_s, load_label(workload.load)
    what = f"{label} for {seconds:g} s does" if seconds is not None else f"{workload.requests:,} requests of {label} do"
    return f"{what} not fit in execution.timeout ({format_duration(timeout_s)})"


def filtered(variant: Variant, quants: Quants, max_size_gb: float | None) -> str | None:
    """Why a variant is left out by the campaign's own filters."""
    quant = (variant.quant or "").upper()
    if quant and any(fnmatchcase(quant, pattern.upper()) for pattern in quants.skip_patterns):
        return f"quants.skip_patterns leaves out {variant.quant}"
    if quant and quants.include_only and not any(fnmatchcase(quant, want.upper()) for want in quants.include_only):
        return f"quants.include_only does not name {variant.quant}"
    if max_size_gb is not None and variant.size_bytes is not None and variant.size_bytes > max_size_gb * 1e9:
        return f"{variant.size_bytes / 1e9:.1f} GB, over limits.max_model_size_gb ({max_size_gb:g})"
    return None


def run_warnings(cell: Cell, weights: Weights, options: Options, facts: Facts) -> Iterator[str]:
    """What may go wrong with a cell that will run."""
    slots_option = cell.engine.parallel_option
    slots = options.effective.get(slots_option) if slots_option else None
    load = cell.workload.load
    wanted = load.most_in_flight
    if isinstance(slots, int) and wanted > slots and not load.is_open:
        yield f"{wanted} requests in flight, but {slots_option} is {slots}: the rest wait, and TTFT shows it"
    threads = options.effective.get("n_threads")
    if isinstance(threads, int) and facts.cores is not None and threads > facts.cores:
        yield f"n_threads is {threads} on {facts.cores} cores: engines that spin become many times slower"
    if weights.size_bytes and facts.memory_bytes and weights.size_bytes > 0.9 * facts.memory_bytes:
        yield (
            f"weights of {weights.size_bytes / 1e9:.1f} GB may not fit into {facts.memory_bytes / 1e9:.1f} GB of memory"
        )


def check(cells: Iterable[Cell], campaign: Campaign, facts: Facts) -> Checked:
    """Instantiate every cell. What fails is left out with its reason, what may fail on this machine is a warning."""
    checker = Checker(campaign, facts)
    experiments = checker.experiments(cells)
    return Checked(experiments, checker.excluded.excluded(), checker.warnings.warned())
