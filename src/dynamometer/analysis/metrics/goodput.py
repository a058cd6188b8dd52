"""Goodput."""

from __future__ import annotations

from collections.abc import Sequence

from dynamometer.analysis.metrics.base import Measured, Metric, absent
from dynamometer.analysis.metrics.ttft import NOT_STREAMED
from dynamometer.analysis.samples import e2e_ms, in_window, scheduled_e2e_ms, scheduled_ttft_ms, tpot_ms, ttft_ms
from dynamometer.domain.experiment import Slo, Workload
from dynamometer.domain.record import Record, Sample
from dynamometer.domain.summary import MetricInfo


def meets(sample: Sample, slo: Slo) -> bool | None:
    """Whether a request meets every limit given; None when a figure that decides is unknown.

    A request that failed meets none. The mean ITL of a request is its TPOT; of one token there is nothing to wait for.
    In an open loop TTFT and E2E are taken from the scheduled time: who waits does not care who was late.
    """
    if sample.error is not None:
        return False
    mean_itl = 0.0 if sample.output_tokens == 1 else tpot_ms(sample)
    is_open = sample.scheduled_ns is not None
    first, last = (scheduled_ttft_ms, scheduled_e2e_ms) if is_open else (ttft_ms, e2e_ms)
    pairs = ((slo.ttft_ms, first(sample)), (slo.itl_ms, mean_itl), (slo.e2e_ms, last(sample)))
    verdicts = [None if value is None else value <= limit for limit, value in pairs if limit is not None]
    if False in verdicts:
        return False
    return None if None in verdicts else True


def compute(record: Record, samples: Sequence[Sample]) -> Measured:
    """Share of the window's requests."""
    return of_requests(record.experiment.workload, samples)


def of_requests(workload: Workload, samples: Sequence[Sample]) -> Measured:
    """The same without a record."""
    slo = workload.slo
    if slo is None or (slo.ttft_ms, slo.itl_ms, slo.e2e_ms) == (None, None, None):
        return absent("no service level (slo) was given")
    if not workload.streaming and (slo.ttft_ms or slo.itl_ms):
        return absent(NOT_STREAMED)
    verdicts = [meets(sample, slo) for sample in in_window(samples)]
    if not verdicts:
        return absent("no request in the window")
    if unknown := verdicts.count(None):
        return absent(f"cannot be judged for {unknown} of {len(verdicts)} requests: their latency is unknown")
    return Measured(verdicts.count(True) / len(verdicts), len(verdicts))


METRIC = Metric(
    MetricInfo(
        key="goodput",
        title="Goodput",
        unit="share",
        better="higher",
        statistic="share of the window's requests",
        description="Requests that meet every service level given (TTFT, mean ITL, E2E) / requests of the window. "
        "A request that failed, or was due and never sent, meets none. In an open loop TTFT and E2E count from the "
        "scheduled time.",
    ),
    compute,
    of_requests,
)
