"""``dyno mock``."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import get_args

import click
from click.core import ParameterSource

from dynamometer.cli.options import FiniteRange, json_option
from dynamometer.engines.fake import FakeOptions, Fault
from dynamometer.engines.fake import command as server_command
from dynamometer.errors import PreconditionError, UsageError
from dynamometer.store.files import storage_problem

HOST = "127.0.0.1"
FAULTS = tuple(fault for fault in get_args(Fault) if fault != "start_failure")
MS = FiniteRange(0, 3_600_000)


@click.command("mock")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Port on loopback; a free one when left out.")
@click.option("--ttft-ms", type=MS, default=20, show_default=True, help="Time to the first token.")
@click.option("--itl-ms", type=MS, default=5, show_default=True, help="Time between events with tokens.")
@click.option("--jitter-ms", type=MS, default=0, show_default=True, help="Each event is late by up to so much.")
@click.option("--load-ms", type=MS, default=0, show_default=True, help="Slow start: 503 for so long.")
@click.option(
    "--tokens-per-event", type=click.IntRange(1, 1024), default=1, show_default=True, help="Tokens per event."
)
@click.option(
    "--slots", type=click.IntRange(1, 65_536), default=4, show_default=True, help="Requests answered at once."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of jitter and lengths.")
@click.option("--fault", type=click.Choice(FAULTS), help="What goes wrong; see the engine 'fake' for what each does.")
@click.option("--fault-after", type=click.IntRange(0), default=0, help="Requests answered well before the fault.")
@click.option(
    "--fault-status",
    type=click.IntRange(300, 599),
    default=503,
    show_default=True,
    help="HTTP status of --fault status.",
)
@click.option(
    "--true-times",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="Write what was truly sent when, one JSON line per streamed answer, at the end.",
)
@json_option
@click.pass_context
def command(
    context: click.Context,
    port: int,
    ttft_ms: float,
    itl_ms: float,
    jitter_ms: float,
    load_ms: float,
    tokens_per_event: int,
    slots: int,
    seed: int,
    fault: Fault | None,
    fault_after: int,
    fault_status: int,
    true_times: Path | None,
    as_json: bool,
) -> None:
    """Answer like an OpenAI-compatible server, on a schedule, or with a fault, until Ctrl-C.

    For tests of your own clients and scripts: /v1/chat/completions, /v1/completions, /v1/models and /health on
    loopback. Nothing is computed. This is the reference server that 'dyno calibrate' measures our client against.
    """
    _check_fault(context, fault)
    options = FakeOptions(
        ttft_ms=ttft_ms,
        itl_ms=itl_ms,
        jitter_ms=jitter_ms,
        load_ms=load_ms,
        tokens_per_event=tokens_per_event,
        n_parallel=slots,
        seed=seed,
        fault=fault,
        fault_after=fault_after,
        fault_status=fault_status,
        truth_file=str(true_times.resolve()) if true_times else None,
    )
    listener = _listen(port)
    if true_times is not None:
        _make_file(true_times)
    url = f"http://{HOST}:{listener.getsockname()[1]}"
    if as_json:
        document = {"schema_version": 1, "url": url, "pid": os.getpid(), "options": options.model_dump(mode="json")}
        click.echo(json.dumps(document))  # on one line: whoever reads it cannot wait for the end of our output
    else:
        click.echo(url)
    sys.stdout.flush()
    argv = server_command(options, "fd", listener.detach())
    os.execv(argv[0], argv)


def _check_fault(context: click.Context, fault: Fault | None) -> None:
    """Refuse options of a fault that would be ignored."""

    def given(name: str) -> bool:
        return context.get_parameter_source(name) is not ParameterSource.DEFAULT

    if given("fault_status") and fault != "status":
        raise UsageError(
            "--fault-status belongs to --fault status", hint="use --fault status, or leave --fault-status out"
        )
    if given("fault_after") and fault is None:
        raise UsageError("--fault-after belongs to --fault", hint="say what goes wrong, such as --fault drop")
    if given("fault_after") and fault == "never_healthy":
        raise UsageError("--fault-after does not go with --fault never_healthy", hint="leave --fault-after out")


def _make_file(path: Path) -> None:
    """The file for the true times, before anybody is told that we serve."""
    try:
        path.touch()
    except OSError as error:
        raise storage_problem(error, path) from error


def _listen(port: int) -> socket.socket:
    """A socket that listens and that the server's process inherits. Connections wait until that is up."""
    try:
        listener = socket.create_server((HOST, port), backlog=4096)
    except OSError as error:
        raise PreconditionError(
            f"cannot listen on {HOST}:{port}: {error.strerror}", hint="use another --port"
        ) from error
    listener.set_inheritable(True)
    return listener
