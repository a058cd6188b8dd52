"""``dyno bench``: the client alone, against an endpoint that already runs."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING, get_args

import click

from dynamometer.campaign.stop import listening
from dynamometer.cli.bench_options import (
    SWEEP_TO,
    Count,
    Numbers,
    Share,
    check_fits,
    check_save,
    key_of,
    loads_of,
    name_of,
    seconds_of,
    slo_of,
    text_of,
    workload_of,
)
from dynamometer.cli.bench_stop import Patience
from dynamometer.cli.groups import Grouped
from dynamometer.cli.lazy import load
from dynamometer.cli.options import colour_option, echo_whole, json_option, quiet_option, say_written, write_file
from dynamometer.cli.readers import drop_stuck
from dynamometer.domain.plan import Plan
from dynamometer.domain.wire import Api
from dynamometer.errors import GateBroken, Interrupted, PreconditionError, RunsFailed, Terminated, UsageError
from dynamometer.report.figures import one_line
from dynamometer.wiring import benching
from dynamometer.worker.bench import (
    RUNS_HINT,
    TLS_HINT,
    Benched,
    bench,
    endpoint_of,
    find_model,
    make_room_for,
    server_of,
)

if TYPE_CHECKING:
    from dynamometer.analysis.advice import Advice

GROUPS = {
    "Server": ("model", "api", "api_key_env"),
    "Load": ("concurrency", "sweep", "rate", "arrivals", "requests", "duration", "warmup", "cycles"),
    "Requests": ("dataset", "input_tokens", "output_tokens", "ignore_eos", "stream", "seed"),
    "Limits": ("slo", "max_error_share", "timeout", "processes"),
}
EPILOG = """Examples:

\b
  dyno bench http://127.0.0.1:8080
  dyno bench URL --sweep -c 32 --cycles 3
  dyno bench URL -r 2,4 --arrivals poisson -d 60s --slo ttft_ms=500
  dyno bench https://llm.example.com --api-key-env LLM_API_KEY --save raw.jsonl

