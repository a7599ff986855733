"""Files held against published JSON schemas, without the network."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def problems(schema: str | Path, *files: Path) -> str:
    """Return what a schema has against JSON or YAML files, and nothing if they are valid.

    Args:
        schema: Its own file, or the name of one that check-jsonschema brings, such as `vendor.compose-spec`.
        files: The files.
    """
    given = ("--builtin-schema", schema) if isinstance(schema, str) else ("--schemafile", str(schema))
    command = [sys.executable, "-m", "check_jsonschema", *given, *map(str, files)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode in {0, 1}, checked.stderr
    return checked.stdout if checked.returncode else ""
