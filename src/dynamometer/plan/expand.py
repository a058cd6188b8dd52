"""Campaign -> cells: every combination the file asks for, before anything is checked.

Parts that cells have in common (workloads, options) are built once and shared, so that a grid of a hundred
thousand cells costs what its distinct parts cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

from dynamometer.domain.campaign import Campaign, EngineEntry, ExperimentEntry, Grid
from dynamometer.domain.engine import Catalogue, EngineTraits, Format
from dynamometer.domain.experiment import Decoder, Workload
from dynamometer.domain.ident import canonical_json
from dynamometer.domain.plan import Benchmark, Suite
from dynamometer.domain.variant import Offer
from dynamometer.errors import CampaignError, Problem
from dynamometer.plan.workloads import (
    LOAD_KEYS,
    WORKLOAD_KEYS,
    Axes,
    Settings,
    apply,
    axes_of,
    combinations,
    laid_over,
    values_of,
)

DEFAULT_SUITE = "quick"
NOTHING = Offer(missing="the campaign does not say where its weights are")
CELL_KEYS = ("engine", "model", "quant", "precision")


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination, unchecked. Weights are still open: an offer may hold several variants."""

    engine: EngineTraits
    model: str
    offer: Offer
    precision: str
    options: Mapping[str, Any]
    benchmark: Benchmark
    workload: Workload
    quant: str | None = None
    formats: tuple[Format, ...] | None = None


@dataclass(slots=True)
class Expansion:
    """What expanding needs to know, and the caches of what cells share."""

    campaign: Campaign
    catalogue: Catalogue
    suites: Mapping[str, Suite]
    offers: Mapping[str, Offer]
    _workloads: dict[str, Workload] = field(default_factory=dict)

    def cells(self) -> Iterator[Cell]:
        """Matrix, then grid, then explicit experiments, in the order of the file."""
        for entry in self.campaign.engines:
            for model in self.campaign.models:
                yield from self._matrix(entry, model.name)
        if self.campaign.grid:
            yield from self._grid(self.campaign.grid)
            for extra in self.campaign.grid.include:
                yield from self._explicit(ExperimentEntry.model_validate(extra))
        for experiment in self.campaign.experiments:
            yield from self._explicit(experiment)

    def _matrix(self, entry: EngineEntry, model: str) -> Iterator[Cell]:
        axes = axes_of(self.campaign.workload)
        options = {key: values_of(value) for key, value in entry.options.items()}
        for chosen in combinations(options):
            for settings in combinations(axes):
                yield from self._benchmarks(
                    self._engine(entry.name), model, "auto", chosen, settings, entry.suite, formats=entry.formats
                )

    def _grid(self, grid: Grid) -> Iterator[Cell]:
        for engine in grid.engines:
            traits = self._engine(engine)
            axes = grid_axes(grid, self.campaign, grid.sections.get(engine, {}))
            for combination in combinations(axes):
                chosen = flatten_groups(combination)
                if not any(matches(chosen, engine, mapping) for mapping in grid.exclude):
                    yield from self._cell_of(traits, chosen)

    def _explicit(self, entry: ExperimentEntry) -> Iterator[Cell]:
        assert entry.engine is not None, "resolve has replaced config files by their content"
        assert entry.model is not None
        for settings in combinations(laid_over(axes_of(self.campaign.workload), axes_of(entry))):
            yield from self._benchmarks(
                self._engine(entry.engine),
                entry.model,
                entry.precision or "auto",
                entry.options,
                settings,
                entry.suite,
                quant=entry.quant,
            )

    def _cell_of(self, traits: EngineTraits, chosen: Settings) -> Iterator[Cell]:
        """Sort the values of a grid's cell into what they belong to."""
        settings = {key: value for key, value in chosen.items() if key in SETTING_KEYS}
        options = {key: value for key, value in chosen.items() if key not in SETTING_KEYS and key not in CELL_KEYS}
        yield from self._benchmarks(
            traits,
            chosen["model"],
            chosen.get("precision", "auto"),
            options,
            settings,
            None,
            quant=chosen.get("quant"),
        )

    def _benchmarks(
        self,
        engine: EngineTraits,
        model: str,
        precision: str,
        options: Mapping[str, Any],
        settings: Settings,
        suite: str | None,
        *,
        quant: str | None = None,
        formats: tuple[Format, ...] | None = None,
    ) -> Iterator[Cell]:
        name = suite or self.campaign.workload.suite or DEFAULT_SUITE
        for benchmark in self.suites[name].benchmarks:
            yield Cell(
                engine=engine,
                model=model,
                offer=self.offers.get(model, NOTHING),
                precision=precision,
                options=options,
                benchmark=benchmark,
                workload=self._workload(name, benchmark, settings),
                quant=quant,
                formats=formats,
            )

    def _workload(self, suite: str, benchmark: Benchmark, settings: Settings) -> Workload:
        key = f"{suite}\n{benchmark.name}\n{sorted(settings.items(), key=lambda item: item[0])!r}"
        known = self._workloads.get(key)
        if known is None:
            base = benchmark.workload.model_copy(update={"benchmark": benchmark.name, "seed": self.campaign.seed})
            known = self._workloads[key] = apply(base, settings)
        return known

    def _engine(self, name: str) -> EngineTraits:
        traits = self.catalogue.find(name)
        assert traits is not None, f"parse has refused unknown engines: {name}"
        return traits


