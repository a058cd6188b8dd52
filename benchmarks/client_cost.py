"""What the measuring client costs and how true its stamps are, against the fake engine's own send times.

    python benchmarks/client_cost.py [--streams 1 16 64] [--tokens 128] [--itl-ms 20]

Prints, per number of streams: CPU per 1,000 tokens, error of TTFT's arrival and of ITL (client minus server, shared
monotonic clock; p50, p99, max), share of merged events, and the lag from kernel arrival to our read.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from itertools import pairwise
from pathlib import Path

from dynamometer.client.decode import decode
from dynamometer.client.exchange import Traffic
from dynamometer.client.measure import measure
from dynamometer.client.request import prepare
from dynamometer.domain.wire import Endpoint
from dynamometer.engines.fake import FakeOptions, serving
from dynamometer.load.stops import AfterRequests


def run(endpoint: Endpoint, streams: int, rounds: int, tokens: int, *, kernel_stamps: bool) -> Traffic:
    """``rounds`` requests on each of ``streams`` slots."""
    asked = {
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
        "ignore_eos": True,
    }
    requests = [prepare(endpoint, f"r{index}", asked) for index in range(streams * rounds)]
    stop = AfterRequests(len(requests))
    return measure(endpoint.host, endpoint.port, iter(requests), slots=streams, stop=stop, kernel_stamps=kernel_stamps)


def spread(values: list[float]) -> str:
    """p50, p99 and max of magnitudes, in ms."""
    ordered = sorted(map(abs, values))
    return " ".join(f"{ordered[min(len(ordered) - 1, int(len(ordered) * q))]:7.3f}" for q in (0.5, 0.99, 1.0))


def report(traffic: Traffic, truth: dict[str, list[int]], name: str) -> None:
    """One line."""
    samples = [decode(exchange, streaming=True) for exchange in traffic.exchanges]
    bad = [sample for sample in samples if sample.error]
    arrival, itl = [], []
    events = merged = 0
    for sample in samples:
        sends = truth[sample.id]
        errors = [(seen - sent) / 1e6 for seen, sent in zip(sample.arrivals_ns, sends, strict=True)]
        arrival.append(errors[0])
        itl += [later - earlier for earlier, later in pairwise(errors)]
        events += len(errors)
        merged += sample.merged
    health = traffic.health
    lag = "n/a" if health.lag_p99_ms is None else f"{health.lag_p99_ms:.3f}"
    cpu = f"{health.cpu_s / events * 1000:.4f} s/1000 tok, {health.cpu_s / health.wall_s:6.1%} of a core"
    print(
        f"{name:>14} {health.clock:>6}  {cpu}  first {spread(arrival)}  itl {spread(itl)} ms"
        f"  merged {merged / events:.2%}  lag p99 {lag} ms  steps {health.clock_steps}  bad {len(bad)}"
    )


def main() -> None:
    """All sizes, with kernel stamps and without."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--itl-ms", type=float, default=20.0)
    asked = parser.parse_args()
    for streams in asked.streams:
        for kernel_stamps in (True, False):
            with tempfile.TemporaryDirectory() as folder:
                truth_file = Path(folder) / "truth.jsonl"
                options = FakeOptions(
                    ttft_ms=30,
                    itl_ms=asked.itl_ms,
                    jitter_ms=asked.itl_ms / 4,
                    n_parallel=streams,
                    truth_file=str(truth_file),
                )
                with serving(options) as endpoint:
                    traffic = run(endpoint, streams, asked.rounds, asked.tokens, kernel_stamps=kernel_stamps)
                lines = map(json.loads, truth_file.read_text(encoding="utf-8").splitlines())
                report(traffic, {line["id"]: line["sends_ns"] for line in lines}, f"{streams} streams")


if __name__ == "__main__":
    main()
