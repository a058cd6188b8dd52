"""From layers of settings to one frozen Workload: defaults < suite's benchmark < campaign < cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from pydantic import BaseModel

from dynamometer.domain.campaign import ExperimentEntry, Grid, LoadAxes, WorkloadAxes
from dynamometer.domain.experiment import SHAPES, Decoder, Load, Workload

Settings = dict[str, Any]
"""Flat settings of a workload: ``concurrency``, ``max_output_tokens``, ``decoder.temperature``, …"""

Axes = dict[str, tuple[Any, ...]]
"""Setting -> its values; one value where it is fixed."""

LOAD_KEYS = ("concurrency", "rate", "arrivals", "trace", "ramp", "max_in_flight")
"""Settings of a load."""
RATE_KEYS = ("arrivals", "max_in_flight")
"""Settings that a load keeps when only its rate changes."""
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
    if isinstance(load, LoadAxes):
        axes |= {key: values_of(value) for key, value in set_fields(load)}
    return axes


def laid_over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` laid over ``under``. A load replaces a load of another shape; a rate keeps the arrivals under it."""
    replaced: set[str] = set()
    if any(key in over for key in SHAPES):
        replaced |= {*LOAD_KEYS} - ({*RATE_KEYS} if "rate" in over and "rate" in under else set())
    return {key: value for key, value in under.items() if key not in replaced} | dict(over)


def set_fields(model: BaseModel) -> Iterator[tuple[str, Any]]:
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
    """``base`` with these settings over it. requests and duration replace each other; a load replaces the base's.

    A trace or a ramp that comes with neither of them decides how long the window is.
    """
    changes: dict[str, Any] = {}
    decoder: dict[str, Any] = {}
    load = {key: settings[key] for key in LOAD_KEYS if key in settings}
    if load:
        changes["load"] = Load(**load)
    if "trace" in load or "ramp" in load:
        changes |= {"requests": None, "duration_s": load["ramp"].over if "ramp" in load else None}
    for key, value in settings.items():
        if key.startswith("decoder."):
            decoder[key.removeprefix("decoder.")] = value
        elif key in load:
            continue
        elif key == "duration":
            changes |= {"duration_s": value, "requests": None}
        elif key == "requests":
            changes |= {"requests": value, "duration_s": None}
        else:
            changes[key] = value
    if decoder:
        changes["decoder"] = Decoder.model_validate(decoder)
    return Workload.model_validate({**dict(base), **changes}) if changes else base
