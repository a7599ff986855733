"""Fault points: named moments at which a test may hold a process, kill it, or have it crash.

An environment variable names a folder; a file in it called `<point>@<run>` arms the point and says what is to happen.
The first process that reaches the point takes the file and leaves `<point>@<run>.reached` with its process id. Without
the variable, which only tests set, nothing happens.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

#: The environment variable that names the folder.
VARIABLE = "AIRFLOW_BATCH_JOBS_FAULT_POINTS"
_LOOK_AGAIN_SECONDS = 0.05


def reach(point: str, run_id: str) -> None:
    """Pass a point, or do what is armed there: `kill` ends this process, `wait` holds it until its file is gone.

    Args:
        point: The point's name.
        run_id: The DAG run for which it is reached.

    Raises:
        RuntimeError: `raise` is armed there.
    """
    if folder := os.environ.get(VARIABLE):
        _reach(Path(folder, f"{point}@{run_id}"))


def _reach(armed: Path) -> None:
    taken, reached = armed.with_name(f"{armed.name}.taken"), armed.with_name(f"{armed.name}.reached")
    try:
        armed.rename(taken)  # of several processes, one succeeds
    except FileNotFoundError:
        return
    order = taken.read_text()
    taken.write_text(str(os.getpid()))
    taken.rename(reached)
    if order == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if order == "raise":
        raise RuntimeError(f"The fault point {armed.name} was armed")
    while reached.exists():
        time.sleep(_LOOK_AGAIN_SECONDS)
