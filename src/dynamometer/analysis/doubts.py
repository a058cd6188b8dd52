"""Reasons to trust a figure less: one small pure rule each, with the numbers that made it speak and what would help."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dynamometer.analysis.advice import CAMPAIGN, Advice
from dynamometer.analysis.measure import RunMetrics
from dynamometer.analysis.metrics.base import NEEDED, NOT_ENOUGH
from dynamometer.analysis.metrics.readings import of_one_origin, origins
from dynamometer.analysis.stats import BOOTSTRAP_FROM, FEWEST, drift, relative_mad
from dynamometer.domain.calibration import Beyond, CalibrationRef
from dynamometer.domain.experiment import Experiment
from dynamometer.domain.record import Oddity, Record
from dynamometer.domain.summary import Doubt, Estimate

UNSTABLE = 0.10
"""Relative MAD over cycles above which a metric is unstable."""
DRIFT_CHANCE = 0.01
DRIFT_CHANGE = 0.05
"""A drift is worth a word when it is this unlikely by chance and this large from first cycle to last."""
CLIENT_CPU = 0.6
"""Share of one core per client process above which the client may have been the bottleneck."""
CLIENT_LAG = 0.5
"""Late reads, as a share of the median ITL. The kernel has stamped what waits, so lateness alone blurs nothing; but it
may join segments that wait for a whole ITL, and then the stamp of the first is lost."""
CLIENT_LAG_MS = 0.1
"""Reads that are less late than this are not late, however close events come: those were sent together."""
OTHERS = 0.2
"""Cores that others keep busy, above which they may change what is measured."""
SEND_LATE_MS = 5.0
"""Sends later than this (p99) have changed the load that was asked for."""
RATE_KEPT = 0.99
"""Share of the asked rate below which it was not kept."""
PROMPT_OFF = 0.25
"""Share of the asked length that prompts may be longer or shorter, by the server's count."""
TEMPLATE_TOKENS = 48
"""Tokens more than asked for that a chat template alone may make: reports show them, and nothing is wrong."""
MERGED = 0.05
"""Share of events that arrived at once with another of their stream."""
WATCHED = ("output_tok_s", "ttft_ms", "itl_ms", "e2e_ms")
"""Metrics looked at for spread and drift."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of an experiment: what was recorded, and what it measures."""

    record: Record
    metrics: RunMetrics


@dataclass(frozen=True, slots=True)
class Row:
    """What the rules look at: an experiment, its finished runs in the order of cycles, its estimates."""

    experiment: Experiment
    runs: tuple[Run, ...]
    estimates: tuple[Estimate, ...]
    cycles_planned: int
    advice: Advice = CAMPAIGN
    """How hints are worded."""
    lost: tuple[RunMetrics, ...] = ()
    """Runs without a record whose requests are known."""
    remedy: str = CAMPAIGN.finish
    """What brings the cycles that are missing."""


Rule = Callable[[Row], Sequence[Doubt]]


def doubts_of(row: Row) -> tuple[Doubt, ...]:
    """All doubts about one row; of a row without figures only that its requests went wrong."""
    return tuple(doubt for rule in (RULES if row.runs else (errors,)) for doubt in rule(row))


def simulated(row: Row) -> list[Doubt]:
    """Nothing real ran."""
    if not (count := sum(run.record.simulated for run in row.runs)):
        return []
    return [Doubt(code="simulated", message=f"{_of(count, row)} simulated: these are not measurements")]


def too_few_cycles(row: Row) -> list[Doubt]:
    """No interval can be given."""
    if (n := len(row.runs)) >= FEWEST:
        return []
    hint = row.advice.more_cycles if row.cycles_planned < FEWEST else row.remedy
    message = f"{_cycles(n)}: an interval takes {FEWEST}, so nothing tells how far to trust these figures"
    return [Doubt(code="too_few_cycles", message=message, hint=hint)]


def few_samples(row: Row) -> list[Doubt]:
    """Percentiles left out because too few requests stand behind them."""
    short = [e for e in row.estimates if e.value is None and e.missing and e.missing.startswith(NOT_ENOUGH)]
    if not short:
        return []
    lacking: dict[str, list[str]] = {}
    for estimate in short:
        lacking.setdefault((estimate.missing or "").removeprefix(NOT_ENOUGH), []).append(estimate.metric)
    listed = "; ".join(f"{', '.join(names)} ({what})" for what, names in lacking.items())
    message = f"too few values in a run for {listed}"
    return [Doubt(code="few_samples", message=message, hint=row.advice.more_requests)]


