"""A triggerer ends while a job writes; another one goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from tests.e2e.conftest import own_airflow
from tests.e2e.runs import Run, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_batch_jobs.demo.standalone import StandaloneAirflow
    from airflow_batch_jobs.local import LocalControl

COUNT = "i=0; while [ $i -lt {count} ]; do i=$((i+1)); echo line $i; sleep 0.5; done"


def triggerers(airflow: StandaloneAirflow) -> list[int]:
    """Return the ids of the triggerer processes that were started as such, without their children."""
    pids = airflow.children("triggerer")
    return [pid for pid in pids if psutil.Process(pid).ppid() not in pids]


@contextmanager
def another_triggerer(airflow: StandaloneAirflow) -> Iterator[None]:
    """Run another triggerer of the same Airflow."""
    command = [str(Path(sys.executable).with_name("airflow")), "triggerer", "--skip-serve-logs"]
    with (airflow.home / "triggerer.log").open("wb") as output:
        process = subprocess.Popen(
            command,
            env=airflow.environment,
            stdout=output,
            stderr=output,
            cwd=airflow.home,
            start_new_session=True,
        )
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def test_a_new_triggerer_goes_on_where_the_old_one_stopped(cloud: LocalControl, tmp_path: Path) -> None:
    """The job runs on, and no line of it is lost or double."""
    with own_airflow(cloud, tmp_path) as airflow:
        hand_over(airflow, cloud)


def hand_over(airflow: StandaloneAirflow, cloud: LocalControl) -> None:
    """Replace the triggerer while a job writes, and look at what arrives."""
    run = Run.start(airflow.api, "deferred", COUNT.format(count=120))
    until(lambda: "line 10" in run.lines(), 60)
    [old] = triggerers(airflow)
    with another_triggerer(airflow):
        os.kill(old, signal.SIGTERM)
        assert run.wait_for_end(seconds=180) == "success"
    lines = [line for line in run.lines() if line.startswith("line ")]
    assert lines == [f"line {number}" for number in range(1, 121)]
    assert len([job for job in cloud.jobs() if job.get("tags", {}).get("airflow-run-id") == run.run_id]) == 1
