"""``python -m dynamometer``: the same as ``dyno``."""

from __future__ import annotations

import sys

from dynamometer.cli import main

if __name__ == "__main__":
    sys.exit(main())
