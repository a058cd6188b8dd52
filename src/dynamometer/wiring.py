"""The only place that builds real objects and joins rooms: a file becomes a plan, a plan becomes a running campaign."""

from __future__ import annotations

import os
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import platformdirs
import psutil

from dynamometer import __version__
from dynamometer.analysis.compare import Terms, compare
from dynamometer.analysis.match import Matched, across, select, within
from dynamometer.analysis.measure import RunMetrics, measure
from dynamometer.analysis.summarise import Analysed, analyse
from dynamometer.campaign.loop import Loop, Places
from dynamometer.campaign.stop import StopRequest
from dynamometer.domain.campaign import Campaign
from dynamometer.domain.comparison import Comparison
from dynamometer.domain.engine import Catalogue
from dynamometer.domain.event import Claimed, Closed, Opened, Replanned, Stamped
from dynamometer.domain.experiment import Experiment, Weights, Workload
from dynamometer.domain.failure import Failure
from dynamometer.domain.plan import Facts, Plan, RunRef, Suite
from dynamometer.domain.record import Record
from dynamometer.domain.status import CampaignStatus, RunStatus
from dynamometer.domain.step import Step
from dynamometer.domain.summary import Summary
from dynamometer.domain.variant import Offer, Variant
from dynamometer.engines import ENGINES, catalogue
from dynamometer.engines.process import sweep
from dynamometer.errors import CampaignError, DynoError, NotFoundError, PreconditionError, UsageError
from dynamometer.executors.base import Executor
from dynamometer.executors.host import HostExecutor
from dynamometer.executors.simulated import SimulatedExecutor
from dynamometer.load.prompts import BUILTIN, SYNTHETIC
from dynamometer.load.traces import parse_trace
from dynamometer.plan.make import make_plan
from dynamometer.plan.order import order
from dynamometer.plan.resume import Change, Remaining, compare_plans, remaining
from dynamometer.sources import demo, hub_datasets, local
from dynamometer.sources.cache import default_cache
from dynamometer.spec.layers import from_environment, parse_preferences
from dynamometer.spec.parse import CampaignFile, ExperimentFile, campaign_from_experiment, parse, parse_experiment
from dynamometer.spec.resolve import Resolved, config_references, merge, resolve
from dynamometer.spec.suites import parse_suite
from dynamometer.store import open as campaigns
from dynamometer.store.calibrations import default_state
from dynamometer.store.files import make_folder, remove_temporaries, write_whole
from dynamometer.store.index import Index, IndexWriter
from dynamometer.store.journal import JournalWriter
from dynamometer.store.layout import CampaignFolder
from dynamometer.store.lock import own, process_start
from dynamometer.store.manifest import ManifestWriter, write_manifest, write_progress
from dynamometer.store.plans import config_hash, read_plan, write_plan
from dynamometer.store.records import read_record, read_samples
from dynamometer.worker.bench import Benched

STDIN = "-"
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


@dataclass(frozen=True, slots=True)
class Prepared:
    """A campaign file, read and planned. What validate and the dry run print, and what run runs."""

    text: str
    source: str
    base: Path
    """Folder that relative paths in the file start from."""
    resolved: Resolved
    plan: Plan

    @property
    def campaign(self) -> Campaign:
        """The canonical campaign."""
        return self.resolved.campaign

    @property
    def results(self) -> Path:
        """Where campaign folders are made."""
        return Path(self.campaign.io.results_dir).expanduser()


def read_source(source: str) -> tuple[bytes, Path]:
    """Bytes of a file, or of standard input for ``-``, and the folder that relative paths in it start from."""
    if source == STDIN:
        return sys.stdin.buffer.read(), Path.cwd()
    path = Path(source)
    try:
        return path.read_bytes(), path.resolve().parent
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"no file {source}") from error
    except IsADirectoryError as error:
        raise UsageError(f"{source} is a folder", hint="give a campaign file") from error
    except OSError as error:
        raise PreconditionError(f"cannot read {source}: {error.strerror}") from error


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
    _check_traces(plan, base / campaign.io.config_dir)
    return Prepared(file.text, file.file, base, resolved, plan)


