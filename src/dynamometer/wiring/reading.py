"""Records become summaries and comparisons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from dynamometer import __version__
from dynamometer.analysis.advice import BENCH, Advice
from dynamometer.analysis.compare import Terms, compare
from dynamometer.analysis.match import Defaults, Matched, across, select, within
from dynamometer.analysis.measure import RunMetrics, measure, measure_lost
from dynamometer.analysis.summarise import Analysed, analyse
from dynamometer.domain.comparison import Comparison
from dynamometer.domain.failure import Failure
from dynamometer.domain.plan import Plan
from dynamometer.domain.record import Record
from dynamometer.domain.status import CampaignStatus, RunStatus
from dynamometer.domain.summary import RunState, Summary
from dynamometer.engines import catalogue
from dynamometer.errors import DynoError, NotFoundError, UsageError
from dynamometer.store import open as campaigns
from dynamometer.store.records import read_record, read_samples
from dynamometer.wiring.owning import find_campaign
from dynamometer.worker.bench import Benched


@dataclass(frozen=True, slots=True)
class Results:
    """What the records of a campaign say, and the records that do not read."""

    analysed: Analysed
    damaged: tuple[str, ...]

    @property
    def summary(self) -> Summary:
        """What reports print."""
        return self.analysed.summary


def summary_of(root: Path, interval_method: str | None = None) -> Results:
    """Read a campaign's records, also while it runs, and compute its summary."""
    opened = campaigns.read(root)
    records: dict[str, Record] = {}
    metrics: dict[str, RunMetrics] = {}
    damaged = []
    for run_id, run in opened.status.runs.items():
        if run.state != "completed" or run.record is None or run_id not in opened.plan.by_run_id:
            continue
        path = root / run.record
        try:
            found = read_record(path)
            if found.sha256 != run.record_sha256:
                damaged.append(f"{path}: it was changed after it was written")
                continue
            samples = read_samples(path.parent / found.record.samples_file, found.record.samples_sha256)
            metrics[run_id] = measure(found.record, samples)
            records[run_id] = found.record
        except DynoError as error:
            damaged.append(error.message)
    analysed = analyse(
        opened.plan, opened.status, records, metrics, version=__version__, interval_method=interval_method
    )
    return Results(analysed, tuple(damaged))


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison, and the records of both sides that do not read."""

    comparison: Comparison
    damaged: tuple[str, ...]


def compare_campaigns(first: str, second: str | None, by: str | None, results: Path, terms: Terms) -> Compared:
    """Rows of ``second`` against rows of ``first``, or rows of one campaign that differ in ``by`` alone.

    A side is a campaign as ``find_campaign`` takes it, or ``CAMPAIGN:ROW`` (see ``analysis.match.select``). Raises
    UsageError when nothing belongs together, NotFoundError for an unknown campaign or row.
    """
    terms = replace(terms, defaults=_defaults())
    root_a, row_a = _campaign_and_row(first, results)
    a = summary_of(root_a)
    if second is None:
        matched = _within_one(a.analysed, select(a.analysed, row_a), by, terms.defaults)
        return Compared(compare(a.analysed, a.analysed, matched, terms, version=__version__), a.damaged)
    if by is not None:
        raise UsageError("--by compares rows of one campaign, and two were given", hint="leave --by or the second out")
    root_b, row_b = _campaign_and_row(second, results)
    b = a if root_b.resolve() == root_a.resolve() else summary_of(root_b)
    matched = across(a.analysed, select(a.analysed, row_a), b.analysed, select(b.analysed, row_b))
    damaged = tuple(dict.fromkeys((*a.damaged, *b.damaged)))
    return Compared(compare(a.analysed, b.analysed, matched, terms, version=__version__), damaged)


def _within_one(campaign: Analysed, rows: Sequence[int], by: str | None, defaults: Defaults) -> Matched:
    if by is not None:
        return within(campaign, rows, by, defaults)
    if len(rows) == 2:
        return Matched(((rows[0], rows[1]),))
    if len(rows) == 1:
        raise UsageError(
            f"{campaign.summary.campaign_id} has one row, and nothing to compare it with", hint="name a second campaign"
        )
    raise UsageError(
        f"{campaign.summary.campaign_id} has {len(rows)} rows: which are to be compared?",
        hint="say what alone differs (--by engine, quant, load, or an option), or name two: ID:ROW ID:ROW",
    )


def _defaults() -> Defaults:
    """Options that engines have when nobody sets them; those without a default are left out."""
    return {
        traits.name: {
            key: field.get_default(call_default_factory=True)
            for key, field in traits.options.model_fields.items()
            if not field.is_required()
        }
        for traits in catalogue().engines.values()
    }


def _campaign_and_row(wanted: str, results: Path) -> tuple[Path, str | None]:
    """The folder and the row of ``CAMPAIGN`` or ``CAMPAIGN:ROW``."""
    name, colon, row = wanted.partition(":")
    try:
        return find_campaign(wanted, results), None
    except NotFoundError:
        if not colon:
            raise
    return find_campaign(name, results), row


def bench_results(plan: Plan, found: Mapping[str, Benched], advice: Advice = BENCH) -> Results:
    """What a bench found, as a campaign's results are summarised. ``advice``: how hints are worded."""
    status = CampaignStatus(name=plan.campaign.name, planned=len(plan.runs), created=_now(), version=__version__)
    records: dict[str, Record] = {}
    metrics: dict[str, RunMetrics] = {}
    for run_id, one in found.items():
        if one.record is None:
            failure = Failure(kind="runtime", message=one.problem or "nothing came")
            status.runs[run_id] = RunStatus(state="failed", attempts=1, failures=1, failure=failure)
            if one.samples:
                run = plan.by_run_id[run_id]
                metrics[run_id] = measure_lost(plan.experiment_of(run), run.cycle, one.samples)
        else:
            state: RunState = "completed" if one.record.ended_early is None else "ended_early"
            status.runs[run_id] = RunStatus(state=state, attempts=1)
            records[run_id] = one.record
            metrics[run_id] = measure(one.record, one.samples)
    status.counts = dict(Counter(run.state for run in status.runs.values()))
    ended = len(found) == len(plan.runs) and "ended_early" not in status.counts
    status.state = "interrupted" if not ended else "failed" if status.counts.get("failed") else "completed"
    return Results(analyse(plan, status, records, metrics, version=__version__, advice=advice), ())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