SETTING_KEYS = frozenset({*LOAD_KEYS, *WORKLOAD_KEYS, *(f"decoder.{key}" for key in Decoder.model_fields)})
"""Keys of a grid's cell that belong to its workload."""


def grid_axes(grid: Grid, campaign: Campaign, section: Mapping[str, Any]) -> Axes:
    """All axes of one engine of a grid. A group is one axis, named by its place, whose values are mappings."""
    axes: Axes = {"model": grid.models}
    if grid.precision is not None:
        axes["precision"] = values_of(grid.precision)
    axes |= axes_of(campaign.workload) | axes_of(grid)
    axes |= {key: values_of(value) for key, value in section.items()}
    return axes | {f"group.{place}": group for place, group in enumerate(grid.groups)}


def flatten_groups(combination: Settings) -> Settings:
    """A cell with the mappings of its groups laid over it."""
    flat = {key: value for key, value in combination.items() if not key.startswith("group.")}
    for key, mapping in combination.items():
        if key.startswith("group."):
            flat = laid_over(flat, mapping)
    return flat


def matches(chosen: Mapping[str, Any], engine: str, mapping: Mapping[str, Any]) -> bool:
    """Whether a cell has all values of a mapping; a list in the mapping means any of them."""
    facts = {**chosen, "engine": engine}
    return bool(mapping) and all(key in facts and facts[key] in values_of(value) for key, value in mapping.items())


def count_cells(campaign: Campaign, suites: Mapping[str, Suite]) -> int:
    """Cells that expanding would make, before variants and exclusions: products only, nothing is built."""
    shared = axes_of(campaign.workload)

    def size(axes: Mapping[str, tuple[Any, ...]], suite: str | None) -> int:
        name = suite or campaign.workload.suite or DEFAULT_SUITE
        return prod(len(values) for values in axes.values()) * len(suites[name].benchmarks)

    total = sum(
        len(campaign.models)
        * size(shared | {f"option.{key}": values_of(value) for key, value in entry.options.items()}, entry.suite)
        for entry in campaign.engines
    )
    if grid := campaign.grid:
        for engine in grid.engines:
            total += size(grid_axes(grid, campaign, grid.sections.get(engine, {})), None)
        total += len(grid.include)
    return total + sum(size(laid_over(shared, axes_of(entry)), entry.suite) for entry in campaign.experiments)


def expand(
    campaign: Campaign, catalogue: Catalogue, suites: Mapping[str, Suite], offers: Mapping[str, Offer]
) -> Iterator[Cell]:
    """All cells of a campaign.

    Raises CampaignError when there would be more than ``limits.max_experiments``; the product is taken first, so a
    grid of a billion cells costs nothing.
    """
    total = count_cells(campaign, suites)
    if total > campaign.limits.max_experiments:
        problem = Problem(
            f"the campaign expands to {total:,} experiments, more than limits.max_experiments "
            f"({campaign.limits.max_experiments:,})",
            where="limits.max_experiments",
        )
        raise CampaignError([problem], hint="shorten an axis, or raise the limit if you mean it")
    return Expansion(campaign, catalogue, suites, offers).cells()


def options_key(options: Mapping[str, Any]) -> str:
    """One text for one set of options, to share what is computed from them."""
    return canonical_json(dict(options))
