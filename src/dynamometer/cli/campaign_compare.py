"""``dyno campaign compare``."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import click

from dynamometer.analysis.compare import Terms, chosen_metrics
from dynamometer.analysis.gate import parse_gate
from dynamometer.analysis.likeness import CAN_ALLOW
from dynamometer.cli.options import colour_option, json_option, output_options, results_option, use_colour, write_output
from dynamometer.domain.comparison import Comparison
from dynamometer.errors import GateBroken, PreconditionError, UsageError
from dynamometer.report.comparison import text
from dynamometer.report.comparison.formats import FORMATS
from dynamometer.report.comparison.words import Words, how_to_allow, in_words
from dynamometer.wiring import reading

_PER_CENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")


@click.command("compare")
@click.argument("a", metavar="A[:ROW]")
@click.argument("b", metavar="[B[:ROW]]", required=False)
@click.option(
    "--by",
    metavar="WHAT[=VALUE]",
    help="Compare rows of A that differ in this alone: engine, model, quant, precision, load, an option of the engine, "
    "or a setting of the workload. The first row, or the one with that value, is A.",
)
@click.option("--metrics", metavar="KEY,…", default="", help="Only these metrics. Fewer mislead less.")
@click.option(
    "--at-least",
    metavar="N%",
    help="Smallest effect that matters: an interval within it is 'equivalent'.",
)
@click.option("--allow", metavar="WHAT,…", default="", help=f"Compare although unlike: {', '.join(CAN_ALLOW)}.")
@click.option("--together", is_flag=True, help="Widen the intervals so that all hold at once with 95 % (Bonferroni).")
@click.option(
    "--fail-on",
    metavar="LIMIT",
    multiple=True,
    help="Exit code 5 when a limit is broken: 'ttft_ms>+5%' breaks when all of the interval is above +5 %. "
    "May be given several times.",
)
@click.option("--strict", is_flag=True, help="A limit that cannot be judged is broken, too.")
@output_options
@results_option
@json_option
@colour_option
def command(
    a: str,
    b: str | None,
    by: str | None,
    metrics: str,
    at_least: str | None,
    allow: str,
    together: bool,
    fail_on: tuple[str, ...],
    strict: bool,
    form: str,
    output: str,
    force: bool,
    results_dir: Path,
    as_json: bool,
    colour: str,
) -> None:
    """Compare campaign B with campaign A, or rows of one campaign, metric by metric: better, worse, or cannot tell.

    A ROW is a row's name or id, the beginning of one, or a glob. Rows of two campaigns belong together when they are
    the same experiment, or else differ least. What is unlike (hosts, prompts, model files, token counts) is refused
    with exit code 8 unless allowed; simulated results never stand against measured ones.
    """
    keys = [info.key for info in chosen_metrics(())]
    wanted = _words(metrics)
    chosen_metrics(wanted)
    terms = Terms(
        metrics=wanted,
        at_least=_share(at_least),
        allow=frozenset(kind for kind in CAN_ALLOW if kind in _allowed(allow)),
        together=together,
        gates=tuple(parse_gate(gate, keys) for gate in fail_on),
    )
    if strict and not fail_on:
        raise UsageError("--strict is about limits, and there is none", hint="add --fail-on 'ttft_ms>+5%'")
    compared = reading.compare_campaigns(a, b, by, results_dir, terms)
    form = "json" if as_json else form
    if form == "text" and output == "-":
        width = shutil.get_terminal_size((100, 24)).columns
        click.echo(text.terminal(compared.comparison, width=width, colour=use_colour(colour)), nl=False, color=True)
    else:
        write_output(FORMATS[form](compared.comparison), output, force=force)
    for problem in compared.damaged:
        click.echo(f"left out, damaged: {problem}", err=True)
    _conclude(compared.comparison, strict=strict)


def _conclude(comparison: Comparison, *, strict: bool) -> None:
    """End with a broken limit, with rows that were not compared, or well."""
    words = in_words(comparison)
    _judge(words, strict=strict)
    if comparison.refused:
        _refuse(comparison, words)
    empty = [pair.title for pair in words.pairs if not pair.rows]
    if empty and (comparison.gates or len(empty) == len(words.pairs)):
        raise PreconditionError(
            f"no finished run on one side, so nothing to compare: {', '.join(empty)}",
            hint="dyno campaign report says why runs failed; --resume --retry-failed runs them again",
        )
    alone = (*comparison.unmatched_a, *comparison.unmatched_b)
    if strict and alone:
        raise GateBroken(f"limits could not be judged for rows that are on one side only: {', '.join(alone)}")


def _judge(words: Words, *, strict: bool) -> None:
    """Raise GateBroken when a limit does not hold."""
    wrong = ("broken", "undecided") if strict else ("broken",)
    bad = [limit for limit in words.limits if limit.result.outcome in wrong]
    if not bad:
        return
    lines = [
        f"  {limit.result.gate} is {limit.result.outcome}: {limit.result.message}"
        + (f" ({limit.pair})" if limit.pair else "")
        for limit in bad
    ]
    do = "limit does" if len(words.limits) == 1 else "limits do"
    raise GateBroken("\n".join([f"{len(bad)} of {len(words.limits)} {do} not hold:", *lines]))


def _refuse(comparison: Comparison, words: Words) -> None:
    """Raise PreconditionError for the rows that are unlike, with the option that compares all of them."""
    kinds = {reason.kind for refused in comparison.refused for reason in refused.reasons}
    option = how_to_allow(kinds) if all(refused.option for refused in words.refused) else None
    count = len(comparison.refused)
    were = "1 pair of rows was" if count == 1 else f"{count} pairs of rows were"
    lines = dict.fromkeys(f"  {reason}" for refused in words.refused for reason in refused.reasons)
    raise PreconditionError(
        "\n".join([f"{were} not compared, because unlike:", *lines]),
        hint=f"compare all the same with {option}" if option else None,
    )


def _words(text_: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text_.split(",") if word.strip())


def _allowed(allow: str) -> tuple[str, ...]:
    words = _words(allow)
    for word in words:
        if word not in CAN_ALLOW:
            hint = "simulated results never stand against measured ones" if word == "simulated" else None
            raise UsageError(f"--allow {word}: one of {', '.join(CAN_ALLOW)}", hint=hint)
    return words


def _share(at_least: str | None) -> float:
    if at_least is None:
        return 0.0
    found = _PER_CENT.fullmatch(at_least)
    if found is None or float(found[1]) == 0:
        raise UsageError(f"--at-least {at_least}: a share above 0, such as 2%")
    return float(found[1]) / 100
