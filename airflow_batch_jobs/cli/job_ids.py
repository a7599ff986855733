"""Ids of jobs as people give them: whole, or by a beginning that only one job's id has."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_batch_jobs.batch.job_id import bare_id
from airflow_batch_jobs.cli import console

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.listing import ListedJob

#: How long jobs are looked through for the ones that an id may be the beginning of.
SEARCH_SECONDS = 30.0
#: A beginning has at least four characters, and a whole id 36; a child or a node is named behind either.
_BEGINNING = re.compile(r"([0-9a-f][0-9a-f-]{3,34})((?:[:#]\d+)?)")
#: An id or a beginning, in letters of any size; AWS's own are small.
_ANY_SIZE = re.compile(r"[0-9A-Fa-f-]{1,36}(?:[:#]\d+)?")
_LEAST_CHARACTERS = 4
#: How many of the ids that begin alike are named.
_NAMED = 10

_HELP = "Or the beginning of one, at least 4 characters. An array's child is ID:3, a node is ID#1."
JobId = Annotated[str, typer.Argument(metavar="JOB_ID", help=_HELP)]
JobIds = Annotated[list[str], typer.Argument(metavar="JOB_ID...", help=_HELP)]


def whole_id(given: str, clients: ClientFactory) -> str:
    """Return the id that a beginning stands for, as `whole_ids` does."""
    return whole_ids([given], clients)[0]


def whole_ids(given: Sequence[str], clients: ClientFactory) -> list[str]:
    """Return the ids that beginnings stand for; what no job's id begins with stays as it is, as do whole ids.

    AWS has no such search, so all jobs of all queues that the role may see are listed, unless all ids are whole.

    Raises:
        typer.Exit: Several ids begin like this, one is too short, or not all jobs could be looked through in time.
        AwsError: AWS does not list queues or jobs.
    """
    given = [bare_id(each) for each in given]
    for each in given:
        if len(each) < _LEAST_CHARACTERS:
            console.complain(f"'{each}' is too short for a job's id: give at least 4 characters of its beginning.")
            raise typer.Exit(console.USAGE)
    given = [each.lower() if _ANY_SIZE.fullmatch(each) else each for each in given]
    beginnings = {match[1] for each in given if (match := _BEGINNING.fullmatch(each))}
    found = _search(beginnings, clients) if beginnings else {}
    return [_whole(each, found) for each in given]


def _whole(given: str, found: dict[str, dict[str, ListedJob]]) -> str:
    match = _BEGINNING.fullmatch(given)
    if not match or not (jobs := found[match[1]]):
        return given
    if len(jobs) > 1:
        console.complain(f"{len(jobs)} jobs have an id that begins with {match[1]}; give more of it.")
        for job in [*jobs.values()][:_NAMED]:
            console.note(f"{job.job_id}  {job.status.value}  {job.job_name}")
        if len(jobs) > _NAMED:
            console.note(f"and {len(jobs) - _NAMED} more")
        raise typer.Exit(console.USAGE)
    return f"{next(iter(jobs))}{match[2]}"


def _search(beginnings: Iterable[str], clients: ClientFactory) -> dict[str, dict[str, ListedJob]]:
    """Return the jobs whose ids begin in these ways, by their ids.

    Raises:
        typer.Exit: There are too many jobs to look through in time.
    """
    from airflow_batch_jobs.batch.listing import listed_jobs, queue_names
    from airflow_batch_jobs.batch.status import JobStatus
    from airflow_batch_jobs.errors import AwsError

    found: dict[str, dict[str, ListedJob]] = {each: {} for each in beginnings}
    give_up, looked_through = time.monotonic() + SEARCH_SECONDS, 0
    try:
        for job in listed_jobs(clients, queue_names(clients), frozenset(JobStatus)):
            looked_through += 1
            for beginning, jobs in found.items():
                if job.job_id.startswith(beginning):
                    jobs[job.job_id] = job
            if time.monotonic() > give_up:
                console.complain(
                    f"Too many jobs to look through in {SEARCH_SECONDS:.0f} s ({looked_through:,} so far) for "
                    f"ids that begin with {', '.join(found)}; give the whole id."
                )
                raise typer.Exit(console.NO_ANSWER)
    except AwsError:
        console.note(f"Jobs are listed to find ids that begin with {', '.join(found)}; a whole id needs no search.")
        raise
    return found
