"""The options that tell every command where AWS is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.aws import ClientFactory, KeptClients

_PANEL = "Where AWS is"


def check_url(value: str | None) -> str | None:
    """Check the address that an option is given.

    Raises:
        typer.BadParameter: It is none.
    """
    if value is None:
        return None
    if not value.startswith(("http://", "https://")):
        raise typer.BadParameter("it must begin with http:// or https://")
    if not value.isprintable() or " " in value:
        raise typer.BadParameter("it has a space or a line break in it")
    try:
        urlsplit(value).port  # noqa: B018 - reading it checks it
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return value


Region = Annotated[
    str | None, typer.Option("--region", help="The region; by default, boto3's.", rich_help_panel=_PANEL)
]
Profile = Annotated[str | None, typer.Option("--profile", help="A profile in ~/.aws/config.", rich_help_panel=_PANEL)]
EndpointUrl = Annotated[
    str | None,
    typer.Option(
        "--endpoint-url",
        help="An address other than AWS's own, such as that of a local AWS.",
        rich_help_panel=_PANEL,
        callback=check_url,
    ),
]


def clients_of(region: str | None, profile: str | None, endpoint_url: str | None) -> KeptClients:
    """Return the clients that the options ask for.

    Raises:
        typer.BadParameter: There is no such profile.
        ConfigurationError: The configuration files cannot be read.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ProfileNotFound

    from airflow_batch_jobs.batch.aws import Caller, KeptClients, explain
    from airflow_batch_jobs.batch.aws.clients import clients_of_session

    def open_session() -> ClientFactory:
        return clients_of_session(boto3.Session(profile_name=profile), region, endpoint_url)

    caller = Caller(f"the AWS profile{f' {profile!r}' if profile else ''} (--profile, --region)")
    try:
        open_session()  # what is wrong with the options is told before anything is done
    except ProfileNotFound as error:
        raise typer.BadParameter(str(error), param_hint="--profile") from error
    except BotoCoreError as error:
        raise explain(error, "", caller) from error
    return KeptClients(open_session, caller=lambda: caller)
