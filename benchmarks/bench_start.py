"""From the start of ``dyno bench`` to its first request."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from benchmarks.measure import cost_of, dyno

from dynamometer.engines.fake import FakeOptions, serving

TIMES = 7


def main() -> None:
    """Print the time between the start of the process and the first byte sent, both on the monotonic clock."""
    delays = []
    with serving(FakeOptions(ttft_ms=5, itl_ms=1)) as endpoint, tempfile.TemporaryDirectory() as folder:
        for number in range(TIMES):
            save = Path(folder) / f"{number}.jsonl"
            begin = time.monotonic_ns()
            url = f"http://127.0.0.1:{endpoint.port}"
            cost_of(dyno("bench", url, "-n", "1", "--output-tokens", "2", "--warmup", "0", "-q", "--save", str(save)))
            first = json.loads(save.read_text().splitlines()[0])
            delays.append((first["sent_ns"] - begin) / 1e9)
    print(f"process start to first request: {min(delays):.2f} s at best, {max(delays):.2f} s at worst of {TIMES}")


if __name__ == "__main__":
    main()
