"""`airflow-batch-jobs queue`: what waits in a queue, why, and what is first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.cli import completion, console, tables
from airflow_batch_jobs.cli.aws_options import EndpointUrl, Profile, Region, clients_of

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.queue_snapshot import QueueSnapshot


def queue(
    name: Annotated[
        str,
        typer.Argument(metavar="QUEUE", help="The job queue's name or ARN.", autocompletion=completion.queues),
    ],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many jobs to show; all are counted.")] = 100,
    region: Region = None,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
) -> None:
    """Show what waits in a queue: what is first, since when each job waits, and why it does not start.

    The jobs that start next come first, with their places; then those that wait for something else, such as another
    job. Without a terminal it prints one tab-separated line per job: id, place, status, since when, name and why. A
    summary is on stderr.

        airflow-batch-jobs queue science
        airflow-batch-jobs queue science --limit 5

    Exit codes:

        0  the queue is shown; nothing may wait in it
        1  there is no such queue, or AWS does not list its jobs
        2  the command line is wrong
        3  AWS could not be reached, denied access, or gave no clear answer
    """
    from airflow_batch_jobs.batch.queue_snapshot import snapshot

    with console.errors_told():
        found = snapshot(clients_of(region, profile, endpoint_url), name, limit)
        tables.say_waiting(found)
        if found.no_positions:
            console.note(f"It is not known which job is first. {found.no_positions}")
        console.note(_summary(found), has_only_words=True)


def _summary(found: QueueSnapshot) -> str:
    """Return one line about a queue and all jobs in it."""
    counts = ", ".join(f"{found.counts[status]:,} {status.value}" for status in JobStatus if status in found.counts)
    health = "" if found.status == "VALID" else f" and {found.status} ({found.status_reason})"
    waiting = sum(count for status, count in found.counts.items() if status.is_waiting)
    more = waiting - len(found.waiting)
    rest = f". Not shown: {more:,} that wait" if more > 0 else ""
    return f"Queue {found.name} is {found.state}{health}: {counts or 'no jobs'}{rest}"