def no_warmup(row: Row) -> list[Doubt]:
    """The window began cold."""
    if not (count := sum(run.record.warmup_requests == 0 for run in row.runs)):
        return []
    message = f"no warm-up in {_of(count, row)}: the window includes the engine's first steps"
    return [Doubt(code="no_warmup", message=message, hint=row.advice.warm_up)]


def unsteady_warmup(row: Row) -> list[Doubt]:
    """The warm-up ended at its cap, not because latency had settled."""
    unsteady = [run.record.warmup_requests for run in row.runs if run.record.warmup_steady is False]
    if not unsteady:
        return []
    message = f"latency had not settled after {max(unsteady)} warm-up requests in {_of(len(unsteady), row)}"
    return [Doubt(code="warmup_not_steady", message=message, hint=row.advice.warm_up_longer)]


def unstable(row: Row) -> list[Doubt]:
    """A metric varies much from cycle to cycle."""
    doubts = []
    for estimate in _watched(row):
        spread = relative_mad(_values(estimate))
        if len(_values(estimate)) >= FEWEST and spread is not None and spread > UNSTABLE:
            message = (
                f"{estimate.metric} is unstable: the median deviation over {_cycles(estimate.n)} is "
                f"{spread:.0%} of the median"
            )
            hint = "look for other load, throttling, or a window that is too short"
            doubts.append(Doubt(code="unstable", message=message, hint=hint, metric=estimate.metric))
    return doubts


def drifting(row: Row) -> list[Doubt]:
    """A metric moves in one direction from cycle to cycle."""
    doubts = []
    for estimate in _watched(row):
        trend = drift(_values(estimate))
        if trend is not None and trend.p < DRIFT_CHANCE and abs(trend.change) > DRIFT_CHANGE:
            message = f"{estimate.metric} drifts: {trend.change:+.0%} from the first cycle to the last of {estimate.n}"
            doubts.append(Doubt(code="drift", message=message, hint=row.advice.cool_down, metric=estimate.metric))
    return doubts


def client_busy(row: Row) -> list[Doubt]:
    """The client used so much processor time that it may have been what was measured."""
    shares = [
        run.record.client.cpu_s / run.record.client.wall_s / run.record.client.processes
        for run in row.runs
        if run.record.client.wall_s > 0 and run.record.client.processes > 0
    ]
    worst = max(shares, default=0.0)
    if worst <= CLIENT_CPU:
        return []
    most = max(run.record.client.processes for run in row.runs)
    who = "it was" if most == 1 else f"its {most} processes were"
    message = f"client saturated: {who} busy {worst:.0%} of the window in the worst of {_cycles(len(row.runs))}"
    return [Doubt(code="client_saturated", message=message, hint=row.advice.relieve_client)]


def late_sends(row: Row) -> list[Doubt]:
    """An open loop did not keep to its schedule, so the load was another than the one asked for."""
    records = [run.record for run in row.runs]
    late = [one for one in records if (one.client.send_lateness_p99_ms or 0) > SEND_LATE_MS or one.client.held]
    if not late:
        return []
    record = max(late, key=lambda one: (one.client.unsent, one.client.send_lateness_p99_ms or 0))
    worst = record.client
    scheduled, sent = worst.asked_per_s, worst.sent_per_s
    enough = record.requests - worst.unsent >= NEEDED[0.99]
    lateness = (worst.send_lateness_p99_ms if enough else worst.send_lateness_max_ms) or 0
    after = f"{lateness:.{0 if lateness >= 100 else 2}f} ms after its time"
    parts = [f"p99 {after}" if enough else f"up to {after}"]
    if scheduled is not None and sent is not None and sent < RATE_KEPT * scheduled:
        parts.insert(0, f"{_asked(row, scheduled)}, sent {sent:.4g}")
    if worst.held:
        most = row.experiment.workload.load.most_in_flight
        parts.append(f"{worst.held} requests were held while {most}, the most allowed, were in flight")
    if worst.unsent:
        parts.append(f"{worst.unsent} of them never sent")
    message = f"requests were sent late in {_of(len(late), row)}; at worst {', '.join(parts)}"
    hint = (
        "the engine does not keep up with this rate; TTFT and E2E hide the wait, the scheduled ones and goodput do not"
        if worst.held
        else "lower the rate, or give the client a core of its own; scheduled TTFT and E2E hold the wait"
    )
    return [Doubt(code="late_sends", message=message, hint=hint)]


