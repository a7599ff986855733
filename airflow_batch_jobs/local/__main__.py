"""What `start_process` starts: a local AWS that lives as long as its standard input is open."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING

from airflow_batch_jobs.local.run import run_local

if TYPE_CHECKING:
    from airflow_batch_jobs.local.access import Access


def _tell(access: Access) -> None:
    sys.stdout.write(json.dumps(asdict(access)) + "\n")
    sys.stdout.flush()
    threading.Thread(target=_end_with_stdin, daemon=True).start()


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    run_local(on_ready=_tell, **json.loads(sys.argv[1] if len(sys.argv) > 1 else "{}"))
