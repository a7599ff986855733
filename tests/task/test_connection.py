"""AwsConnection: one lookup, one session and one assumed role for all clients of a connection."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config

from airflow_batch_jobs.batch.aws import KeptClients, Patience, service
from airflow_batch_jobs.batch.watch import Ended, NoAnswer
from airflow_batch_jobs.errors import (
    AccessDeniedError,
    AwsError,
    ConfigurationError,
    ConnectionUnansweredError,
    CredentialsError,
    EndpointError,
)
from airflow_batch_jobs.local import LocalAws
from airflow_batch_jobs.task.connection import AwsConnection
from tests.batch.virtual import VirtualAws, follow_to_end, run, run_beside
from tests.clocks import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_batch_jobs.batch.watch.updates import Update
    from tests.task.api_server import ApiServer

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


@pytest.mark.long
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


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalAws]:
    """Another AWS, to which the credentials of this machine lead."""
    with LocalAws() as other:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", other.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", other.secret_key)
        monkeypatch.setenv("AWS_ENDPOINT_URL", other.endpoint_url)
        monkeypatch.setenv("AWS_DEFAULT_REGION", other.region)
        yield other


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The warnings in the task log."""
    from airflow_batch_jobs.task import log

    written: list[str] = []
    monkeypatch.setattr(log, "problem", written.append)
    return written


@pytest.mark.parametrize("conn_id", ["prod", "aws_default"])
@pytest.mark.parametrize("failures", [1, 3])
def test_while_airflow_does_not_tell_the_connection_no_other_credentials_are_used(
    aws: LocalAws, host: LocalAws, api_server: ApiServer, lines: list[str], conn_id: str, failures: int
) -> None:
    """It is asked again, with one line in the log."""
    api_server.connections[conn_id] = aws.airflow_connection()
    api_server.failures = failures
    call(AwsConnection(conn_id).clients(clock=ManualClock()))
    assert (aws.counts()["DescribeJobs"], host.requests()) == (1, [])
    assert len(lines) == 1
    assert f"Airflow did not return the AWS connection {conn_id!r}" in lines[0]
    assert lines[0].endswith("Asking again for a minute.")


def test_an_api_server_that_is_away_for_more_than_a_minute_is_an_error(
    host: LocalAws, api_server: ApiServer, lines: list[str]
) -> None:
    """Of ours, which says whom to look at."""
    api_server.failures = float("inf")
    clock = ManualClock()
    with pytest.raises(ConnectionUnansweredError, match="Check the API server, its database and the secrets backend"):
        call(AwsConnection("prod").clients(clock=clock))
    assert 60 <= clock.slept < 65
    assert len(lines) == 1
    assert not host.requests()


def test_a_connection_that_is_not_defined_is_an_error_at_once(host: LocalAws, api_server: ApiServer) -> None:
    """Whoever names a connection does not mean the credentials of the machine."""
    clock = ManualClock()
    with pytest.raises(ConfigurationError, match="Airflow has no AWS connection 'prod'"):
        call(AwsConnection("prod").clients(clock=clock))
    assert clock.slept == 0
    assert not host.requests()
    assert api_server.asked


@pytest.mark.parametrize("conn_id", [None, "aws_default"])
def test_without_a_connection_boto3_searches_for_credentials(
    host: LocalAws, api_server: ApiServer, conn_id: str | None
) -> None:
    """If the task names none; and the default one need not be defined, as the Amazon provider has it."""
    call(AwsConnection(conn_id).clients())
    assert host.counts()["DescribeJobs"] == 1
    assert bool(api_server.asked) is bool(conn_id)


def test_a_default_connection_is_not_missing_because_the_database_is(
    aws: LocalAws, host: LocalAws, api_server: ApiServer
) -> None:
    """The API server says so then, but it cannot know."""
    api_server.connections["aws_default"] = aws.airflow_connection()
    api_server.is_without_database = True
    with pytest.raises(ConnectionUnansweredError):
        call(AwsConnection().clients(), patience=Patience.PACED)
    assert not host.requests()


@pytest.mark.parametrize("conn_id", ["prod", "aws_default"])
def test_a_connection_that_was_there_is_waited_for(
    aws: LocalAws, host: LocalAws, api_server: ApiServer, conn_id: str
) -> None:
    """Jobs are at work, and a secrets backend of the API server alone that is away looks the same."""
    api_server.connections[conn_id] = aws.airflow_connection()
    clients = AwsConnection(conn_id).clients()
    call(clients, patience=Patience.PACED)
    known = api_server.connections.pop(conn_id)
    clients.renew()
    with pytest.raises(ConnectionUnansweredError, match="any more"):
        call(clients, patience=Patience.PACED)
    api_server.connections[conn_id] = known
    call(clients, patience=Patience.PACED)
    assert (aws.counts()["DescribeJobs"], host.requests()) == (2, [])