def _asked(row: Row, scheduled: float) -> str:
    """The rate of the workload, and that of the schedule where chance has made it another."""
    rate = row.experiment.workload.load.rate
    if rate is None:
        return f"scheduled {scheduled:.4g} requests/s"
    drawn = f" (by chance {scheduled:.4g} in this cycle)" if abs(scheduled / rate - 1) > 1 - RATE_KEPT else ""
    return f"asked {rate:.4g} requests/s{drawn}"


def client_late(row: Row) -> list[Doubt]:
    """The client read so late that it came near to losing stamps. Only kernel stamps tell how late a read is."""
    lags = []
    for run in row.runs:
        itl, lag = run.metrics.values["itl_ms"].value, run.record.client.lag_p99_ms
        if itl is not None and lag is not None and lag > max(CLIENT_LAG * itl, CLIENT_LAG_MS):
            lags.append((lag, itl))
    if not lags:
        return []
    lag, itl = max(lags)
    of_it = f"{lag / itl:.0%} of" if lag <= itl else "longer than"
    message = f"the client read up to {lag:.3g} ms late (p99), {of_it} the median ITL of {itl:.3g} ms"
    hint = "a whole ITL late, events may merge and lose their stamps; lower the concurrency, or free a core"
    return [Doubt(code="client_late", message=message, hint=hint, metric="itl_ms")]


def merged_events(row: Row) -> list[Doubt]:
    """Events arrived together, so their own arrival is unknown."""
    events = sum(run.metrics.observed.events for run in row.runs)
    merged = sum(run.metrics.observed.merged for run in row.runs)
    if not events or merged / events <= MERGED:
        return []
    message = f"{merged / events:.0%} of {events} events arrived at once with another: gaps between them are unknown"
    hint = "the engine sends in bursts, or the client was late; read ITL with care, throughput is not touched"
    return [Doubt(code="merged_events", message=message, hint=hint, metric="itl_ms")]


def user_stamps(row: Row) -> list[Doubt]:
    """Arrival stamps are those of our process, not of the kernel."""
    if not (count := sum(run.record.client.clock == "user" for run in row.runs)):
        return []
    message = f"arrival stamps come from user space in {_of(count, row)}: latencies include our own delay in reading"
    hint = "kernel stamps take TCP on Linux"
    return [Doubt(code="user_stamps", message=message, hint=hint)]


def uncalibrated(row: Row) -> list[Doubt]:
    """Nothing tells what the stamps of the client are worth on this machine."""
    if not (count := sum(run.record.calibration is None and not run.record.simulated for run in row.runs)):
        return []
    message = f"no calibration of the client on the machine of {_of(count, row)}: the error of its stamps is not known"
    return [Doubt(code="uncalibrated", message=message, hint=row.advice.calibrate)]


def beyond_calibration(row: Row) -> list[Doubt]:
    """The run was harder for the client than anything it was calibrated at."""
    cited = [(run.record.calibration, run.record.client.processes) for run in row.runs]
    beyond = [(ref, processes) for ref, processes in cited if ref is not None and not ref.covered]
    if not beyond:
        return []
    reasons = dict.fromkeys(_harder(ref, reason, processes) for ref, processes in beyond for reason in ref.beyond)
    said = "; ".join(text for text, _ in reasons) or "harder than any of its levels"
    message = f"{_of(len(beyond), row)} beyond the calibration of the client: {said}; its stamps may be further off"
    hints = list(dict.fromkeys(hint for _, hint in reasons)) or [MORE_STREAMS]
    if MORE_EVENTS in hints and MORE_STREAMS in hints:
        hints.remove(MORE_STREAMS)
    hint = " and ".join(hints)
    return [Doubt(code="beyond_calibration", message=message, hint=hint)]


MORE_STREAMS = "dyno calibrate with more --streams"
MORE_EVENTS = f"{MORE_STREAMS} or a higher --rate"


