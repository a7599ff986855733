"""`airflow-batch-jobs`: try the package out, and work with jobs on AWS Batch from a shell.

Imports neither Airflow nor boto3 before a command needs them.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_batch_jobs.cli import console
from airflow_batch_jobs.cli.aws_options import EndpointUrl, Profile, Region, clients_of
from airflow_batch_jobs.cli.migrate import migrate
from airflow_batch_jobs.cli.orphans import orphans

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.detail import JobDetail
    from airflow_batch_jobs.batch.job import BatchJob

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

#: Of a larger array, a failed child is not looked for.
_MOST_PARTS = 1_000
#: Somebody sits and waits, so more often than a task would.
_POLL_SECONDS = 2.0

JobId = Annotated[str, typer.Argument(metavar="JOB_ID", help="Also of an array's child, id:3, or of a node, id#1.")]
JobIds = Annotated[
    list[str], typer.Argument(metavar="JOB_ID...", help="Also of an array's child, id:3, or of a node, id#1.")
]


def _say_version(*, wanted: bool) -> None:
    if wanted:
        from airflow_batch_jobs import __version__

        console.say(__version__)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_say_version)
    ] = False,
) -> None:
    """Run pinned AWS Batch jobs, from Airflow or from here.

    Three ways to begin:

        airflow-batch-jobs demo        see the package work, without an AWS account
        airflow-batch-jobs local       a local AWS to develop DAGs against
        airflow-batch-jobs submit ...  start a job; then status, logs, terminate

    Results go to stdout, everything else to stderr. Exit codes:

        0  success
        1  the job has failed, or AWS refused what was asked for
        2  the command line, or a definition, is not right
        3  AWS could not be reached, denies access, or gave no clear answer; so of Airflow
        130, 143  ended by Ctrl-C, by SIGTERM
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave Airflow's UI open until Ctrl-C.")] = False,
) -> None:
    """See it work: a local AWS, an Airflow of its own, a pinned pipeline and a stop.

    Takes about a minute and a half; needs neither an AWS account nor Docker. Everything happens on 127.0.0.1 and in a
    temporary folder, and all of it is gone afterwards.

        airflow-batch-jobs demo
        airflow-batch-jobs demo --keep     look at it in the UI afterwards
    """
    from airflow_batch_jobs.demo.run import DemoError, run_demo

    with console.errors_told():
        try:
            run_demo(keep=keep)
        except DemoError as error:
            console.complain(f"The demo failed: {error}")
            raise typer.Exit(console.FAILED) from error


@app.command()
def local(
    host: Annotated[
        str, typer.Option(help="The address to listen on. Whoever reaches it and has the key can run commands here.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 for any that is free.")] = 0,
    slots: Annotated[int, typer.Option(min=1, help="So many jobs run at once.")] = 4,
    definitions: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            exists=True,
            file_okay=False,
            help="Register the job definitions of a folder: files called NAME.REVISION.json.",
        ),
    ] = None,
) -> None:
    """Run a local AWS (Batch, CloudWatch Logs, STS) until Ctrl-C.

    It runs the commands of jobs as processes of this machine, in a clean environment; `python3` and the like are
    looked for on the PATH of this command. Use the lines that it prints in the shells that are to talk to it. Its
    access key is a random one, or that in LOCAL_AWS_ACCESS_KEY, which is not printed.

        airflow-batch-jobs local --definitions dags/definitions
        airflow-batch-jobs local --port 4566 --slots 2
    """
    from airflow_batch_jobs.batch.definition_files import register_folder
    from airflow_batch_jobs.demo.interrupt import InterruptedByUserError, Interrupts
    from airflow_batch_jobs.local import LocalAws

    # A job's `python3` is the PATH's; where that has none, it is the one that runs this.
    os.environ["PATH"] = os.pathsep.join((os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)))
    key = os.environ.get("LOCAL_AWS_ACCESS_KEY", "")
    aws = LocalAws(host=host, port=port, slots=slots, access_key=key)
    with console.errors_told(), _port_errors_told(port), Interrupts() as stop, aws:
        registered = register_folder(aws.clients(), definitions) if definitions else []
        console.say_access(aws.access, registered, is_key_known=bool(key))
        with suppress(InterruptedByUserError):
            stop.pause(float("inf"))


@app.command()
def submit(
    definition: Annotated[str, typer.Argument(metavar="DEFINITION:REVISION", help="Or an ARN with a revision.")],
    queue: Annotated[str, typer.Option("--queue", "-q", help="The job queue's name or ARN.")],
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="Repeat it for more.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the job's end; exit 1 when it fails.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait, and print the job's log lines.")] = False,
    region: Region = None,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
) -> None:
    """Submit a job at a pinned revision, once, and print its id.

    With --follow, stdout gets the job's log lines instead. What AWS would refuse is found before it is asked to run
    anything: an unknown queue or revision, a placeholder that no parameter fills.

        airflow-batch-jobs submit align-reads:7 -q science -p sample=NA12878
        airflow-batch-jobs submit align-reads:7 -q science -p sample=NA12878 --wait && echo done
        airflow-batch-jobs submit align-reads:7 -q science -p sample=NA12878 --follow > log.txt
    """
    from airflow_batch_jobs.batch.definition import JobDefinition
    from airflow_batch_jobs.batch.job import BatchJob

    with console.errors_told():
        pinned = JobDefinition.named(definition, _parameters(parameter or []))
        clients = clients_of(region, profile, endpoint_url)
        job = BatchJob(pinned, clients=clients)
        job_id = job.submit(queue)
        if not follow:
            console.say(job_id)
        if wait or follow:
            with _left_alone(job_id):
                detail = _wait(job, follow=follow)
            console.say_end(detail, _failed_parts(detail, clients))


