"""Settings that do not stand in a campaign file: the user's configuration and the environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamometer.errors import CampaignError
from dynamometer.spec.resolve import merge
from dynamometer.spec.yamltext import read

ENVIRONMENT_PREFIX = "DYNO_SET_"
"""``DYNO_SET_EXECUTION__TIMEOUT=10m`` sets execution.timeout: two underscores stand for the dot."""


def parse_preferences(source: str | bytes, *, file: str) -> dict[str, Any]:
    """The settings of a configuration file, which has the keys of a campaign file.

    Raises CampaignError when it is no such mapping. What its keys and values mean is checked with the campaign.
    """
    if not source.strip():
        return {}
    document = read(source, file=file)
    if document.problems:
        raise CampaignError(document.problems)
    return document.data


def from_environment(variables: Mapping[str, str]) -> dict[str, Any]:
    """The settings that environment variables make; values are written as in a campaign file."""
    settings: dict[str, Any] = {}
    for name, text in sorted(variables.items()):
        keys = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        if not name.startswith(ENVIRONMENT_PREFIX) or not all(keys):
            continue
        value: Any = read(f"value: {text}", file=name).data["value"]
        for key in reversed(keys):
            value = {key: value}
        settings = merge(settings, value)
    return settings
