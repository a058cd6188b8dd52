"""From layers of settings to one frozen Workload: defaults < suite's benchmark < campaign < cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from pydantic import BaseModel

from dynamometer.domain.campaign import DecoderAxes, ExperimentEntry, Grid, LoadAxes, WorkloadAxes
from dynamometer.domain.experiment import Decoder, Load, Workload

Settings = dict[str, Any]
"""Flat settings of a workload: ``concurrency``, ``max_output_tokens``, ``decoder.temperature``, …"""

Axes = dict[str, tuple[Any, ...]]
"""Setting -> its values; one value where it is fixed."""

WORKLOAD_KEYS = (
    "dataset",
    "requests",
    "duration",
    "max_input_tokens",
    "max_output_tokens",
    "ignore_eos",
    "streaming",
    "slo",
    "warmup",
)


def values_of(axis: object) -> tuple[Any, ...]:
    """The values of an axis: those of a list, or the one scalar."""
    return tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)


def axes_of(source: WorkloadAxes | Grid | ExperimentEntry) -> Axes:
    """The workload axes that a part of the file sets; what it leaves out is not in the result."""
    axes: Axes = {}
    for key in WORKLOAD_KEYS:
        value = getattr(source, key, None)
        if value is not None:
            axes[key] = values_of(value)
    decoder = source.decoder
    if decoder is not None:
        axes |= {f"decoder.{key}": values_of(value) for key, value in set_fields(decoder)}
    load = getattr(source, "load", None)
    if isinstance(load, LoadAxes) and load.concurrency is not None:
        axes["concurrency"] = values_of(load.concurrency)
    return axes


def set_fields(model: DecoderAxes | Decoder | BaseModel) -> Iterator[tuple[str, Any]]:
    """Fields of a model that hold something."""
    for key in type(model).model_fields:
        value = getattr(model, key)
        if value is not None:
            yield key, value


def combinations(axes: Mapping[str, tuple[Any, ...]]) -> Iterator[Settings]:
    """The cross product, the last axis turning fastest. No axis gives one empty combination."""
    keys = list(axes)
    for values in product(*axes.values()):
        yield dict(zip(keys, values, strict=True))


def apply(base: Workload, settings: Mapping[str, Any]) -> Workload:
    """``base`` with these settings over it. requests and duration replace each other."""
    changes: dict[str, Any] = {}
    decoder: dict[str, Any] = {}
    for key, value in settings.items():
        if key.startswith("decoder."):
            decoder[key.removeprefix("decoder.")] = value
        elif key == "concurrency":
            changes["load"] = Load(concurrency=value)
        elif key == "duration":
            changes |= {"duration_s": value, "requests": None}
        elif key == "requests":
            changes |= {"requests": value, "duration_s": None}
        else:
            changes[key] = value
    if decoder:
        changes["decoder"] = Decoder.model_validate(decoder)
    return Workload.model_validate({**dict(base), **changes}) if changes else base
