"""Objects that live as long as the process are left out of garbage collections, which block every thread meanwhile.

Airflow and boto3 are a quarter of a million objects, and Python walks all of them each time it looks for garbage in its
oldest generation: 0.15 s and more, during which a triggerer's event loop stands still. `gc.freeze` moves what exists to
where it is no longer looked at; it is freed as before when the last reference to it goes.
"""

from __future__ import annotations

import gc
from functools import cache


@cache
def freeze_after(_loaded: str) -> None:
    """Leave out what exists by now; once for each name of what was loaded."""
    gc.freeze()
