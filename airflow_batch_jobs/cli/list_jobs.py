"""`airflow-batch-jobs list`: which jobs there are."""

from __future__ import annotations

from typing import Annotated

import typer

from airflow_batch_jobs.batch.status import ACTIVE, JobStatus
from airflow_batch_jobs.cli import completion, console, tables
from airflow_batch_jobs.cli.aws_options import EndpointUrl, Profile, Region, clients_of


def list_jobs(
    queue: Annotated[
        list[str] | None,
        typer.Option(
            "--queue",
            "-q",
            help="A job queue's name or ARN; repeat for more. All queues without it.",
            autocompletion=completion.queues,
        ),
    ] = None,
    status: Annotated[
        list[JobStatus] | None,
        typer.Option(
            "--status", "-s", case_sensitive=False, help="Repeat for more. Without it, jobs that have not ended."
        ),
    ] = None,
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="Only jobs with this in their name.")] = "",
    dag: Annotated[str, typer.Option("--dag", metavar="DAG_ID", help="Only jobs of tasks of this DAG.")] = "",
    region: Region = None,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
) -> None:
    """List jobs, the newest of each queue and status first: where they are, whose they are, and since when.

    Without a terminal it prints one tab-separated line per job: id, status, queue, name, DAG, and when it ended, began
    to run or was submitted. AWS lists jobs that have ended for at least 7 days; the children of an array are counted
    with it.

        airflow-batch-jobs list
        airflow-batch-jobs list -q science --status FAILED --dag nightly
        airflow-batch-jobs list -q science | cut -f1

    Exit codes:

        0  the jobs are listed; there may be none
        1  AWS does not list the jobs, or there is no such queue
        2  the command line is wrong
        3  AWS could not be reached, denied access, or gave no clear answer
    """
    from airflow_batch_jobs.batch.aws import until_nobody_leaves
    from airflow_batch_jobs.batch.identity import DAG_TAG, legal_tag_value
    from airflow_batch_jobs.batch.listing import listed_jobs, queue_names
    from airflow_batch_jobs.batch.operations import describe_jobs

    with console.errors_told():
        clients = clients_of(region, profile, endpoint_url)
        queues = queue or queue_names(clients)
        wanted = frozenset(status or ACTIVE)
        found = until_nobody_leaves(
            lambda: (job.job_id for job in listed_jobs(clients, queues, wanted) if name.lower() in job.job_name.lower())
        )
        jobs = [
            detail
            for detail in describe_jobs(clients, found)
            if detail.status in wanted and (not dag or detail.tags.get(DAG_TAG) == legal_tag_value(dag))
        ]
        tables.say_jobs(jobs)
        if not jobs:
            console.note(
                "No such job."
                if status
                else "No such job that has not ended. For others, give --status FAILED or SUCCEEDED."
            )
