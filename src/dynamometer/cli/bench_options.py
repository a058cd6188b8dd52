"""Options of ``dyno bench`` become values. What is wrong with them is said before anything is sent."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import click
from pydantic import SecretStr, TypeAdapter, ValidationError

from dynamometer.cli.lazy import load
from dynamometer.cli.options import check_output
from dynamometer.domain.experiment import Name, Workload
from dynamometer.domain.units import format_duration, parse_duration
from dynamometer.errors import NotFoundError, PreconditionError, UsageError
from dynamometer.wiring.source import read_source

SWEEP_TO = 64
"""Highest concurrency of --sweep when nothing else is said."""


class Count(click.IntRange):
    """A whole number."""

    name = "N"


class Numbers(click.ParamType[tuple[float, ...]]):
    """Different numbers with commas between them: ``1,4,16``. Whole ones are ``int``."""

    name = "N[,N…]"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """The numbers, in the order given."""
        if isinstance(value, tuple):
            return value
        try:
            found = [float(part) for part in str(value).split(",")]
        except ValueError:
            self.fail(f"{value!r} is no list of numbers such as 1,4,16", param, ctx)
        if not all(map(math.isfinite, found)):
            self.fail(f"{value!r} holds a number that is not finite", param, ctx)
        if twice := next((number for number in found if found.count(number) > 1), None):
            self.fail(f"{twice:g} is there twice; --cycles repeats runs", param, ctx)
        return tuple(map(_plain, found))


def _plain(number: float) -> float:
    """Whole numbers as people write them: 5, not 5.0."""
    return int(number) if number.is_integer() else number


class Share(click.ParamType[Fraction]):
    """A share below 1: ``0``, ``0.01`` or ``1%``."""

    name = "SHARE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Fraction:
        """The share, from 0 to below 1, exactly as written."""
        if isinstance(value, Fraction):
            return value
        found = re.fullmatch(r"\s*(\d*\.?\d+)\s*(%?)\s*", str(value))
        share = Fraction(found[1]) / (100 if found[2] else 1) if found else None
        if share is None or share >= 1:
            self.fail(f"{value!r} is no share from 0 to below 1 (100%), such as 0.01 or 1%", param, ctx)
        return share


def loads_of(
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


def workload_of(settings: dict[str, Any]) -> Workload:
    """The workload of these settings; UsageError names the options that make it none."""
    try:
        return Workload.model_validate(settings)
    except ValidationError as error:
        raise load("dynamometer.cli.bench_words:refusal")(settings) from error


def check_fits(workloads: Sequence[Workload], timeout_s: float) -> None:
    """Refuse, before anything is sent, a window that would be cut short for sure."""
    if workload := next((one for one in workloads if one.outlasts(timeout_s)), None):
        seconds, rate = workload.duration_s, workload.load.rate
        what = (
            f"--duration {format_duration(seconds)} does"
            if seconds is not None
            else f"--requests {workload.requests} at --rate {rate:g} do"
        )
        raise UsageError(f"{what} not fit in --timeout {format_duration(timeout_s)}", hint="raise --timeout")


def slo_of(text: str | None) -> dict[str, float | str] | None:
    """Keys and limits as they are written; whether there are such keys and limits, the workload knows."""
    if text is None:
        return None
    pairs = [[side.strip() for side in part.split("=")] for part in text.split(",")]
    names = [pair[0] for pair in pairs]
    if any(len(pair) != 2 for pair in pairs) or len(set(names)) < len(names):
        raise UsageError(f"--slo {text}: write it as ttft_ms=500,itl_ms=50", hint="its keys: ttft_ms, itl_ms, e2e_ms")
    return {name: _number(value) for name, value in pairs}


def _number(text: str) -> float | str:
    try:
        return _plain(float(text))
    except ValueError:
        return text


def text_of(dataset: str) -> str:
    """The text of a file of prompts."""
    try:
        return read_source(dataset)[0].decode("utf-8", "replace")
    except NotFoundError as error:
        hint = "bench takes builtin, synthetic or a JSONL file; datasets of Hugging Face take a campaign"
        raise NotFoundError(error.message, hint) from error


def name_of(option: str, text: str) -> str:
    """A name that reports and keys can hold."""
    try:
        return TypeAdapter[str](Name).validate_python(text)
    except ValidationError as error:
        raise UsageError(f"{option}: give a name of 1 to 200 characters without control characters") from error


def check_save(save: str | None, *, force: bool, as_json: bool) -> None:
    """Refuse, before anything is measured, a file that could not be written afterwards."""
    if save is None:
        return
    if save == "-":
        if as_json:
            raise UsageError("--save - and --json both write to standard output", hint="give --save the name of a file")
        return
    if Path(save).is_dir():
        raise UsageError(f"--save {save}: is a folder", hint="give the name of a file")
    check_output(save, force=force)


def seconds_of(option: str, text: str) -> float:
    """Seconds of a time with its unit, more than 0."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from error
    if seconds <= 0:
        raise UsageError(f"{option}: must be more than 0")
    return seconds


def key_of(variable: str | None) -> SecretStr | None:
    """The API key that an environment variable holds."""
    if variable is None:
        return None
    if not (value := os.environ.get(variable)):
        raise PreconditionError(f"the environment variable {variable} of --api-key-env is not set")
    if not value.isascii() or not value.isprintable():
        message = f"the environment variable {variable} of --api-key-env holds what no header can: a line end, a letter"
        raise PreconditionError(f"{message} beyond ASCII, or a control character")
    return SecretStr(value)
