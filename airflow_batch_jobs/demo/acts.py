"""The two acts of the demo: a pipeline pinned to a revision, and a stopped task. Both check what they show."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from airflow_batch_jobs.batch.job import BatchJob
from airflow_batch_jobs.demo.examples import example_dags
from airflow_batch_jobs.demo.run_watch import RunWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.demo.interrupt import Interrupts
    from airflow_batch_jobs.demo.screen import Screen
    from airflow_batch_jobs.demo.standalone import RestApi

#: How long each wait may last, on a slow machine.
ACT_SECONDS = 300.0
#: The time between two looks.
LOOK_SECONDS = 0.5
_PACKAGES = ("json", "http", "html")
#: The long job is stopped after more than this many of its log lines.
_LINES_BEFORE_STOP = 3


class DemoError(Exception):
    """Something that the demo was to show did not happen."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What the acts play on.

    Attributes:
        api: Airflow's REST API.
        clients: Makes clients of the local AWS.
        screen: Shows what happens.
        interrupts: Ends a wait when the user does.
        url: The address of Airflow's UI.
        output: The directory for the pipeline's files.
        airflow_errors: Returns the last errors in Airflow's own output; empty if there are none.
    """

    api: RestApi
    clients: ClientFactory
    screen: Screen
    interrupts: Interrupts
    url: str
    output: str
    airflow_errors: Callable[[], str]

    def start(self, dag_id: str, conf: Mapping[str, Any]) -> RunWatch:
        """Start a run of a DAG."""
        run_id = self.api.trigger(dag_id, conf)
        self.screen.step(f"Started a run of {dag_id}, see {example_dags() / f'{dag_id}.py'}")
        return RunWatch(self.api, self.clients, self.screen, dag_id, run_id)

    def watch(self, run: RunWatch, what: str, until: Callable[[], bool]) -> None:
        """Show what happens in a run until a condition holds.

        Raises:
            DemoError: It did not hold in time; the message says what was waited for.
        """
        give_up_at = time.monotonic() + ACT_SECONDS
        problem = ""
        with self.screen.busy(f"Waiting until {what}"):
            while True:
                try:
                    run.look()
                    if until():
                        return
                except httpx.HTTPError as error:  # on SQLite and a busy machine Airflow may not answer at once
                    problem = f" ({error})"
                if time.monotonic() > give_up_at:
                    raise DemoError(f"it took more than {ACT_SECONDS:g} s until {what}{problem}")
                self.interrupts.pause(LOOK_SECONDS)

    def check(self, text: str, *, holds: bool, otherwise: str) -> None:
        """Say that something was found to be true.

        Raises:
            DemoError: It is not true.
        """
        if not holds:
            raise DemoError(otherwise)
        self.screen.check(text)


def run_pipeline(stage: Stage) -> None:
    """Run the survey, pinned to revision 1 although revision 2 exists, and check how it went.

    Raises:
        DemoError: It did not go as it should.
    """
    stage.screen.title("The pipeline source_survey: one job per package, pinned to survey-package:1")
    run = stage.start("source_survey", {"packages": list(_PACKAGES), "output": stage.output})
    stage.watch(run, "the pipeline has ended", lambda: run.state in {"success", "failed"})
    surveys = {name: job for name, job in run.jobs.items() if name.startswith("survey")}
    stage.check(
        f"All {len(run.states)} tasks are success",
        holds=set(run.states.values()) == {"success"},
        otherwise=f"not all tasks are success: {'; '.join(run.failures(stage.airflow_errors))}",
    )
    pinned = [job.definition_reference for job in surveys.values()]
    newest = _newest_revision(stage.clients, "survey-package")
    stage.check(
        f"{len(pinned)} jobs ran survey-package:1 although revision {newest} is the newest",
        holds=newest > 1 and pinned == ["survey-package:1"] * len(_PACKAGES),
        otherwise=f"the jobs ran {pinned} and the newest revision is {newest}",
    )
    _check_lines(stage, run)


def stop_long_job(stage: Stage) -> None:
    """Start a ten-minute job, mark its task failed, and check that the job ends and that its last lines are kept.

    Raises:
        DemoError: It did not go as it should.
    """
    stage.screen.title("A stop: the task of a job that would count for ten minutes is marked failed")
    run = stage.start("long_job", {})
    stage.watch(run, "some lines of the job are in the task log", lambda: _has_begun(run))
    stage.api.set_state("long_job", run.run_id, "count", "failed")
    marked_at = time.monotonic()
    stage.screen.step("Marked the task failed, as a user does in the UI")
    stage.watch(run, "the job has ended", lambda: run.jobs["count"].is_final)
    seconds = time.monotonic() - marked_at
    job = run.jobs["count"]
    stage.check(
        f"AWS Batch has terminated the job, {seconds:.1f} s after the click: {job.status_reason}",
        holds=job.is_terminated,
        otherwise=f"the job ended as {job.status.value} without being terminated: {job.status_reason}",
    )
    stage.watch(run, "the job's last lines are in the task log", lambda: _has_said_goodbye(run))
    stage.screen.check("Its last lines, written on SIGTERM, are in the task log")
    stage.check(
        "The task stays failed, as the user set it",
        holds=run.states["count"] == "failed",
        otherwise=f"the task is {run.states['count']}",
    )


def _has_begun(run: RunWatch) -> bool:
    return run.states.get("count") == "deferred" and len(run.lines.get("count", [])) > _LINES_BEFORE_STOP


def _has_said_goodbye(run: RunWatch) -> bool:
    return any("SIGTERM" in line for line in run.lines["count"])


def _check_lines(stage: Stage, run: RunWatch) -> None:
    """Compare the task logs with what CloudWatch has of the same jobs."""
    count = 0
    for name, job in run.jobs.items():
        written = [event.text() for _, event in BatchJob.from_id(job.job_id, clients=stage.clients).logs()]
        if run.lines[name] != written:
            raise DemoError(
                f"the task log of {name} has {len(run.lines[name])} lines of its job, CloudWatch {len(written)}, "
                "and they are not the same"
            )
        count += len(written)
    stage.screen.check(f"All {count} lines that the jobs wrote are in the task logs, in order, none twice")


def _newest_revision(clients: ClientFactory, name: str) -> int:
    found = clients("batch").describe_job_definitions(jobDefinitionName=name, status="ACTIVE")["jobDefinitions"]
    return max(int(each["revision"]) for each in found)
