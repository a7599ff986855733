"""`airflow-batch-jobs orphans`: find the jobs whose task instances are final or gone, and terminate them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from airflow_batch_jobs.cli import completion, console, tables
from airflow_batch_jobs.cli.aws_options import EndpointUrl, Profile, Region, check_url, clients_of

if TYPE_CHECKING:
    from airflow_batch_jobs.cli.airflow_api import AirflowApi

_PANEL = "Where Airflow is"
#: The variable of `airflowctl`, Airflow's own client on the command line.
_TOKEN = "AIRFLOW_CLI_TOKEN"  # noqa: S105 - the variable's name
_USERNAME, _PASSWORD = "AIRFLOW_USERNAME", "AIRFLOW_PASSWORD"


def _check_url(value: str) -> str:
    check_url(value)
    if "@" in urlsplit(value).netloc:
        raise typer.BadParameter(f"credentials do not belong in it; set {_TOKEN}, or {_USERNAME} and {_PASSWORD}")
    return value


def orphans(  # noqa: PLR0913, PLR0917 - each is an option of the command
    queue: Annotated[
        list[str],
        typer.Option(
            "--queue", "-q", help="A job queue's name or ARN; repeat for more.", autocompletion=completion.queues
        ),
    ],
    airflow_url: Annotated[
        str,
        typer.Option(
            "--airflow-url",
            help="The address of Airflow's API server, without /api/v2.",
            rich_help_panel=_PANEL,
            callback=_check_url,
        ),
    ],
    deployment: Annotated[
        str,
        typer.Option(
            help="The name of that Airflow, as in its option [batch_jobs] deployment.",
            envvar="AIRFLOW__BATCH_JOBS__DEPLOYMENT",
            rich_help_panel=_PANEL,
        ),
    ] = "",
    airflow_token: Annotated[
        str,
        typer.Option(
            help="A token for it. Better set in the environment, where the process list does not show it; or set "
            f"{_USERNAME} and {_PASSWORD} there.",
            envvar=_TOKEN,
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = "",
    terminate: Annotated[
        bool, typer.Option("--terminate", help="Terminate the orphans. Without it, only show them.")
    ] = False,
    grace: Annotated[float, typer.Option(min=0, help="Seconds after its submit in which a job is left alone.")] = 600.0,
    region: Region = None,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
) -> None:
    """Find jobs that keep running although their task in Airflow is final or gone.

    Looks at the active jobs that are tagged with the deployment, and leaves those whose task is still active, does not
    wait for them, or cannot be identified exactly. Without a terminal it prints one tab-separated line per job: id,
    what became of it, status, queue and why. Needs Airflow's official client: pip install apache-airflow-client.

        export AIRFLOW_CLI_TOKEN=... AIRFLOW__BATCH_JOBS__DEPLOYMENT=prod
        airflow-batch-jobs orphans -q lab --airflow-url https://af.lab
        airflow-batch-jobs orphans -q lab --airflow-url https://af.lab --terminate

    Exit codes:

        0  the jobs are shown; with --terminate: and AWS is terminating every orphan
        1  AWS does not list or describe the jobs, or does not terminate one
        2  the command line is wrong, or Airflow's client is missing
        3  AWS or Airflow not reached, access denied, or no clear answer
    """
    from airflow_batch_jobs.batch.orphans import OrphanSweep

    with console.errors_told():
        sweep = OrphanSweep(
            clients=clients_of(region, profile, endpoint_url),
            deployment=deployment,
            job_queues=queue,
            grace_seconds=grace,
            dry_run=not terminate,
        )
        report = sweep.run(_airflow(airflow_url, airflow_token).states)
        tables.say_sweep(report)
        if report.error:
            raise report.error


def _airflow(url: str, token: str) -> AirflowApi:
    """Return the API of the Airflow at an address, with the credentials given.

    Raises:
        typer.Exit: There are none, or the official client is not installed.
        AirflowUnansweredError: Airflow does not accept them.
    """
    from airflow_batch_jobs.cli.airflow_api import AirflowApi

    username, password = os.environ.get(_USERNAME), os.environ.get(_PASSWORD)
    try:
        if token := token.strip():
            return AirflowApi(url, token)
        if username and password:
            return AirflowApi.sign_in(url, username, password)
    except ImportError as error:
        console.complain("Airflow's official client is missing: pip install apache-airflow-client")
        raise typer.Exit(console.USAGE) from error
    console.complain(
        f"Airflow has to know who is asking: set {_USERNAME} and {_PASSWORD} to a user who may read all DAGs, or "
        f"{_TOKEN} to a token of that user, which {url.rstrip('/')}/auth/token gives"
    )
    raise typer.Exit(console.USAGE)
