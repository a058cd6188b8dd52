"""The second half of ``dyno bench``, imported when the measuring is over: analysis is no company for a client."""

from __future__ import annotations

from collections.abc import Mapping

from dynamometer.analysis.advice import Advice
from dynamometer.cli.options import print_json
from dynamometer.cli.results import print_report
from dynamometer.domain.plan import Plan
from dynamometer.wiring.reading import bench_results
from dynamometer.worker.bench import Benched


def report(
    plan: Plan, found: Mapping[str, Benched], advice: Advice, *, as_json: bool, colour: str, error: bool
) -> None:
    """Print what was found, as a table (with ``error`` on standard error) or as one JSON document.

    ``advice`` words the hints.
    """
    results = bench_results(plan, found, advice)
    if as_json:
        print_json(results.summary.model_dump(mode="json"))
    else:
        print_report(results, colour, error=error)
