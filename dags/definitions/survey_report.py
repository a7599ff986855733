"""Merge the surveys of several packages into one table."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

#: In this order; what revision 1 of the survey does not count is left out.
COLUMNS = ("modules", "lines", "functions", "classes", "documented")


def main() -> None:
    """Read INPUT/PACKAGE.json for each package in a JSON list, and print one line per package and their sum."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", type=json.loads)
    parser.add_argument("input", type=Path)
    wanted = parser.parse_args()

    missing = [package for package in wanted.packages if not (wanted.input / f"{package}.json").is_file()]
    if missing:
        sys.exit(f"{wanted.input} has no survey of {', '.join(missing)}.")
    rows = {package: totals(wanted.input / f"{package}.json") for package in wanted.packages}
    rows["all"] = sum(rows.values(), Counter())

    columns = [column for column in COLUMNS if rows["all"][column]]
    print(f"{'package':<12}" + "".join(f"{column:>12}" for column in columns))
    for package, counts in rows.items():
        print(f"{package:<12}" + "".join(f"{counts[column]:>12,}" for column in columns))


def totals(survey: Path) -> Counter[str]:
    """Return the sum of the counts of a package's modules."""
    modules = json.loads(survey.read_text(encoding="utf-8"))["modules"].values()
    return sum(map(Counter, modules), Counter(modules=len(modules)))


if __name__ == "__main__":
    main()