Exit codes: 4 when a run gave nothing, 5 when more requests went wrong than --max-error-share allows, 8 when there is
no server. 'dyno --help' has all.
"""


@click.command("bench", cls=Grouped, groups=GROUPS, epilog=EPILOG)
@click.argument("url")
@click.option("--model", metavar="NAME", help="Model to ask for; the first that the server lists when left out.")
@click.option("--api", type=click.Choice(get_args(Api)), default="chat", show_default=True, help="API to use.")
@click.option("-c", "--concurrency", type=Numbers(), help="Requests in flight; several are run one after the other.")
@click.option("-r", "--rate", type=Numbers(), help="Requests per second, whatever is in flight; several as above.")
@click.option("--arrivals", type=click.Choice(["constant", "poisson"]), help="Gaps of --rate.")
@click.option("--sweep", is_flag=True, help=f"Double the concurrency from 1 to --concurrency ({SWEEP_TO} if left out).")
@click.option("-n", "--requests", type=Count(1, 1_000_000), help="Requests of a run; 64 when left out.")
@click.option("-d", "--duration", metavar="TIME", help="Length of a run instead, such as 30s.")
@click.option("--input-tokens", type=Count(1), default=128, show_default=True, help="Length of prompts.")
@click.option("--output-tokens", type=Count(1), default=128, show_default=True, help="Length of answers.")
@click.option("--ignore-eos/--no-ignore-eos", default=False, help="Send ignore_eos, which some servers know.")
@click.option("--stream/--no-stream", default=True, help="Stream tokens. Without it there is no TTFT and no ITL.")
@click.option(
    "--dataset",
    metavar="NAME",
    default="builtin",
    show_default=True,
    help="builtin, synthetic, or a JSONL file of prompts.",
)
@click.option("--slo", metavar="KEY=MS,…", help="Service level for goodput: ttft_ms=500,itl_ms=50,e2e_ms=9000.")
@click.option("--warmup", type=Count(0), default=4, show_default=True, help="Requests before each run.")
@click.option(
    "--cycles",
    type=Count(1, 1000),
    default=1,
    show_default=True,
    help="Repetitions, for intervals.",
)
@click.option("--seed", type=Count(0), default=42, show_default=True, help="Seed of prompts and arrivals.")
@click.option("--timeout", default="30m", show_default=True, metavar="TIME", help="Longest time for one run.")
@click.option(
    "--processes",
    type=Count(1, 64),
    default=1,
    show_default=True,
    help="Processes that share the load, when one core is not enough for the client.",
)
@click.option(
    "--max-error-share",
    type=Share(),
    help="Exit code 5 when more than this share of the requests of any load went wrong: 0, 0.01 or 1%.",
)
@click.option("--api-key-env", metavar="NAME", help="Environment variable that holds the API key.")
@click.option("--save", metavar="FILE", help="Write every request, raw, one JSON line each.")
@click.option("--force", is_flag=True, help="Replace the file of --save if it is there.")
@quiet_option
@json_option
@colour_option
def command(
    url: str,
    model: str | None,
    api: Api,
    concurrency: tuple[float, ...] | None,
    rate: tuple[float, ...] | None,
    arrivals: str | None,
    sweep: bool,
    requests: int | None,
    duration: str | None,
    input_tokens: int,
    output_tokens: int,
    ignore_eos: bool,
    stream: bool,
    dataset: str,
    slo: str | None,
    warmup: int,
    cycles: int,
    seed: int,
    timeout: str,
    processes: int,
    max_error_share: Fraction | None,
    api_key_env: str | None,
    save: str | None,
    force: bool,
    quiet: bool,
    as_json: bool,
    colour: str,
) -> None:
    """Measure an endpoint that already runs, at URL, with the client that campaigns use.

    Prints the same table, with intervals when there are cycles, and doubts. Starts no engine, writes no folder.
    """
    if requests is not None and duration is not None:
        raise UsageError("--requests and --duration exclude each other")
    check_save(save, force=force, as_json=as_json)
    timeout_s = seconds_of("--timeout", timeout)
    key = key_of(api_key_env)
    server = server_of(url)
    base = {
        "dataset": dataset,
        "requests": None if duration else requests or 64,
        "duration_s": seconds_of("--duration", duration) if duration else None,
        "max_input_tokens": input_tokens,
        "max_output_tokens": output_tokens,
        "ignore_eos": ignore_eos,
        "streaming": stream,
        "slo": slo_of(slo),
        "warmup": {"until": "fixed", "max_requests": warmup},
        "seed": seed,
    }
    workloads = [workload_of({**base, "load": one}) for one in loads_of(concurrency, rate, arrivals, sweep=sweep)]
    check_fits(workloads, timeout_s)
    prompts = text_of(dataset) if dataset not in ("builtin", "synthetic") else None
    model = find_model(server, api, key) if model is None else name_of("--model", model)
    endpoint = endpoint_of(server, api, model, key, ignore_eos=ignore_eos)
    plan = benching.bench_plan(server.url, model, workloads, cycles)
    make_room_for(workloads)
    found: dict[str, Benched] = {}
    patience = Patience()
    with listening(patience.say, patience.is_over) as stop:
        # What was found until somebody stops it is shown and saved, whatever comes meanwhile.
        with suppress(KeyboardInterrupt, Interrupted):
            for run_id, run in plan.by_run_id.items():
                patience.run_begins(timeout_s)
                found[run_id] = bench(
                    benching.bench_step(plan, run_id, run, timeout_s, processes),
                    endpoint,
                    server,
                    prompts_text=prompts,
                    on_window_open=patience.window_opens,
                    interrupted=lambda: stop.requested,
                )
                if not quiet and not as_json:
                    click.echo(_line(plan.experiment_of(run).name, run.cycle, cycles, found[run_id]), err=True)
                if stop.requested:
                    break
            patience.all_ended()
        written: list[str] = []
        with suppress(KeyboardInterrupt):
            try:
                _save(found, save, written, force=force)
            finally:
                if (found or stop.signal is None) and not patience.gave_up:
                    report = load("dynamometer.cli.bench_report:report")
                    report(plan, found, _advice(save, written), as_json=as_json, colour=colour, error=save == "-")
                    written.append("the document of --json" if as_json else "the table")
    if stop.signal is not None:
        drop_stuck(output=patience.gave_up)
        whole = sum(one.record is not None and one.record.ended_early is None for one in found.values())
        message = f"stopped: {whole} of {len(plan.runs)} runs went their whole length"
        if patience.gave_up:
            message += f"; results were given up, written whole: {' and '.join(written) or 'nothing'}"
        raise (Interrupted if stop.signal is signal.SIGINT else Terminated)(message)
    if not any(one.reached for one in found.values()):
        raise PreconditionError(
            one_line(next(iter(found.values())).problem or ""), TLS_HINT if server.tls else RUNS_HINT
        )
    if max_error_share is not None and (broken := _too_many_errors(plan, found, max_error_share)):
        raise GateBroken("\n".join(map(one_line, broken)))
    if failed := [one.problem for one in found.values() if one.problem]:
        message = f"{len(failed)} of {len(found)} runs gave nothing: {one_line(failed[0])}"
        raise RunsFailed(message, _advice(save, written).find_errors)


def _save(found: Mapping[str, Benched], save: str | None, written: list[str], *, force: bool) -> None:
    """Write what was measured; a file that is there is not replaced by nothing.

    Noted among what is ``written`` before that is said: who was told so may end us at once.
    """
    text = "".join(f"{sample.line()}\n" for one in found.values() for sample in one.samples)
    if save is None or not text:
        return
    if save == "-":
        echo_whole(text)
    else:
        write_file(text, save, force=force)
    written.append(_saved(save))
    if save != "-":
        say_written(save)


def _saved(save: str | None) -> str:
    return f"--save {save}"


def _advice(save: str | None, written: Sequence[str]) -> Advice:
    """Hints that name the file of requests if it is among what was ``written``."""
    advice: Advice = load("dynamometer.analysis.advice:of_bench")(save if _saved(save) in written else None)
    return advice


def _line(name: str, cycle: int, cycles: int, one: Benched) -> str:
    start = f"{name} cycle {cycle}/{cycles}" if cycles > 1 else name
    if one.record is None:
        return one_line(f"{start}: {one.problem}")
    wrong = next((one.error_detail or one.error for one in one.samples if one.phase == "window" and one.error), None)
    reason = f"; the first that went wrong: {wrong}" if wrong else ""
    record = one.record
    return one_line(f"{start}: {record.good} of {record.requests} requests in {record.window.seconds:.1f} s{reason}")


def _too_many_errors(plan: Plan, found: Mapping[str, Benched], limit: Fraction) -> list[str]:
    """A line for each load of whose requests more than ``limit`` went wrong, over all its cycles."""
    return [
        f"{one.name}: {one.failed} of {one.requests} requests went wrong, {float(100 * one.share):.4g}%; "
        f"--max-error-share allows {float(100 * limit):.4g}%; the first: {one.first}"
        for one in benching.errors_by_load(plan, found)
        if one.share > limit
    ]
