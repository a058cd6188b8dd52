"""``python scripts/reference``: write docs/reference from the code; ``--check`` only says what is out of date."""

from __future__ import annotations

import sys
from pathlib import Path

from command_pages import cli_page, exit_codes_page
from file_pages import campaign_file_page, engines_page, suites_page
from result_pages import doubts_page, features_page, metrics_page, record_page

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
PAGES = {
    "cli.md": cli_page,
    "exit-codes.md": exit_codes_page,
    "campaign-file.md": campaign_file_page,
    "engines.md": engines_page,
    "suites.md": suites_page,
    "metrics.md": metrics_page,
    "doubts.md": doubts_page,
    "record.md": record_page,
    "features.md": features_page,
}


def main(arguments: list[str]) -> int:
    """Write every page, or with ``--check`` name those that differ from what the code says."""
    stale = []
    for name, make in PAGES.items():
        path, text = FOLDER / name, make().rstrip("\n") + "\n"
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in arguments:
            path.write_text(text, "utf-8")
    if stale and "--check" in arguments:
        sys.stderr.write(f"out of date: {', '.join(stale)}; run: python scripts/reference\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