def _harder(ref: CalibrationRef, reason: Beyond, processes: int) -> tuple[str, str]:
    """What a run of so many client processes was harder in than the level it cites, and what would help."""
    match reason:
        case "streams":
            return f"more than its {ref.streams} request{'s' * (ref.streams > 1)} in flight", MORE_STREAMS
        case "events":
            return f"more than its {ref.events_s:.0f} events/s", MORE_EVENTS
        case "stamps" if ref.clock == "kernel":
            return "stamps from user space, and it knows only the kernel's", "dyno calibrate --user-stamps"
        case "stamps":
            return "stamps from the kernel, and it knows only those from user space", "dyno calibrate"
        case "processes":
            told = f"{processes} client process{'es' * (processes > 1)}, not its {ref.processes}"
            return told, f"dyno calibrate --processes {processes}"
        case "behind":
            return (
                f"the client did not keep up with its {ref.streams} stream{'s' * (ref.streams > 1)}",
                "dyno calibrate on a quiet machine",
            )


def clock_steps(row: Row) -> list[Doubt]:
    """The wall clock jumped, so some kernel stamps could not be used."""
    if not (steps := sum(run.record.client.clock_steps for run in row.runs)):
        return []
    message = f"the wall clock jumped {steps} times: stamps of these moments are from user space"
    return [Doubt(code="clock_steps", message=message, hint="let the machine's time service settle before measuring")]


def errors(row: Row) -> list[Doubt]:
    """Requests went wrong; latencies and throughput are those of the others."""
    observed = [metrics.observed for metrics in (*(run.metrics for run in row.runs), *row.lost)]
    kinds = sum((Counter(one.errors) for one in observed), Counter[str]())
    bad, sent = kinds.total(), sum(one.requests for one in observed)
    if not bad:
        return []
    listed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    message = f"{bad} of {sent} requests went wrong ({bad / sent:.1%}: {listed})"
    message += "; figures are of the others" if row.runs else ""
    if unknown := row.cycles_planned - len(observed):
        message += f"; {_cycles(unknown)} without a record not counted"
    hint = row.advice.lighten_load if set(kinds) == {"unsent"} else row.advice.find_errors
    return [Doubt(code="errors", message=message, hint=hint)]


def ended_early(row: Row) -> list[Doubt]:
    """Somebody ended a window before its time."""
    ended = [run.record.ended_early for run in row.runs if run.record.ended_early is not None]
    if not ended:
        return []
    message = f"the window of {_of(len(ended), row)} was ended on request, {ended[0]}"
    return [Doubt(code="ended_early", message=message, hint="let it run to its end before you cite it")]


def sent_twice(row: Row) -> list[Doubt]:
    """The server broke its promise to keep connections, so a request was lost on the way and sent again."""
    if not (resent := sum(run.metrics.observed.resent for run in row.runs)):
        return []
    sent = sum(run.metrics.observed.requests for run in row.runs)
    message = (
        f"{resent} of {sent} requests were sent twice: the server had closed the connection that it promised to keep; "
        "their latencies count from the second time"
    )
    hint = (
        "from then on each request had a new connection; if the server does not close after every answer, a longer "
        "keep-alive time avoids that"
    )
    return [Doubt(code="sent_twice", message=message, hint=hint)]


def short_output(row: Row) -> list[Doubt]:
    """The engine stopped early although it was told not to."""
    short = sum(run.metrics.observed.short for run in row.runs)
    if not short:
        return []
    good = sum(run.metrics.observed.good for run in row.runs)
    asked = row.experiment.workload.max_output_tokens
    wanted = f"the {asked} tokens" if isinstance(asked, int) else "the tokens"
    message = f"{short} of {good} answers have fewer than {wanted} asked for, although ignore_eos is set"
    return [Doubt(code="short_output", message=message, hint="rows with unlike token counts do not compare")]


def usage_mismatch(row: Row) -> list[Doubt]:
    """The server's counts and its events contradict each other."""
    worst = [pair for run in row.runs if (pair := run.metrics.observed.worst_mismatch) is not None]
    if not worst:
        return []
    odd = sum(run.metrics.observed.mismatched for run in row.runs)
    good = sum(run.metrics.observed.good for run in row.runs)
    told, events = max(worst, key=lambda pair: abs(pair[0] - pair[1]))
    message = (
        f"in {odd} of {good} answers the server's usage contradicts its events or what was asked for; at worst it "
        f"tells {told} tokens, and {events} events with tokens came"
    )
    return [Doubt(code="usage_mismatch", message=message, hint=row.advice.read_counts, metric="output_tok_s")]


