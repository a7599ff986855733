"""Where the example DAGs and their job definitions are: in the package, or beside it in a source tree."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent


def example_dags() -> Path:
    """Return the folder of the example DAGs.

    Raises:
        FileNotFoundError: This installation came without them.
    """
    for folder in (_PACKAGE / "example_dags", _PACKAGE.parent / "dags"):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"The example DAGs are neither in {_PACKAGE} nor beside it.")


def example_definitions() -> Path:
    """Return the folder of the job definitions that the example DAGs run."""
    return example_dags() / "definitions"
