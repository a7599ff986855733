"""Rows on stdout: a table on a terminal, blocks on a narrow one, and elsewhere tab-separated lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from airflow_batch_jobs.batch.identity import DAG_TAG
from airflow_batch_jobs.batch.logs.event import printable
from airflow_batch_jobs.batch.orphans import Decision
from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.batch.summary import in_words
from airflow_batch_jobs.cli import console
from airflow_batch_jobs.cli.times import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_batch_jobs.batch.detail import JobDetail
    from airflow_batch_jobs.batch.orphans import Finding, SweepReport
    from airflow_batch_jobs.batch.queue_snapshot import QueueSnapshot

    #: The fields of a line, and the cells of a table.
    Row = tuple[Sequence[str], Sequence[Text]]

_SWEEP_COLOURS = {Decision.ORPHAN: "red", Decision.CANNOT_TELL: "yellow"}
_COLOURS = {JobStatus.SUCCEEDED: "green", JobStatus.FAILED: "red", JobStatus.RUNNING: "cyan"}
#: Columns of a terminal from which on there is room for a table beside the ids, which take 40 of them.
_ROOM_FOR_A_TABLE = 100


def say_statuses(rows: Sequence[tuple[JobDetail, Sequence[JobDetail]]]) -> None:
    """Print the state of jobs on stdout.

    Args:
        rows: Each job with its children or nodes, as far as they are known.
    """
    _say_rows(("Job", "Status", "What"), [(_status_fields(*row), _status_cells(*row)) for row in rows])


def say_jobs(details: Sequence[JobDetail]) -> None:
    """Print jobs on stdout: where they are, whose they are, and since when."""
    headers = ("Job", "Status", "Queue", "DAG", "Since")
    _say_rows(headers, [(_job_fields(detail), _job_cells(detail)) for detail in details])


def say_waiting(queue: QueueSnapshot) -> None:
    """Print on stdout the jobs that wait in a queue."""
    rows = [(detail, queue.positions.get(detail.job_id, "")) for detail in queue.waiting]
    headers = ("Job", "Place", "Status", "Since", "Why")
    _say_rows(headers, [(_waiting_fields(*row), _waiting_cells(*row)) for row in rows])


def say_sweep(report: SweepReport) -> None:
    """Print what a sweep found on stdout, and its summary on stderr."""
    rows = [(one, report.verdict(one)) for one in report.findings]
    _say_rows(("Job", "Sweep", "Why"), [(_sweep_fields(*row), _sweep_cells(*row)) for row in rows])
    console.note(report.summary())


def _say_rows(headers: Sequence[str], rows: Sequence[Row]) -> None:
    """Print rows on stdout, each beginning with an id, which stays in one piece wherever it is shown.

    Args:
        headers: The headers of the table.
        rows: Each row as the fields of a line and as the cells of a table.
    """
    screen = Console()
    if not screen.is_terminal:
        for fields, _ in rows:
            console.say("\t".join(" ".join(printable(field).split()) for field in fields))
    elif rows:
        with screen.capture() as shown:
            if screen.width >= _ROOM_FOR_A_TABLE:
                _draw_table(screen, headers, [cells for _, cells in rows])
            else:
                for _, cells in rows:
                    _draw_block(screen, headers, cells)
        console.say(shown.get().removesuffix("\n"))


def _draw_table(screen: Console, headers: Sequence[str], rows: Sequence[Sequence[Text]]) -> None:
    # The first column has ids, which are to be copied: it takes what it needs of the terminal's width.
    width = max(len(cells[0].plain.partition("\n")[0]) for cells in rows)
    first, *more = headers
    table = Table(Column(first, min_width=width, overflow="fold"), *(Column(each, overflow="fold") for each in more))
    for cells in rows:
        table.add_row(*cells)
    screen.print(table)


def _draw_block(screen: Console, headers: Sequence[str], cells: Sequence[Text]) -> None:
    """Draw a row as its id, and below it what is known."""
    first, *more = cells[0].split("\n")
    screen.print(first, soft_wrap=True)
    for line in more:
        screen.print(_indented(line))
    for header, cell in zip(headers[1:], cells[1:], strict=True):
        if cell.plain:
            screen.print(_indented(Text.assemble((f"{header}: ", "dim"), cell)))


def _indented(text: Text) -> Padding:
    return Padding(text, (0, 0, 0, 2), expand=False)


def _status_fields(detail: JobDetail, parts: Sequence[JobDetail]) -> Sequence[str]:
    exit_code = str(detail.exit_code) if detail.is_final and detail.exit_code is not None else ""
    known = (detail.job_id, detail.status.value, detail.definition_reference, detail.queue_name, exit_code)
    return (*known, console.story(detail, parts))


def _status_cells(detail: JobDetail, parts: Sequence[JobDetail]) -> Sequence[Text]:
    where = Text(f"{detail.definition_reference} on {detail.queue_name}", "dim")
    return (
        Text.assemble(detail.job_id, "\n", (detail.job_name, "dim")),
        _status(detail),
        Text.assemble(printable(console.story(detail, parts)), "\n", where),
    )


def _job_fields(detail: JobDetail) -> Sequence[str]:
    since = console.since(detail)
    known = (detail.job_id, detail.status.value, detail.queue_name, detail.job_name, detail.tags.get(DAG_TAG, ""))
    return (*known, moment(since) if since else "")


def _job_cells(detail: JobDetail) -> Sequence[Text]:
    since = console.since(detail)
    return (
        Text.assemble(detail.job_id, "\n", (detail.job_name, "dim")),
        _status(detail),
        Text(detail.queue_name),
        Text(printable(detail.tags.get(DAG_TAG, ""))),
        Text(f"{in_words(console.age_seconds(detail))} ago" if since else ""),
    )


def _waiting_fields(detail: JobDetail, place: str) -> Sequence[str]:
    since = console.since(detail)
    known = (detail.job_id, place, detail.status.value, moment(since) if since else "", detail.job_name)
    return (*known, console.reason(detail))


def _waiting_cells(detail: JobDetail, place: str) -> Sequence[Text]:
    since = console.since(detail)
    return (
        Text.assemble(detail.job_id, "\n", (detail.job_name, "dim")),
        Text(place, "bold" if place == "1" else ""),
        _status(detail),
        Text(f"{in_words(console.age_seconds(detail))} ago" if since else ""),
        Text(printable(console.reason(detail))),
    )


def _status(detail: JobDetail) -> Text:
    return Text(detail.status.value, _COLOURS.get(detail.status, "yellow"))


def _sweep_fields(finding: Finding, verdict: str) -> Sequence[str]:
    job = finding.job
    return job.job_id, verdict, job.status.value, job.queue_name, finding.why


def _sweep_cells(finding: Finding, verdict: str) -> Sequence[Text]:
    job = finding.job
    where = Text(f"{job.status.value} in {job.queue_name}", "dim")
    return (
        Text.assemble(job.job_id, "\n", (job.job_name, "dim")),
        Text(verdict, _SWEEP_COLOURS.get(finding.decision, "")),
        Text.assemble(printable(finding.why), "\n", where),
    )