def _check_traces(plan: Plan, folder: Path) -> None:
    """Read every trace once. Raises NotFoundError for one that is not there, CampaignError for a wrong one."""
    traces = (experiment.workload.load.trace for experiment in plan.experiments)
    for trace in dict.fromkeys(trace for trace in traces if trace is not None):
        raw, _ = read_source(str(folder / trace))
        parse_trace(raw.decode("utf-8", "replace"), trace)


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
        lines = [f"  {item.name}: {item.reason} (x {item.count})" for item in plan.excluded]
        raise PreconditionError("\n".join(["nothing is left to run:", *lines]))
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


@dataclass(slots=True)
class Session:
    """One owner's work on a campaign folder: what came before, what is left, and the journal to write to."""

    prepared: Prepared
    folder: CampaignFolder
    journal: JournalWriter
    remaining: Remaining
    change: Change
    swept: int
    """Left-over processes of an earlier owner that were killed."""

    @property
    def status(self) -> CampaignStatus:
        """Where the campaign stands, kept up to date."""
        return self.journal.status


Listener = Callable[[Stamped], None]


@dataclass(slots=True)
class Hooks:
    """What the caller wants to see and to decide."""

    stop: StopRequest
    on_begin: Callable[[Session], None] = lambda _: None
    """Told what came before, once the campaign is ours."""
    listeners: Callable[[Session], Sequence[Listener]] = lambda _: ()
    """Asked for listeners when there is something to run."""
    retry_failed: Callable[[int], bool] = lambda _: True
    """Asked with the number of failed runs when a campaign is resumed."""
    go_on: Callable[[str], bool] = lambda _: False
    on_pause: Callable[[float], None] = lambda _: None
    executor: Executor | None = None
    notes: list[str] = field(default_factory=list)


def new_campaign(prepared: Prepared) -> CampaignFolder:
    """Make the folder of a new campaign."""
    check_runnable(prepared.plan)
    check_files(prepared, range(len(prepared.plan.experiments)))
    now = datetime.now(UTC)
    return campaigns.create(prepared.results, prepared.campaign.name, prepared.text, prepared.plan, now)


def find_campaign(wanted: str, results: Path = Path("results")) -> Path:
    """The folder of a campaign by path, id, or beginning of it; in the index or under ``results``."""
    known = [entry.folder for entry in Index(home().index).entries()]
    return campaigns.find(wanted, known, results)


def newest_campaign(results: Path = Path("results")) -> Path:
    """The campaign that was made last, in the index or under ``results``."""
    return campaigns.newest([entry.folder for entry in Index(home().index).entries()], results)


def resumable(prepared: Prepared) -> Path | None:
    """The newest campaign of that name under its results folder."""
    return campaigns.latest_of(prepared.campaign.name, prepared.results)


def run(prepared: Prepared, folder: CampaignFolder, hooks: Hooks) -> tuple[Session, Closed | None]:
    """Own the campaign and walk what is left of it; Closed is None when nothing was left.

    Raises LockedError when another process owns it, PreconditionError when this machine cannot run it.
    """
    check_runnable(prepared.plan)
    since = datetime.now(UTC).isoformat(timespec="seconds")
    with own(folder.lock, since), JournalWriter(folder.journal) as journal:
        session = _begin(prepared, folder, journal, hooks)
        hooks.on_begin(session)
        for listener in _listeners(session):
            journal.listen(listener)
        if not session.remaining.runs:
            _settle(session)
            return session, None
        check_files(prepared, {ref.experiment for _, ref in session.remaining.runs})
        for listener in hooks.listeners(session):
            journal.listen(listener)
        start = process_start(os.getpid()) or 0.0
        left = len(session.remaining.runs)
        journal.append(Claimed(pid=os.getpid(), process_start=start, host=socket.gethostname(), remaining=left))
        loop = Loop(
            plan=prepared.plan,
            folder=folder,
            journal=journal,
            executor=hooks.executor or executor_for(prepared.campaign),
            stop=hooks.stop,
            places=places_of(prepared),
            go_on=hooks.go_on,
            on_pause=hooks.on_pause,
        )
        try:
            closed = loop.walk(session.remaining)
        finally:
            write_manifest(folder.manifest, prepared.plan, journal.status)
        return session, closed


