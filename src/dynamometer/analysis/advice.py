"""What would help against a doubt, in words of the command that shows it: keys of a campaign file, options of bench."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dynamometer.analysis.stats import FEWEST


@dataclass(frozen=True, slots=True)
class Advice:
    """Hints in the words of one command."""

    more_cycles: str
    finish: str
    """Runs are left to do."""
    retry: str
    """Nothing is left but runs that failed."""
    restore: str
    """Nothing is left but runs whose records do not read."""
    more_requests: str
    warm_up: str
    """There was no warm-up."""
    warm_up_longer: str
    cool_down: str
    """Figures drift."""
    find_errors: str
    """Where it stands why requests went wrong."""
    lighten_load: str
    """Requests were never sent, and nothing else went wrong."""
    read_counts: str
    """Where both counts of tokens stand."""
    fresh_prompts: str
    measure_again: str
    calibrate: str
    relieve_client: str
    """One core is not enough for the client."""


CAMPAIGN = Advice(
    more_cycles=f"set cycles: {FEWEST} or more",
    finish="finish the campaign with --resume",
    retry="remove what made runs fail, then --resume --retry-failed",
    restore="--resume does not repeat completed runs: restore their folders from a backup, or run the campaign anew",
    more_requests="p95 takes 100 requests in each run, p99 takes 500 (workload.requests)",
    warm_up="set workload.warmup.max_requests: 8",
    warm_up_longer="raise workload.warmup.max_requests",
    cool_down="longer pauses (execution.thermal) if the machine heats up; cycles are not alike",
    find_errors="the engine's log beside the record may say why",
    lighten_load="the load is more than the engine takes: lower the rate, or raise workload.load.max_in_flight",
    read_counts="figures take the usage; both are in samples.jsonl (usage, event_tokens, arrivals_ns)",
    fresh_prompts="switch the engine's prompt cache off, or use prompts without a shared beginning",
    measure_again="stop other programs, and run the campaign again",
    calibrate="dyno calibrate, before the campaign",
    relieve_client="lower the concurrency, or share the load where cores are free (execution.client_processes: 2)",
)
"""Of a campaign, whose file can be changed and which can be resumed."""

BENCH = Advice(
    more_cycles=f"add --cycles {FEWEST} or more",
    finish="run it again, to its end",
    retry="remove what made runs fail, and run it again",
    restore="run it again",
    more_requests="p95 takes 100 requests in each run, p99 takes 500 (--requests, --duration)",
    warm_up="add --warmup 8",
    warm_up_longer="raise --warmup",
    cool_down="the server's machine may heat up, or others use it; cycles are not alike",
    find_errors="--save FILE keeps every request with its error_detail; the server's log may say more",
    lighten_load="the load is more than the server takes: lower --rate",
    read_counts="figures take the usage; --save FILE keeps both: usage and arrivals_ns",
    fresh_prompts="restart the server, switch its prompt cache off, or send other prompts (--seed)",
    measure_again="stop other programs, and run it again",
    calibrate="dyno calibrate, then run it again",
    relieve_client="lower the concurrency, or share the load where cores are free (--processes 2)",
)
"""Of ``dyno bench``, whose server is not ours."""


def of_bench(saved: str | None) -> Advice:
    """Hints of ``dyno bench`` that has written its requests to that file (- is standard output), or to none."""
    if saved is None:
        return BENCH
    where = "standard output" if saved == "-" else saved
    return replace(
        BENCH,
        find_errors=f"{where} has the error_detail of each request; the server's log may say more",
        read_counts=f"figures take the usage; {where} has both: usage and arrivals_ns",
    )
