"""``dyno bench``: the client alone, against an endpoint that already runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import click
from pydantic import SecretStr, ValidationError

from dynamometer.cli.lazy import load
from dynamometer.cli.options import colour_option, json_option, quiet_option, write_output
from dynamometer.domain.experiment import Load, Slo, Warmup, Workload
from dynamometer.domain.units import parse_duration
from dynamometer.domain.wire import Api
from dynamometer.errors import Interrupted, PreconditionError, RunsFailed, UsageError
from dynamometer.wiring import benching, source
from dynamometer.worker.bench import Benched, bench, endpoint_of, find_model, server_of

SWEEP_TO = 64
"""Highest concurrency of --sweep when nothing else is said."""


class Numbers(click.ParamType[tuple[float, ...]]):
    """Numbers with commas between them: ``1,4,16``."""

    name = "N[,N…]"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """The numbers, in the order given."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is no list of numbers such as 1,4,16", param, ctx)


@click.command("bench")
@click.argument("url")
@click.option("--model", help="Model to ask for; the first that the server lists when left out.")
@click.option("--api", type=click.Choice(get_args(Api)), default="chat", show_default=True, help="API to use.")
@click.option("-c", "--concurrency", type=Numbers(), help="Requests in flight; several are run one after the other.")
@click.option("-r", "--rate", type=Numbers(), help="Requests per second, whatever is in flight; several as above.")
@click.option("--arrivals", type=click.Choice(["constant", "poisson"]), help="Gaps of --rate.")
@click.option("--sweep", is_flag=True, help=f"Double the concurrency from 1 to --concurrency ({SWEEP_TO} if left out).")
@click.option("-n", "--requests", type=click.IntRange(1, 1_000_000), help="Requests of a run; 64 when left out.")
@click.option("-d", "--duration", metavar="TIME", help="Length of a run instead, such as 30s.")
@click.option("--input-tokens", type=click.IntRange(1), default=128, show_default=True, help="Length of prompts.")
@click.option("--output-tokens", type=click.IntRange(1), default=128, show_default=True, help="Length of answers.")
@click.option("--ignore-eos/--no-ignore-eos", default=False, help="Send ignore_eos, which some servers know.")
@click.option("--stream/--no-stream", default=True, help="Stream tokens. Without it there is no TTFT and no ITL.")
@click.option("--dataset", default="builtin", show_default=True, help="builtin, synthetic, or a JSONL file of prompts.")
@click.option("--slo", metavar="KEY=MS,…", help="Service level for goodput: ttft_ms=500,itl_ms=50,e2e_ms=9000.")
@click.option("--warmup", type=click.IntRange(0), default=4, show_default=True, help="Requests before each run.")
@click.option(
    "--cycles", type=click.IntRange(1, 1000), default=1, show_default=True, help="Repetitions, for intervals."
)
@click.option("--seed", type=click.IntRange(0), default=42, show_default=True, help="Seed of prompts and arrivals.")
@click.option("--timeout", default="30m", show_default=True, metavar="TIME", help="Longest time for one run.")
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
    if save is not None and save != "-" and Path(save).exists() and not force:
        raise UsageError(f"{save} exists", hint="add --force to replace it")
    if requests is not None and duration is not None:
        raise UsageError("--requests and --duration exclude each other")
    if save is not None and save != "-" and not os.access(Path(save).absolute().parent, os.W_OK):
        raise PreconditionError(f"--save {save}: its folder is not there, or not writable")
    timeout_s = _seconds("--timeout", timeout)
    if timeout_s <= 0:
        raise UsageError("--timeout: must be more than 0")
    key = _key(api_key_env)
    server = server_of(url)
    base = _workload(
        dataset=dataset,
        requests=None if duration else requests or 64,
        duration_s=_seconds("--duration", duration) if duration else None,
        max_input_tokens=input_tokens,
        max_output_tokens=output_tokens,
        ignore_eos=ignore_eos,
        streaming=stream,
        slo=_slo(slo),
        warmup=Warmup(until="fixed", max_requests=warmup),
        seed=seed,
    )
    loads = [_load(settings) for settings in _loads(concurrency, rate, arrivals, sweep=sweep)]
    model = model or find_model(server, api, key)
    endpoint = endpoint_of(server, api, model, key, ignore_eos=ignore_eos)
    plan = benching.bench_plan(server.url, model, [base.model_copy(update={"load": load}) for load in loads], cycles)
    prompts = _text(dataset) if dataset not in ("builtin", "synthetic") else None
    found: dict[str, Benched] = {}
    stopped = False
    try:
        for run_id, run in plan.by_run_id.items():
            step = benching.bench_step(plan, run_id, run, timeout_s)
            found[run_id] = bench(step, endpoint, server, prompts_text=prompts, trace_text=None)
            if not quiet and not as_json:
                click.echo(_line(plan.experiment_of(run).name, run.cycle, cycles, found[run_id]), err=True)
    except KeyboardInterrupt:
        stopped = True
    if save is not None:
        lines = (sample.model_dump_json(exclude_defaults=True) for one in found.values() for sample in one.samples)
        write_output("".join(f"{line}\n" for line in lines), save, force=force)
    load("dynamometer.cli.bench_report:report")(plan, found, as_json=as_json, colour=colour)
    if stopped:
        raise Interrupted(f"stopped after {len(found)} of {len(plan.runs)} runs")
    if failed := [one.problem for one in found.values() if one.problem]:
        raise RunsFailed(f"{len(failed)} of {len(found)} runs gave nothing: {failed[0]}")


