"""AwsConnection: one lookup, one session and one assumed role for all clients of a connection."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config

from airflow_batch_jobs.batch.aws import KeptClients, Patience, service
from airflow_batch_jobs.errors import CredentialsError
from airflow_batch_jobs.task.connection import AwsConnection

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.local.server import LocalAws

ROLE = "arn:aws:iam::123456789012:role/airflow"


@pytest.fixture
def connect(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the connection `aws_default` to the local AWS, with further values in its extra."""

    def connect(**extra: Any) -> None:
        connection = json.loads(aws.airflow_connection())
        connection["extra"] |= extra
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))

    connect()
    return connect


def call(clients: KeptClients, **how: Any) -> None:
    """Call DescribeJobs once."""
    service(clients, "batch", **how).call("describe_jobs", dict, jobs=["x"])


def test_all_clients_of_a_connection_share_one_assumed_role(aws: LocalAws, connect: Callable[..., None]) -> None:
    """Whatever their service, region and patience."""
    connect(role_arn=ROLE)
    clients = AwsConnection().clients()
    call(clients)
    call(clients, patience=Patience.URGENT)
    call(clients, region="eu-west-1")
    assert clients.get("logs", "eu-west-2").meta.region_name == "eu-west-2"
    assert {name: aws.counts()[name] for name in ("AssumeRole", "DescribeJobs")} == {"AssumeRole": 1, "DescribeJobs": 3}


def test_expired_credentials_have_the_role_assumed_anew(aws: LocalAws, connect: Callable[..., None]) -> None:
    """With a fresh lookup of the connection."""
    connect(role_arn=ROLE)
    clients = AwsConnection().clients()
    aws.fault("DescribeJobs", "expired", times=1)
    with pytest.raises(CredentialsError):
        call(clients)
    connect(role_arn=f"{ROLE}-new")
    call(clients)
    assert [each.parameters["RoleArn"] for each in aws.requests("AssumeRole")] == [ROLE, f"{ROLE}-new"]


def test_nothing_is_looked_up_before_a_client_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trigger may make its clients in the event loop."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "no connection at all")
    assert isinstance(AwsConnection().clients(), KeptClients)


def test_a_client_is_as_the_hook_makes_it(aws: LocalAws, connect: Callable[..., None]) -> None:
    """Endpoints by service, certificates, and the three configurations merged."""
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook

    connect(
        config_kwargs={"read_timeout": 33},
        verify=False,
        service_config={"logs": {"endpoint_url": "http://127.0.0.1:9"}},
    )
    connection = AwsConnection(region_name="eu-west-3", botocore_config={"read_timeout": 77, "max_pool_connections": 3})
    for name in ("batch", "logs"):
        hook: AwsGenericHook[Any] = AwsGenericHook(
            client_type=name, region_name="eu-west-3", config=Config(**dict(connection.botocore_config or {}))
        )
        theirs, ours = hook.get_client_type(), connection.clients().get(name)
        assert facts(ours) == facts(theirs)
    paced = connection.clients().get("batch", None, Patience.PACED).meta.config
    assert (paced.read_timeout, paced.max_pool_connections) == (20, 3)
    assert AwsConnection().clients().get("batch").meta.config.read_timeout == 33
    assert AwsConnection().clients().get("batch").meta.region_name == aws.region


def facts(client: Any) -> tuple[object, ...]:
    """Return the arguments that a client was made with."""
    config = client.meta.config
    return (
        client.meta.endpoint_url,
        client.meta.region_name,
        client._endpoint.http_session._verify,
        config.read_timeout,
        config.max_pool_connections,
        config.retries,
        config.user_agent,
    )
