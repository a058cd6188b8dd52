"""The only room that builds real objects and joins rooms: a file becomes a plan, a plan becomes a running campaign."""

from __future__ import annotations

from dynamometer.wiring.bench import bench_plan, bench_results, bench_step
from dynamometer.wiring.folders import PROJECT_CONFIG, STDIN, Home, engines, home, suites
from dynamometer.wiring.owning import (
    Hooks,
    Listener,
    Session,
    find_campaign,
    new_campaign,
    newest_campaign,
    resumable,
    run,
)
from dynamometer.wiring.planning import (
    Prepared,
    check_files,
    check_runnable,
    config_dir,
    executor_for,
    facts,
    offer_of,
    places_of,
    preferences,
    prepare,
    prepare_experiment,
    read_source,
)
from dynamometer.wiring.results import Compared, Results, compare_campaigns, summary_of

__all__ = [
    "PROJECT_CONFIG",
    "STDIN",
    "Compared",
    "Home",
    "Hooks",
    "Listener",
    "Prepared",
    "Results",
    "Session",
    "bench_plan",
    "bench_results",
    "bench_step",
    "check_files",
    "check_runnable",
    "compare_campaigns",
    "config_dir",
    "engines",
    "executor_for",
    "facts",
    "find_campaign",
    "home",
    "new_campaign",
    "newest_campaign",
    "offer_of",
    "places_of",
    "preferences",
    "prepare",
    "prepare_experiment",
    "read_source",
    "resumable",
    "run",
    "suites",
    "summary_of",
]