def _settle(session: Session) -> None:
    """Nothing is left to run: have the journal, and all that is read from it, say how the campaign stands.

    An owner that died after its last run, a repair, or fewer cycles leave that unsaid.
    """
    state: Literal["failed", "completed"] = "failed" if session.status.counts.get("failed") else "completed"
    if session.status.state != state:
        session.journal.append(Closed(state=state))
    write_manifest(session.folder.manifest, session.prepared.plan, session.status)


def _begin(prepared: Prepared, folder: CampaignFolder, journal: JournalWriter, hooks: Hooks) -> Session:
    plan, change = prepared.plan, Change((), ())
    digest = config_hash(plan)
    if not journal.status.campaign_id:
        journal.append(
            Opened(
                campaign_id=folder.root.name,
                name=plan.campaign.name,
                source=prepared.source,
                config_hash=digest,
                runs=len(plan.runs),
                version=__version__,
            )
        )
    else:
        change = _change(prepared, folder, journal.status)
        if change or digest != journal.status.config_hash or not folder.plan.exists():
            write_whole(folder.campaign, prepared.text)
            write_plan(folder.plan, plan)
            journal.append(
                Replanned(config_hash=digest, added=change.added, removed=change.removed, runs=len(plan.runs))
            )
    swept = sweep(folder.root.resolve())
    remove_temporaries(folder.root)
    failed = journal.status.counts.get("failed", 0)
    retry = hooks.retry_failed(failed) if failed else True
    left = remaining(plan, journal.status, retry_failed=retry)
    for run_id in left.stale:
        remove_temporaries(folder.attempt(run_id, journal.status.runs[run_id].attempts))
    return Session(prepared, folder, journal, left, change, swept)


def _change(prepared: Prepared, folder: CampaignFolder, status: CampaignStatus) -> Change:
    """What the file adds to the campaign and takes from it.

    The journal has the last word on runs it knows: plan.json may be gone, and a crash may have come between writing it
    and saying so. Raises UsageError when the file is that of another campaign.
    """
    plan = prepared.plan
    earlier = read_plan(folder.plan).run_ids if folder.plan.exists() else plan.run_ids
    before = [run for run in dict.fromkeys([*earlier, *status.runs]) if run not in status.removed]
    if plan.campaign.name != status.name and not plan.by_run_id.keys() & before:
        raise UsageError(
            f"{prepared.source} is campaign {plan.campaign.name!r}; {folder.root.name} is {status.name!r}, "
            "and they have no run in common",
            hint="name the campaign of this file, or leave --campaign-id out",
        )
    return compare_plans(before, plan.run_ids)


