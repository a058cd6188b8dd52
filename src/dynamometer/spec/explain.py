"""A campaign as text: its canonical file, and who set each value."""

from __future__ import annotations

from typing import Any

import yaml

from dynamometer.domain.campaign import Campaign
from dynamometer.spec.resolve import TITLES, Origin, Resolved
from dynamometer.spec.yamltext import scalar


class _Dumper(yaml.SafeDumper):
    """Quotes every text that our reader would take for something else."""


def _text_node(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "'" if scalar(text) is not text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text_node)


def canonical_yaml(campaign: Campaign, *, full: bool = False) -> str:
    """The campaign in canonical form: what differs from the defaults, or with ``full`` everything.

    Keys stand in the order of the reference; reading the text gives an equal campaign.
    """
    data = campaign.model_dump(mode="json", exclude_defaults=not full)
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120)


def origins_text(resolved: Resolved) -> str:
    """One line per value that somebody set: its key, its value, who set it and where."""
    data = resolved.campaign.model_dump(mode="json")
    rows = [(key, _value(data, key), _origin(origin)) for key, origin in resolved.origins.items()]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    return "".join(f"{key:{widths[0]}}  {value:{widths[1]}}  {origin}\n" for key, value, origin in rows)


def _value(data: Any, key: str) -> str:
    for part in _parts(data, key):
        data = data[part]
    if isinstance(data, list):
        text = f"{len(data)} in a list" if any(isinstance(item, (dict, list)) for item in data) else _flow(data)
    else:
        text = _flow(data)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _parts(data: Any, key: str) -> list[str]:
    """The parts of a dotted key; parts may hold dots themselves."""
    if key in data:
        return [key]
    head = next(part for part in data if key.startswith(f"{part}."))
    return [head, *_parts(data[head], key[len(head) + 1 :])]


def _flow(value: object) -> str:
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, allow_unicode=True, width=10**6)
    return text.removesuffix("\n").removesuffix("\n...")


def _origin(origin: Origin) -> str:
    if origin.file is None:
        return TITLES[origin.layer]
    return f"{origin.file}:{origin.line}" if origin.line else origin.file