@pytest.mark.long
def test_a_watcher_waits_for_the_api_server_as_long_as_it_takes(
    frozen_aws: LocalAws, host: LocalAws, api_server: ApiServer
) -> None:
    """Its followers are told after half a minute, once for each service, and no wait ends."""
    api_server.connections["prod"] = frozen_aws.airflow_connection()
    frozen_aws.script(definition="long", running=600)
    [job_id] = frozen_aws.submit(frozen_aws.register("long"))

    def go_away() -> None:
        api_server.failures = float("inf")
        frozen_aws.fault("*", "expired", times=1)

    def come_back() -> None:
        api_server.failures = 0

    async def main() -> list[Update]:
        watcher = VirtualAws(frozen_aws).watcher(AwsConnection("prod").clients())
        async with asyncio.timeout(900):
            return await run_beside(follow_to_end(watcher.follow(job_id)), (20, go_away), (320, come_back))

    updates = run(main())
    assert isinstance(updates[-1], Ended)
    told = [update.problem for update in updates if isinstance(update, NoAnswer)]
    assert len(told) == 4  # of AWS Batch and of CloudWatch Logs
    assert all("still asking. Airflow did not return the AWS connection 'prod'" in problem for problem in told[:2])
    assert not host.requests()


def test_sts_that_is_away_is_waited_for(aws: LocalAws, connect: Callable[..., None], lines: list[str]) -> None:
    """As the API server is; the line names the call."""
    connect(role_arn=ROLE, config_kwargs={"retries": {"total_max_attempts": 1}})
    aws.fault("AssumeRole", "server_error", times=3)
    call(AwsConnection().clients(clock=ManualClock()))
    assert aws.counts()["AssumeRole"] == 4
    assert len(lines) == 1
    assert lines[0].startswith("sts:AssumeRole failed: ")


@pytest.mark.parametrize("patience", [Patience.CONFIGURED, Patience.PACED])
def test_a_role_that_may_not_be_assumed_ends_it_at_once(
    aws: LocalAws, connect: Callable[..., None], patience: Patience
) -> None:
    """With the call and the role that were refused."""
    connect(role_arn=ROLE)
    aws.fault("AssumeRole", "error", code="AccessDenied", status=403, message="Not authorized.")
    with pytest.raises(AccessDeniedError) as caught:
        call(AwsConnection().clients(), patience=patience)
    cure = (
        f"Allow the credentials of the AWS connection 'aws_default' sts:AssumeRole on {ROLE}, and let its trust policy"
    )
    assert str(caught.value) == f"sts:AssumeRole failed: AccessDenied: Not authorized. {cure} name them."
    assert [request.operation for request in aws.requests()] == ["AssumeRole"]


