"""The doubts about spread and drift on shapes that campaigns really have."""

from __future__ import annotations

import pytest
from tests.compare.compare_samples import campaign, variant

QUIET = (10.0, 10.1, 9.9, 10.05, 9.95, 10.1, 10.0, 9.9, 10.0, 10.05, 9.95, 10.0)


def said(ttfts: tuple[float, ...]) -> set[str]:
    """Which of the two doubts a campaign with these TTFTs raises about TTFT."""
    (row,) = campaign([(variant(), ttfts)]).summary.experiments
    return {doubt.code for doubt in row.doubts if doubt.metric == "ttft_ms"} & {"unstable", "drift"}


@pytest.mark.parametrize(
    ("shape", "ttfts", "expected"),
    [
        ("quiet", QUIET, set()),
        ("one outlier", (*QUIET[:11], 40.0), set()),
        ("two modes: throttled half of the time", (10, 10.1, 14, 10, 14.2, 14, 10.1, 14), {"unstable"}),
        ("heats up", tuple(10 * 1.02**cycle for cycle in range(10)), {"drift"}),
        ("a step in the middle", (10, 10.1, 10.05, 9.9, 10.02, 12, 12.1, 11.9, 12.05, 12.2), {"drift"}),
        (
            "heats up and jumps",
            tuple((10 if cycle % 2 else 15) * 1.1**cycle for cycle in range(12)),
            {"unstable", "drift"},
        ),
        ("first cycle is cold", (14.0, *QUIET[:8]), set()),
        ("a drift too small to matter", tuple(10 * 1.002**cycle for cycle in range(12)), set()),
        ("three cycles, apart", (10, 13, 17), {"unstable"}),
        ("four cycles in order are too few for a drift", (10, 10.5, 11, 11.5), set()),
    ],
)
def test_shapes(shape: str, ttfts: tuple[float, ...], expected: set[str]) -> None:
    assert said(ttfts) == expected, shape