def odd_answers(row: Row) -> list[Doubt]:
    """Answers did what their API does not allow, and count as whole all the same. One doubt for each kind."""
    good = sum(run.metrics.observed.good for run in row.runs)
    doubts = []
    for kind, (what, hint) in ODD.items():
        told = [run.metrics.observed.odd[kind] for run in row.runs if kind in run.metrics.observed.odd]
        answers, events = (sum(counts) for counts in zip(*told, strict=True)) if told else (0, 0)
        if answers:
            message = f"{answers} of {good} answers {what}" + (f" ({events} events)" if events > answers else "")
            doubts.append(Doubt(code="odd_answers", message=message, hint=hint))
    return doubts


ODD: Mapping[Oddity, tuple[str, str]] = {
    "after_finish": (
        "went on after their finish reason",
        "what came then counts like the rest, and E2E ends with it; clients that stop at the finish reason miss it",
    ),
    "after_done": ("went on after their end mark", "what came then was not read and counts nowhere"),
    "no_done": (
        "ended without [DONE]",
        "they count as whole, for a finish reason came; a usage that was to follow may be lost",
    ),
    "not_utf8": (
        "contained bytes that are not UTF-8",
        "these events count like the others; their text is not what the model wrote, perhaps cut within a character",
    ),
    "choices": (
        "had more choices than the one asked for",
        "arrivals are those of the first; the server's usage, and so throughput, may count all",
    ),
    "finish_changed": (
        "gave two finish reasons that differ",
        "the last one is kept",
    ),
    "usage_changed": (
        "gave two usages that contradict each other",
        "the last one counts; check the server's usage before you cite throughput",
    ),
    "usage_no_count": (
        "gave no count of output tokens in their usage: 0 although tokens came, or no number",
        "events are counted instead where they tell their tokens, else what takes the count is n/a",
    ),
}
"""What odd answers did, and what that means for the figures."""


def prompt_length(row: Row) -> list[Doubt]:
    """Prompts have another length than was asked for, which is taken of the text alone and without the model.

    Lengths that are drawn are not judged by their mean.
    """
    asked = row.experiment.workload.asked_input_tokens
    told = next((e.value for e in row.estimates if e.metric == "prompt_tokens"), None)
    if told is None or not isinstance(asked, int):
        return []
    off = told / asked - 1
    if abs(off) <= PROMPT_OFF or 0 < told - asked <= TEMPLATE_TOKENS:
        return []
    message = (
        f"prompts have {told:.0f} tokens by the server's count, {abs(off):.0%} {'more' if off > 0 else 'fewer'} "
        f"than the {asked} asked for"
    )
    hint = (
        "the length asked for is that of the text; the chat template adds to it, which weighs less on longer prompts"
        if off > 0
        else "the server may leave cached tokens out of its count, or cut prompts"
    )
    return [Doubt(code="prompt_length", message=message, hint=hint, metric="prompt_tokens")]


def cached_prompts(row: Row) -> list[Doubt]:
    """A prefix cache answered in part, which flatters TTFT."""
    cached = sum(run.metrics.observed.cached for run in row.runs)
    if not cached:
        return []
    sent = sum(run.metrics.observed.requests for run in row.runs)
    tokens = sum(run.metrics.observed.cached_tokens for run in row.runs)
    message = f"a prefix cache answered {tokens} prompt tokens in {cached} of {sent} requests: TTFT is flattered"
    return [Doubt(code="cached_prompts", message=message, hint=row.advice.fresh_prompts, metric="ttft_ms")]


def host_busy(row: Row) -> list[Doubt]:
    """Other programs used the processor during the window."""
    readings = ((reading, run) for run in row.runs for reading in run.record.readings)
    others = [
        (reading.value, run.record.host.cores)
        for reading, run in readings
        if reading.quantity == "other_cpu" and reading.value is not None and reading.value > OTHERS
    ]
    if not others:
        return []
    most, cores = max(others)
    message = f"other programs used up to {most:.1f} of {cores} cores during {_of(len(others), row)}"
    return [Doubt(code="host_busy", message=message, hint=row.advice.measure_again)]