def test_a_role_that_is_refused_later_is_named_as_well(
    aws: LocalAws, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The role is assumed it again in the middle of another call."""
    from botocore.credentials import RefreshableCredentials

    connect(role_arn=ROLE)
    clients = AwsConnection().clients()
    call(clients)
    aws.fault("AssumeRole", "error", code="AccessDenied", status=403, message="No.")
    monkeypatch.setattr(RefreshableCredentials, "refresh_needed", lambda *_, **__: True)
    with pytest.raises(AccessDeniedError, match=f"sts:AssumeRole on {ROLE}"):
        call(clients)


def test_keys_that_aws_rejects_are_named_by_their_connection(aws: LocalAws, connect: Callable[..., None]) -> None:
    """And by the role that was assumed with them."""
    connect(role_arn=ROLE)
    aws.fault("DescribeJobs", "error", code="UnrecognizedClientException", status=403, message="no")
    with pytest.raises(
        CredentialsError, match=f"Give the AWS connection 'aws_default' .role {ROLE}. valid credentials"
    ):
        call(AwsConnection().clients())


@pytest.mark.parametrize(
    ("extra", "settings", "said"),
    [
        ({"profile_name": "etl"}, {}, "The config profile .etl. could not be found"),
        ({"region_name": "no such region"}, {}, "no such region"),
        ({"verify": "/there/is/no/ca.pem"}, {}, "There is no CA file /there/is/no/ca.pem on this machine"),
        ({}, {"verify": "/there/is/no/ca.pem"}, "There is no CA file /there/is/no/ca.pem on this machine"),
        ({}, {"aws_conn_id": 5}, "aws_conn_id must be text, not 5"),
        ({}, {"aws_conn_id": ["prod"]}, "aws_conn_id must be text, not "),
        ({}, {"botocore_config": "{'read_timeout': 7}"}, "botocore_config must be a mapping, not a value of type str"),
        ({}, {"verify": 7}, "verify must be True, False or the path of a CA bundle, not 7"),
        ({}, {"botocore_config": {"read_timeuot": 7}}, "read_timeuot"),
        ({}, {"botocore_config": {"retries": {"mode": "never"}}}, "never"),
        ({"config_kwargs": ["read_timeout"]}, {}, "The settings of the AWS connection 'aws_default' cannot be used"),
        ({"role_arn": ROLE, "assume_role_method": "guess"}, {}, "assume_role_method='guess'"),
        ({"role_arn": ROLE, "assume_role_method": "assume_role_with_saml"}, {}, "assume_role_with_saml"),
        ({"role_arn": ROLE, "assume_role_kwargs": {"DurationSeconds": "long"}}, {}, "DurationSeconds"),
    ],
)
def test_settings_that_cannot_work_end_it_at_once(
    aws: LocalAws, connect: Callable[..., None], extra: dict[str, Any], settings: dict[str, Any], said: str
) -> None:
    """With an error that says what to correct, for a submit as for a wait, and nothing is waited for."""
    connect(**extra)
    clock = ManualClock()
    for patience in (Patience.CONFIGURED, Patience.PACED):
        with pytest.raises(AwsError, match=said) as caught:
            call(AwsConnection(**settings).clients(clock=clock), patience=patience)
        assert isinstance(caught.value, ConfigurationError), caught.value
        assert "Correct" in str(caught.value)
        assert "network" not in str(caught.value)
    assert clock.slept == 0
    assert not aws.requests()


def test_what_a_session_factory_raises_is_waited_out(
    aws: LocalAws, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    """Whatever library it asks for the credentials."""
    from airflow.providers.amazon.aws.hooks import base_aws

    class VaultError(Exception):
        """Of a library that nobody here has heard of."""

    failures = [VaultError("sealed"), VaultError("sealed")]

    class Factory(base_aws.BaseSessionFactory):
        """A session factory of one's own."""

        def _create_basic_session(self, session_kwargs: dict[str, Any]) -> Any:
            if failures:
                raise failures.pop()
            return super()._create_basic_session(session_kwargs)

    connect()
    monkeypatch.setattr(base_aws, "SessionFactory", Factory)
    call(AwsConnection().clients(clock=ManualClock()))
    assert aws.counts()["DescribeJobs"] == 1
    assert len(lines) == 1
    assert "VaultError('sealed')" in lines[0]


def test_an_extra_that_is_no_json_leaves_out_no_role(aws: LocalAws, api_server: ApiServer) -> None:
    """Airflow would read none of it, and the keys alone would be used."""
    from airflow.sdk import Connection

    from airflow_batch_jobs.task import connection

    del aws, api_server
    broken = Connection(conn_id="prod", conn_type="aws", login="x", password="x", extra=f'{{"role_arn": "{ROLE}"')
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(connection, "look_up", lambda _: broken)
        with pytest.raises(ConfigurationError, match="The extra of the AWS connection 'prod' is not a JSON object"):
            call(AwsConnection("prod").clients())


def test_credentials_of_the_machine_that_are_gone_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, host: LocalAws, tmp_path: Path
) -> None:
    """The instance metadata is away: without an answer of it boto3 finds nothing, and says only that."""
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    clients = AwsConnection(None).clients()
    call(clients)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    clients.renew()
    with pytest.raises(EndpointError, match="there are none any more"):
        call(clients, patience=Patience.PACED)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", host.access_key)
    call(clients, patience=Patience.PACED)
    assert host.counts()["DescribeJobs"] == 2


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A machine without credentials, whose metadata does not answer."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")
    return monkeypatch


@pytest.mark.parametrize("patience", [Patience.CONFIGURED, Patience.ONCE])
def test_credentials_that_the_machine_does_not_have_yet_are_waited_for(
    aws: LocalAws, bare: pytest.MonkeyPatch, lines: list[str], patience: Patience
) -> None:
    """By a submit, for a minute: while its metadata is away, boto3 says that there are none."""

    class Clock(ManualClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if self.slept > 30:
                bare.setenv("AWS_ACCESS_KEY_ID", aws.access_key)
                bare.setenv("AWS_SECRET_ACCESS_KEY", aws.secret_key)

    bare.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
    clock = Clock()
    call(AwsConnection(None, aws.region).clients(clock=clock), patience=patience)
    assert aws.counts()["DescribeJobs"] == 1
    assert 30 < clock.slept < 40
    [line] = lines
    assert "Unable to locate credentials" in line
    assert line.endswith("Asking again for a minute.")


def test_credentials_that_do_not_come_are_an_error_after_a_minute(bare: pytest.MonkeyPatch) -> None:
    """One minute for all calls of a submit."""
    bare.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    clock = ManualClock()
    clients = AwsConnection(None, region_name="us-east-1").clients(clock=clock)
    for _ in range(2):
        with pytest.raises(CredentialsError, match="Unable to locate credentials"):
            call(clients)
    assert 60 <= clock.slept < 65


def test_a_call_that_is_not_signed_needs_no_credentials(aws: LocalAws, bare: pytest.MonkeyPatch) -> None:
    """What AWS then says of it is its own affair."""
    connection = json.loads(aws.airflow_connection())
    extra = connection["extra"] | {"config_kwargs": {"signature_version": "unsigned"}}
    bare.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws", "extra": extra}))
    with pytest.raises(AwsError, match="Missing Authentication Token"):
        call(AwsConnection().clients(clock=ManualClock()), patience=Patience.PACED)


def test_a_machine_without_credentials_or_metadata_is_told_at_once(bare: pytest.MonkeyPatch) -> None:
    """None will come."""
    bare.setenv("AWS_EC2_METADATA_DISABLED", "true")
    clock = ManualClock()
    with pytest.raises(CredentialsError, match="Unable to locate credentials"):
        call(AwsConnection(None, region_name="us-east-1").clients(clock=clock))
    assert clock.slept == 0
