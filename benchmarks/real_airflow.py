"""How soon a real Airflow knows: a line from the job to the REST API, a job's end to the task log and to the task.

Starts the local AWS and an Airflow, runs five jobs one after another, and ends by itself within four minutes.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from datetime import datetime
from pathlib import Path

from airflow_batch_jobs.demo.standalone import RestApi, StandaloneAirflow
from airflow_batch_jobs.local import LocalControl, start_process

DAGS = Path(__file__).parents[1] / "tests" / "e2e" / "dags"
JOBS = 5
#: Writes a line every second, with the time; long enough to be seen running.
SCRIPT = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo written $(date +%s.%N); sleep 1; done"


def main() -> None:
    """Run the jobs and print what was measured, in seconds."""
    lags: list[float] = []
    detections: list[float] = []
    finishes: list[float] = []
    with tempfile.TemporaryDirectory() as home, start_process(slots=4) as aws:
        aws.register("shell", ["sh", "-c", "Ref::script"])
        environment = {"AIRFLOW_CONN_AWS_DEFAULT": aws.airflow_connection()}
        with StandaloneAirflow(Path(home), DAGS, environment) as airflow:
            for _ in range(JOBS):
                run_one(airflow.api, aws, lags, detections, finishes)
    show("a line, from being written to being served", lags)
    show("a job's end, to its state in the task log", detections)
    show("a job's end, to the task's own end", finishes)


def run_one(api: RestApi, aws: LocalControl, lags: list[float], detections: list[float], finishes: list[float]) -> None:
    """Run one job and measure it."""
    run_id = api.trigger("deferred", {"script": SCRIPT})
    seen: set[str] = set()
    state = None
    while state not in ("success", "failed"):
        now = time.time()
        for entry in api.log("deferred", run_id, "job"):
            line = str(entry["event"])
            if line.startswith("written ") and line not in seen:
                seen.add(line)
                lags.append(now - float(line.split()[1]))
            if line.endswith("SUCCEEDED") and line not in seen:
                seen.add(line)
                detections.append(datetime.fromisoformat(entry["timestamp"]).timestamp() - stopped_at(api, aws, run_id))
        state = api.task_instance("deferred", run_id, "job")["state"]
        time.sleep(0.2)
    finishes.append(time.time() - stopped_at(api, aws, run_id))


def stopped_at(api: RestApi, aws: LocalControl, run_id: str) -> float:
    """Return when the job of a run ended, in seconds since the epoch."""
    job_id = api.xcom("deferred", run_id, "job", "batch_job")["job_id"]
    return float(aws.job(job_id)["stoppedAt"]) / 1000


def show(what: str, seconds: list[float]) -> None:
    """Print median and maximum."""
    print(f"{what:<50} median {statistics.median(seconds):5.1f} s   max {max(seconds):5.1f} s   of {len(seconds)}")


if __name__ == "__main__":
    main()