def too_many_threads(row: Row) -> list[Doubt]:
    """More threads asked for than there are cores."""
    options = row.experiment.options
    asked = max(
        (value for key in ("n_threads", "n_threads_batch") if isinstance(value := options.get(key), int)), default=0
    )
    cores = min(run.record.host.cores for run in row.runs)
    if asked <= cores:
        return []
    message = f"{asked} threads on {cores} cores: threads wait for each other"
    return [Doubt(code="too_many_threads", message=message, hint=f"set n_threads to {cores} or fewer")]


def unlike_cycles(row: Row) -> list[Doubt]:
    """Cycles that are averaged were not made under the same conditions."""
    facts: dict[str, set[str]] = {
        "different hosts": {run.record.host.fingerprint for run in row.runs},
        "different engine versions": {run.record.engine.version or "unknown" for run in row.runs},
        "different model files (by hash)": {run.record.model.sha256 or "unknown" for run in row.runs},
        "different files of prompts (by hash)": {run.record.dataset_sha256 or "" for run in row.runs} - {""},
        "different traces (by hash)": {run.record.trace_sha256 or "" for run in row.runs} - {""},
    }
    return [
        Doubt(
            code="unlike_cycles",
            message=f"the cycles of one row have {len(values)} {what}: {', '.join(sorted(v[:16] for v in values))}",
            hint="do not average over these; measure anew, all cycles alike",
        )
        for what, values in facts.items()
        if len(values) > 1
    ]


def mixed_energy(row: Row) -> list[Doubt]:
    """Energy is estimated, or comes from elsewhere in some cycles than in others, which then do not count."""
    told = [run.metrics.values["energy_j"] for run in row.runs]
    found, counted = origins(told), of_one_origin(told)
    if len(found) > 1:
        others = " and ".join(str(origin) for origin in found if origin not in origins(counted))
        n = sum(one.value is not None for one in counted)
        which = f"in {_of(n, row)}, which alone count, it is {origins(counted)[0]}" if n else "none counts"
        message = f"energy of the cycles does not average: it is {others}; {which}"
        hint = "have one sensor measure the energy of all cycles"
        return [Doubt(code="energy_source", message=message, hint=hint, metric="energy_j")]
    message = " and ".join(f"energy is {origin}" for origin in found if origin.kind == "estimated")
    alone = "it compares with no energy that is measured"
    return [Doubt(code="energy_source", message=message, hint=alone, metric="energy_j")] if message else []


def forced_bootstrap(row: Row) -> list[Doubt]:
    """The bootstrap was asked for where it lies."""
    made = {e.n for e in row.estimates if e.method and e.method.startswith("bca") and e.n < BOOTSTRAP_FROM}
    if not made:
        return []
    n = min(made)
    message = f"bootstrap intervals of {_cycles(n)} are too narrow: at a nominal 95 % they cover about {_COVERED[n]} %"
    return [Doubt(code="forced_bootstrap", message=message, hint="leave out --interval bootstrap")]


_COVERED = {3: 72, 4: 79, 5: 83, 6: 86, 7: 86, 8: 87, 9: 88}
"""Per cent that nominal 95 % BCa intervals of the mean cover at that n: 1,500 simulated log-normal samples each."""

RULES: tuple[Rule, ...] = (
    simulated,
    ended_early,
    too_few_cycles,
    unlike_cycles,
    errors,
    sent_twice,
    late_sends,
    short_output,
    usage_mismatch,
    odd_answers,
    prompt_length,
    cached_prompts,
    no_warmup,
    unsteady_warmup,
    unstable,
    drifting,
    client_busy,
    client_late,
    merged_events,
    user_stamps,
    beyond_calibration,
    clock_steps,
    host_busy,
    too_many_threads,
    mixed_energy,
    forced_bootstrap,
    few_samples,
    uncalibrated,
)
"""All rules, gravest first."""


def _watched(row: Row) -> list[Estimate]:
    """Those that the engine makes: the throughput of random arrivals is what chance asked for."""
    drawn = {"output_tok_s"} if row.experiment.workload.load.arrivals == "poisson" else set()
    return [e for e in row.estimates if e.metric in WATCHED and e.metric not in drawn and e.value is not None]


def _values(estimate: Estimate) -> list[float]:
    return [value for value in estimate.per_cycle if value is not None]


def _of(count: int, row: Row) -> str:
    return f"{count} of {_cycles(len(row.runs))}"


def _cycles(n: int) -> str:
    return "1 cycle" if n == 1 else f"{n} cycles"
