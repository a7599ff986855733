"""Count the modules of one package of Python's standard library, and hand the number back."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path


def main() -> None:
    """Take the package as the only argument."""
    part = sys.argv[1]
    spec = find_spec(part)
    if spec is None or spec.origin is None:
        sys.exit(f"This Python has no package {part!r} with a source.")
    modules = len(list(Path(spec.origin).parent.rglob("*.py")))
    print("batch-job-result:", json.dumps({"part": part, "modules": modules}))


if __name__ == "__main__":
    main()
