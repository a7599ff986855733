"""`airflow-batch-jobs submit`, `status`, `logs`, `result` and `terminate`: work with jobs by their ids."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_batch_jobs.batch.job_id import bare_id
from airflow_batch_jobs.batch.operations import REASON_LIMIT
from airflow_batch_jobs.cli import console, submit_options, tables
from airflow_batch_jobs.cli.aws_options import EndpointUrl, Profile, Region, clients_of
from airflow_batch_jobs.cli.job_ids import JobId, JobIds, whole_id, whole_ids
from airflow_batch_jobs.cli.times import ago_or_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.detail import JobDetail
    from airflow_batch_jobs.batch.job import BatchJob
    from airflow_batch_jobs.batch.log_stream import LogStream
    from airflow_batch_jobs.batch.logs import LogEvent

#: Failed children are looked for among this many children of an array.
_MOST_PARTS = 1_000
#: More often than a task polls, since a person is waiting.
_POLL_SECONDS = 2.0
_LAST_LINES = "The job has ended; waiting for the last lines of its log, for about a minute at most."


def _check_not_node(value: str) -> str:
    job_id, is_node, _ = bare_id(value).partition("#")
    if is_node:
        raise typer.BadParameter(f"a node cannot be stopped alone; its job is {job_id}")
    return value


def _check_reason(value: str) -> str:
    if not 0 < len(value) <= REASON_LIMIT:
        raise typer.BadParameter(f"it needs 1 to {REASON_LIMIT:,} characters")
    return value


def submit(  # noqa: PLR0913, PLR0917 - each is an option of the command
    definition: submit_options.Definition = None,
    queue: submit_options.Queue = None,
    parameter: submit_options.Parameters = None,
    env: submit_options.Environment = None,
    container_override: submit_options.ContainerOverride = None,
    array_size: submit_options.ArraySize = None,
    job_name: submit_options.JobName = None,
    like: submit_options.Like = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the job ends; exit with 1 if it fails.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait, and print the job's log lines.")] = False,
    region: Region = None,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
) -> None:
    """Submit a job at a pinned revision, once, and print its id.

    With --wait, stdout also gets the job's result, if it has one. With --follow, it gets the job's log lines
    instead. An unknown queue or revision, or a placeholder that no parameter fills, is found before AWS is asked to
    run anything.

    With --like, it is submitted as another job was: its definition, queue, parameters, overrides, array, timeout,
    attempts and tags, unless given anew; not its name, what it depended on, or what made it the job of an Airflow task.

        airflow-batch-jobs submit align-reads:7 -q science -p sample=NA12
        airflow-batch-jobs submit align-reads:7 -q science --wait && echo done
        airflow-batch-jobs submit align-reads:7 -q science --follow > log.txt
        airflow-batch-jobs submit --like 6c8a7f0e -p sample=NA34
        OVERRIDE='{"command": ["align", "--dry-run"]}'
        airflow-batch-jobs submit align:7 -q lab --container-override "$OVERRIDE"

    Exit codes:

        0  the job is submitted; with --wait or --follow: and has succeeded
        1  AWS takes no such job; with --wait or --follow: or it has failed
        2  the command line or the definition is wrong
        3  AWS could not be reached, denied access, or gave no clear answer
    """
    from airflow_batch_jobs.batch.job import BatchJob

    with console.errors_told():
        clients = clients_of(region, profile, endpoint_url)
        wanted = submit_options.Submit.of(
            definition,
            queue,
            clients=clients,
            parameters=parameter,
            environment=env,
            container_override=container_override,
            array_size=array_size,
            job_name=job_name,
            like=like,
        )
        job = BatchJob(wanted.definition, clients=clients, note=console.note)
        job_id = job.submit(wanted.queue, wanted.container_overrides, **wanted.options)
        if not follow:
            console.say(job_id)
        if wait or follow:
            with _left_alone(job_id):
                detail = _wait(job, follow=follow)
            console.say_end(detail, _failed_parts(detail, clients))
            if not follow:
                _say_result_if_any(job)


def status(job_ids: JobIds, region: Region = None, profile: Profile = None, endpoint_url: EndpointUrl = None) -> None:
    """Show the state of jobs: their status, why they failed or do not start, how they went.

    Without a terminal it prints one tab-separated line per job: id, status, definition, queue, exit code and the rest.
    Does not wait for the jobs.

        airflow-batch-jobs status 6c8a7f0e-3c52-4b6f-9c0d-0d1a2b3c4d5e
        airflow-batch-jobs status 6c8a7f0e 1b2c3d4e | cut -f1,2

    Exit codes:

        0  none of the jobs has failed
        1  one of them has failed, or AWS does not know it
        2  the command line is wrong
        3  AWS could not be reached, denied access, or gave no clear answer
    """
    from airflow_batch_jobs.batch.job import BatchJob
    from airflow_batch_jobs.batch.status import JobStatus
    from airflow_batch_jobs.errors import JobNotFoundError

    with console.errors_told():
        clients = clients_of(region, profile, endpoint_url)
        wanted = list(dict.fromkeys(whole_ids(job_ids, clients)))
        details = BatchJob.describe_jobs(wanted, clients=clients)
        tables.say_statuses([(detail, _failed_parts(detail, clients)) for detail in details])
        known = {detail.job_id for detail in details}
        unknown = [job_id for job_id in wanted if job_id not in known]
        for job_id in unknown:
            console.complain(console.in_shell_words(JobNotFoundError(job_id)))
        if unknown or any(detail.status is JobStatus.FAILED for detail in details):
            raise typer.Exit(console.FAILED)


def logs(
    job_id: JobId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep going until the job has ended.")] = False,
    timestamps: Annotated[
        bool, typer.Option("--timestamps", "-t", help="Begin each line with the time it was written, in UTC.")
    ] = False,
    tail: Annotated[
        int | None, typer.Option("--tail", metavar="N", min=0, help="Only the last N lines there are, of each stream.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="SPAN|TIME", help="Only lines since 10m or 1h30m ago, or since 2026-11-26T09:00."
        ),
    ] = None,
    region: Region = None,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
) -> None:
    """Print the log lines of a job: of all its attempts, containers, children and nodes.

    If there are several streams, each line begins with its stream's label, such as [attempt 2]. Without --follow,
    prints the lines that are there now and does not wait; if there are none, stderr says why. With --follow, stderr
    says what is being waited for, and how the job has ended.

        airflow-batch-jobs logs 6c8a7f0e-3c52-4b6f-9c0d-0d1a2b3c4d5e
        airflow-batch-jobs logs 6c8a7f0e --follow --tail 10
        airflow-batch-jobs logs 6c8a7f0e:3 --since 1h30m --timestamps

    Exit codes:

        0  all lines are printed, whatever has become of the job
        1  AWS does not know the job, or does not show some of its lines
        2  the command line is wrong
        3  AWS could not be reached, denied access, or gave no clear answer
    """
    from airflow_batch_jobs.batch.job import BatchJob

    window: dict[str, Any] = {"since": ago_or_at(since, "--since"), "tail": tail}
    with console.errors_told():
        clients = clients_of(region, profile, endpoint_url)
        job = BatchJob.from_id(whole_id(job_id, clients), clients=clients)
        detail = job.detail()
        if follow:
            detail = _follow(job, has_times=timestamps, **window)
            console.note_standing(detail, _failed_parts(detail, clients))
            return
        if elsewhere := detail.logs_elsewhere():
            console.note(elsewhere)
        if not _say_lines(job.logs(**window), has_times=timestamps):
            console.note_standing(detail, _failed_parts(detail, clients))


def result(job_id: JobId, region: Region = None, profile: Profile = None, endpoint_url: EndpointUrl = None) -> None:
    """Print the result of a job that has succeeded, as one line of JSON; that of an array is a list.

    A job hands its result over by one line of its log, `batch-job-result: {json}`. The last one of its last attempt
    counts. Waits for a minute after the job's end for a line that has not come, which stderr says, and not for the job.

        airflow-batch-jobs result 6c8a7f0e-3c52-4b6f-9c0d-0d1a2b3c4d5e
        airflow-batch-jobs result $ID | jq -r .bam

    Exit codes:

        0  the result is printed
        1  the job has no result, has failed or not ended, or AWS does not know it
        2  the command line is wrong
        3  AWS could not be reached, denied access, or gave no clear answer
    """
    from airflow_batch_jobs.batch.job import BatchJob
    from airflow_batch_jobs.errors import JobFailedError

    with console.errors_told():
        clients = clients_of(region, profile, endpoint_url)
        job = BatchJob.from_id(whole_id(job_id, clients), clients=clients)
        try:
            _say_result(job.result(on_wait=lambda: console.note(_LAST_LINES, has_only_words=True)))
        except JobFailedError:
            detail = job.detail()
            console.say_end(detail, _failed_parts(detail, clients))


def terminate(
    job_id: Annotated[
        str,
        typer.Argument(
            metavar="JOB_ID",
            help="Or the beginning of one. An array's child is ID:3. A node ends with its job.",
            callback=_check_not_node,
        ),
    ],
    reason: Annotated[
        str, typer.Option(help="Kept with the job as its status reason.", callback=_check_reason)
    ] = "Terminated by hand",
    region: Region = None,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
) -> None:
    """Stop a job, whatever its state.

    Its processes get SIGTERM, and SIGKILL about 30 s later; then the job is FAILED, for which this does not wait. A job
    that has ended stays as it is.

        airflow-batch-jobs terminate 6c8a7f0e --reason "wrong input"

    Exit codes:

        0  AWS is terminating the job, or it has ended already
        1  AWS does not know the job
        2  the command line is wrong
        3  AWS not reached, access denied, or no clear answer: it may run on
    """
    from airflow_batch_jobs.batch.job import BatchJob

    with console.errors_told():
        clients = clients_of(region, profile, endpoint_url)
        job_id = whole_id(job_id, clients)
        job = BatchJob.from_id(job_id, clients=clients)
        before = job.detail()
        if before.is_final:
            console.note(f"Job {job_id} has ended already: it is {before.status.value}.")
            return
        job.terminate(reason)
        console.note(f"Job {job_id} was {before.status.value} and is being terminated: {reason}")


def _say_result(result: Any) -> None:
    """Print a result as one line of JSON; what stdout's encoding does not have is escaped."""
    import json
    import sys

    text = json.dumps(result, ensure_ascii=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(result)
    console.say(text)


def _say_result_if_any(job: BatchJob) -> None:
    """Print the result of a job that has just succeeded; nothing if no line of its log is one."""
    from airflow_batch_jobs.errors import BatchJobsError, ResultError

    try:
        _say_result(job.result(late_seconds=0))
    except BatchJobsError as error:  # the job has succeeded all the same
        if not (isinstance(error, ResultError) and error.is_missing):
            console.note(str(error))


def _wait(job: BatchJob, *, follow: bool) -> JobDetail:
    """Wait for a job's end, and say on stderr what for; with `follow`, print its lines meanwhile."""
    if follow:
        console.note(f"Submitted {job.job_id}")
        return _follow(job)
    with console.JobProgress() as progress:
        return job.wait(poll_interval=_POLL_SECONDS, on_look=progress.show, on_problem=progress.show_problem)


def _follow(job: BatchJob, *, has_times: bool = False, **window: Any) -> JobDetail:
    """Print a job's lines until it has ended, and on stderr what is being waited for."""
    with console.JobProgress(has_lines=True) as progress:
        lines = job.logs(follow=True, on_change=progress.show, on_problem=progress.show_problem, **window)
        _say_lines(lines, has_times=has_times)
    return job.detail()


def _say_lines(lines: Iterable[tuple[LogStream, LogEvent]], *, has_times: bool = False) -> bool:
    """Print lines of a job, and tell whether there were any."""
    has_lines = False
    for stream, event in lines:
        console.say_line(stream, event, has_time=has_times)
        has_lines = True
    return has_lines


@contextmanager
def _left_alone(job_id: str) -> Iterator[None]:
    """Say on Ctrl-C that the job keeps running."""
    try:
        yield
    except KeyboardInterrupt:
        console.note(f"The job keeps running; `airflow-batch-jobs terminate {job_id}` stops it.")
        raise


def _failed_parts(detail: JobDetail, clients: ClientFactory) -> list[JobDetail]:
    """Return the failed children or nodes of a job that failed."""
    from airflow_batch_jobs.batch.job import BatchJob
    from airflow_batch_jobs.batch.status import JobStatus

    if detail.status is not JobStatus.FAILED:
        return []
    parts = BatchJob.describe_jobs(detail.part_ids()[:_MOST_PARTS], clients=clients)
    return [part for part in parts if part.status is JobStatus.FAILED]
