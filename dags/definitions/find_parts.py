"""Find the packages of Python's standard library whose names begin with some letters, and hand them back."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec


def main() -> None:
    """Take the letters as the only argument."""
    prefix = sys.argv[1]
    names = sorted(name for name in sys.stdlib_module_names if name.startswith(prefix))
    parts = [name for name in names if (spec := find_spec(name)) and spec.submodule_search_locations]
    print(f"{len(parts)} of {len(names)} names are packages")
    print("batch-job-result:", json.dumps({"prefix": prefix, "parts": parts}))


if __name__ == "__main__":
    main()