def _listeners(session: Session) -> list[Listener]:
    status, folder = session.status, session.folder
    state_dir = Path(session.prepared.campaign.io.state_dir).expanduser()
    make_folder(state_dir)
    progress = state_dir / f"{status.campaign_id}.json"

    def write_progress_file(stamped: Stamped) -> None:
        if stamped.body.event in ("claimed", "done", "failed", "closed"):
            write_progress(progress, status, folder.root.resolve())

    return [
        ManifestWriter(folder.manifest, session.prepared.plan, status),
        write_progress_file,
        IndexWriter(Index(home().index), folder.root, status),
    ]


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
            records[run_id] = found.record
            metrics[run_id] = measure(found.record, read_samples(path.parent / found.record.samples_file))
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
    root_a, row_a = _campaign_and_row(first, results)
    a = summary_of(root_a)
    if second is None:
        matched = _within_one(a.analysed, select(a.analysed, row_a), by)
        return Compared(compare(a.analysed, a.analysed, matched, terms, version=__version__), a.damaged)
    if by is not None:
        raise UsageError("--by compares rows of one campaign, and two were given", hint="leave --by or the second out")
    root_b, row_b = _campaign_and_row(second, results)
    b = a if root_b.resolve() == root_a.resolve() else summary_of(root_b)
    matched = across(a.analysed, select(a.analysed, row_a), b.analysed, select(b.analysed, row_b))
    damaged = tuple(dict.fromkeys((*a.damaged, *b.damaged)))
    return Compared(compare(a.analysed, b.analysed, matched, terms, version=__version__), damaged)


def _within_one(campaign: Analysed, rows: Sequence[int], by: str | None) -> Matched:
    if by is not None:
        return within(campaign, rows, by)
    if len(rows) == 2:
        return Matched(((rows[0], rows[1]),))
    raise UsageError(
        f"{campaign.summary.campaign_id} has {len(rows)} rows: which are to be compared?",
        hint="say what alone differs (--by engine, quant, load, or an option), or name two: ID:ROW ID:ROW",
    )


def _campaign_and_row(wanted: str, results: Path) -> tuple[Path, str | None]:
    """The folder and the row of ``CAMPAIGN`` or ``CAMPAIGN:ROW``."""
    name, colon, row = wanted.partition(":")
    try:
        return find_campaign(wanted, results), None
    except NotFoundError:
        if not colon:
            raise
    return find_campaign(name, results), row


def bench_plan(url: str, model: str, workloads: Sequence[Workload], cycles: int) -> Plan:
    """The plan of a bench: one experiment for each load, on an engine that is not ours."""
    weights = Weights(format=None, source="endpoint", ref=url)
    experiments = {
        experiment.id: experiment
        for workload in workloads
        for experiment in [Experiment(engine="openai", model=model, weights=weights, workload=workload)]
    }
    campaign = Campaign.model_validate(
        {
            "name": f"bench {url}",
            "cycles": cycles,
            "models": [{"name": model, "path": url}],
            "engines": [{"name": "openai"}],
        }
    )
    return Plan(
        campaign=campaign,
        experiments=tuple(experiments.values()),
        runs=order(len(experiments), cycles, "interleaved", campaign.seed),
    )


def bench_step(plan: Plan, run_id: str, run: RunRef, timeout_s: float) -> Step:
    """One run of a bench."""
    return Step(
        campaign_id="",
        run_id=run_id,
        cycle=run.cycle,
        attempt=1,
        experiment=plan.experiment_of(run),
        timeout_s=timeout_s,
        energy_source="none",
    )


def bench_results(plan: Plan, found: Mapping[str, Benched]) -> Results:
    """What a bench found, as a campaign's results are summarised."""
    status = CampaignStatus(name=plan.campaign.name, planned=len(plan.runs), created=_now(), version=__version__)
    records: dict[str, Record] = {}
    metrics: dict[str, RunMetrics] = {}
    for run_id, one in found.items():
        if one.record is None:
            failure = Failure(kind="runtime", message=one.problem or "nothing came")
            status.runs[run_id] = RunStatus(state="failed", attempts=1, failures=1, failure=failure)
        else:
            status.runs[run_id] = RunStatus(state="completed", attempts=1)
            records[run_id] = one.record
            metrics[run_id] = measure(one.record, one.samples)
    status.counts = dict(Counter(run.state for run in status.runs.values()))
    ended = len(found) == len(plan.runs)
    status.state = "interrupted" if not ended else "failed" if status.counts.get("failed") else "completed"
    return Results(analyse(plan, status, records, metrics, version=__version__), ())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