def _loads(
    concurrency: Sequence[float] | None, rate: Sequence[float] | None, arrivals: str | None, *, sweep: bool
) -> list[dict[str, object]]:
    """Settings of each load to run."""
    if concurrency and rate:
        raise UsageError("--concurrency and --rate exclude each other")
    if arrivals and not rate:
        raise UsageError("--arrivals belongs to --rate")
    if sweep and (rate or (concurrency and len(concurrency) > 1)):
        raise UsageError("--sweep takes one --concurrency to end at", hint="or list the loads: --rate 1,2,4")
    if rate:
        return [{"rate": value, "arrivals": arrivals or "constant"} for value in rate]
    if sweep:
        top = concurrency[0] if concurrency else SWEEP_TO
        doubled = [2**power for power in range(int(top).bit_length()) if 2**power < top]
        return [{"concurrency": value} for value in (*doubled, top)]
    return [{"concurrency": value} for value in concurrency or (1,)]


def _load(settings: dict[str, object]) -> Load:
    try:
        return Load.model_validate(settings)
    except ValidationError as error:
        raise UsageError(_first(error)) from error


def _workload(**settings: object) -> Workload:
    try:
        return Workload.model_validate(settings)
    except ValidationError as error:
        raise UsageError(_first(error)) from error


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}, not {first['input']}"


def _slo(text: str | None) -> Slo | None:
    if text is None:
        return None
    pairs = [part.partition("=") for part in text.split(",")]
    if any(not middle for _, middle, _ in pairs):
        raise UsageError(f"--slo {text}: write it as ttft_ms=500,itl_ms=50")
    try:
        return Slo.model_validate({name.strip(): value.strip() for name, _, value in pairs})
    except ValidationError as error:
        raise UsageError(f"--slo: {_first(error)}", hint="its keys are ttft_ms, itl_ms, e2e_ms") from error


def _seconds(option: str, text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from error


def _key(variable: str | None) -> SecretStr | None:
    if variable is None:
        return None
    if not (value := os.environ.get(variable)):
        raise PreconditionError(f"the environment variable {variable} of --api-key-env is not set")
    return SecretStr(value)


def _text(path: str) -> str:
    return source.read_source(path)[0].decode("utf-8", "replace")


def _line(name: str, cycle: int, cycles: int, one: Benched) -> str:
    times = f" cycle {cycle}/{cycles}" if cycles > 1 else ""
    if one.record is None:
        return f"{name}{times}: {one.problem}"
    return f"{name}{times}: {one.record.good} of {one.record.requests} requests in {one.record.window.seconds:.1f} s"