@app.command()
def status(job_ids: JobIds, region: Region = None, profile: Profile = None, endpoint_url: EndpointUrl = None) -> None:
    """Say how jobs stand: their status, why they failed or do not start, how they went.

    Exits with 1 when one of them has failed or is not known. Without a terminal it prints a line a job: id, status,
    definition, queue, exit code and the rest, with tabs between them.

        airflow-batch-jobs status 6c8a7f0e-3c52-4b6f-9c0d-0d1a2b3c4d5e
        airflow-batch-jobs status $ID | cut -f2
    """
    from airflow_batch_jobs.batch.job import BatchJob
    from airflow_batch_jobs.batch.status import JobStatus
    from airflow_batch_jobs.errors import JobNotFoundError

    with console.errors_told():
        clients = clients_of(region, profile, endpoint_url)
        details = BatchJob.describe_jobs(job_ids, clients=clients)
        console.say_statuses([(detail, _failed_parts(detail, clients)) for detail in details])
        for job_id in job_ids:
            if job_id not in {detail.job_id for detail in details}:
                raise JobNotFoundError(job_id)
        if any(detail.status is JobStatus.FAILED for detail in details):
            raise typer.Exit(console.FAILED)


@app.command()
def logs(
    job_id: JobId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
    region: Region = None,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
) -> None:
    """Print the log lines of a job: of all its attempts and containers, children and nodes.

    Where there are several streams, each line begins with its stream's label, such as [attempt 2]. Without --follow
    the lines that are there now are printed, and nothing is waited for.

        airflow-batch-jobs logs 6c8a7f0e-3c52-4b6f-9c0d-0d1a2b3c4d5e
        airflow-batch-jobs logs $ID --follow
    """
    from airflow_batch_jobs.batch.job import BatchJob

    with console.errors_told():
        job = BatchJob.from_id(job_id, clients=clients_of(region, profile, endpoint_url))
        if elsewhere := job.detail().logs_elsewhere():
            console.note(elsewhere)
        for stream, event in job.logs(follow=follow):
            console.say_line(stream, event)


@app.command()
def terminate(
    job_id: JobId,
    reason: Annotated[str, typer.Option(help="Stays with the job as its status reason.")] = "Terminated by hand",
    region: Region = None,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
) -> None:
    """Stop a job in whatever state it is.

    Its processes get SIGTERM, and SIGKILL about 30 s later; the job is FAILED then.
    One that has ended stays as it is.

        airflow-batch-jobs terminate 6c8a7f0e-3c52-4b6f-9c0d-0d1a2b3c4d5e --reason "wrong input"
    """
    from airflow_batch_jobs.batch.job import BatchJob

    with console.errors_told():
        job = BatchJob.from_id(job_id, clients=clients_of(region, profile, endpoint_url))
        before = job.detail()
        if before.is_final:
            console.note(f"Job {job_id} has ended already: it is {before.status.value}.")
            return
        job.terminate(reason)
        console.note(f"Job {job_id} was {before.status.value} and is being terminated: {reason}")


app.command()(orphans)
app.command()(migrate)


def _wait(job: BatchJob, *, follow: bool) -> JobDetail:
    """Wait for a job's end; with `follow`, print its lines meanwhile."""
    if follow:
        console.note(f"Submitted {job.job_id}")
        for stream, event in job.logs(follow=True, on_change=console.note_standing):
            console.say_line(stream, event)
        return job.detail()
    with console.JobProgress() as progress:
        return job.wait(poll_interval=_POLL_SECONDS, on_look=progress.show)


@contextmanager
def _left_alone(job_id: str) -> Iterator[None]:
    """Say at Ctrl-C that the job goes on."""
    try:
        yield
    except KeyboardInterrupt:
        console.note(f"The job goes on; `airflow-batch-jobs terminate {job_id}` stops it.")
        raise


@contextmanager
def _port_errors_told(port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
            raise
        raise typer.BadParameter(f"port {port} cannot be used: {error.strerror}", param_hint="--port") from error


def _parameters(given: Sequence[str]) -> dict[str, Any]:
    for each in given:
        if "=" not in each:
            raise typer.BadParameter(f"{each!r} is not NAME=VALUE", param_hint="--parameter")
    return dict(each.split("=", 1) for each in given)


def _failed_parts(detail: JobDetail, clients: ClientFactory) -> list[JobDetail]:
    """Return the children or nodes of a job that failed, to say which of them did."""
    from airflow_batch_jobs.batch.job import BatchJob
    from airflow_batch_jobs.batch.status import JobStatus

    if detail.status is not JobStatus.FAILED:
        return []
    parts = BatchJob.describe_jobs(detail.part_ids()[:_MOST_PARTS], clients=clients)
    return [part for part in parts if part.status is JobStatus.FAILED]
