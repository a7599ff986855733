"""The AWS connection of a task: what the operator's AWS parameters say, as boto3 clients of one session."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowException

from airflow_batch_jobs.batch.aws import Caller, KeptClients, Trouble, explain, trouble
from airflow_batch_jobs.batch.aws.calls import action_of
from airflow_batch_jobs.batch.aws.outage import Outage
from airflow_batch_jobs.batch.aws.trouble import is_bug
from airflow_batch_jobs.errors import AwsError, ConfigurationError, ConnectionUnansweredError
from airflow_batch_jobs.task import log
from airflow_batch_jobs.task.arguments import check_aws_arguments
from airflow_batch_jobs.task.connection_lookup import look_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import boto3
    from airflow.sdk import Connection
    from botocore.config import Config

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.aws.clock import Clock
    from airflow_batch_jobs.task.arguments import HasAwsParameters


#: The connection that need not be defined: without it, boto3 searches for credentials by itself.
DEFAULT_CONNECTION = "aws_default"


@dataclass(frozen=True, slots=True)
class AwsConnection:
    """An Airflow connection to AWS, with what a task sets on top of it.

    Attributes:
        aws_conn_id: The connection's id; None for boto3's own search for credentials.
        region_name: The region; None for the connection's.
        verify: Whether to verify TLS certificates, or the path of a CA bundle; None for the connection's setting.
        botocore_config: Keyword arguments of botocore's Config.
    """

    aws_conn_id: str | None = DEFAULT_CONNECTION
    region_name: str | None = None
    verify: bool | str | None = None
    botocore_config: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, task: HasAwsParameters) -> AwsConnection:
        """Take the settings from an operator; an empty connection id means none."""
        return cls(task.aws_conn_id or None, task.region_name, task.verify, task.botocore_config)

    @property
    def key(self) -> str:
        """What distinguishes one set of AWS settings from another: tasks with the same key share a watcher."""
        return json.dumps(self.to_dict(), sort_keys=True, default=str)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, as they stand in a trigger's kwargs."""
        return asdict(self)

    def clients(self, on_made: Callable[[str], object] = lambda _: None, *, clock: Clock | None = None) -> KeptClients:
        """Return the clients of this connection.

        The connection is looked up when the first client is made, never earlier, and blocks meanwhile: call AWS in
        threads. All clients are of one session. While the connection or its credentials cannot be had, a watcher's
        clients fail, and are asked for again; any others wait for a minute, with a line in the log.

        Args:
            on_made: Called with the service of each client that is made.
            clock: Time and sleep; the machine's own if None.
        """
        sessions = _Sessions(self)
        return KeptClients(sessions.open, on_made, outage=Outage(_tell, clock), caller=lambda: sessions.caller)


class _Sessions:
    """Opens the sessions of a connection, one after another.

    Remembers what was once there, so that its absence is an outage: what then is found instead may be another identity.

    Attributes:
        caller: As whom AWS is called, as far as that is known.
    """

    def __init__(self, settings: AwsConnection) -> None:
        self._settings = settings
        self._is_defined = False
        self._had_credentials = False
        self.caller = Caller(f"the AWS connection {settings.aws_conn_id!r}") if settings.aws_conn_id else Caller()

    def open(self) -> ClientFactory:
        """Look up the connection, and return a factory that makes clients from one session with its credentials.

        Raises:
            AwsError: The connection or its credentials cannot be had.
        """
        from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
        from botocore import UNSIGNED
        from botocore.config import Config as BotocoreConfig

        settings = self._settings
        try:
            check_aws_arguments(settings)  # of a stored trigger, or as they were rendered
        except ValueError as error:
            raise ConfigurationError(f"The AWS settings of the task cannot be used: {error}. Correct them.") from error
        connection = self._look_up()
        with self._explained():
            hook: AwsGenericHook[Any] = AwsGenericHook(
                aws_conn_id=settings.aws_conn_id if connection else None,
                region_name=settings.region_name,
                verify=settings.verify,
                client_type="batch",
                config=BotocoreConfig(**settings.botocore_config) if settings.botocore_config else None,
            )
            # The hook's own look-up takes an outage for a connection that is not defined.
            hook.get_connection = lambda _: connection  # type: ignore[assignment,method-assign,return-value]
            # By default the hook opens a session for each client, and each session assumes the connection's role again.
            hook.get_session = cache(hook.get_session)  # type: ignore[method-assign]  # where the hook itself looks it up
            base, told = hook.config, hook.conn_config
            action = action_of("sts", told.assume_role_method or "") if told.role_arn else ""
        self.caller = replace(self.caller, role=told.role_arn or "")
        if isinstance(told.verify, str) and not Path(told.verify).exists():
            raise ConfigurationError(f"There is no CA file {told.verify} on this machine. Correct {self.caller}.")
        with self._explained(action):
            session = hook.get_session(region_name=None, deferrable=False)
            self._get_credentials(session, is_signed=getattr(base, "signature_version", None) is not UNSIGNED)
        making = threading.Lock()

        def make(service: str, *, region_name: str | None = None, config: Config | None = None) -> Any:
            wanted = base.merge(BotocoreConfig(region_name=region_name)) if region_name else base
            with making, self._explained():  # neither the hook nor its session may make two clients at once
                hook.client_type = service
                return hook.get_client_type(config=wanted.merge(config) if config else wanted)

        return make

    def _look_up(self) -> Connection | None:
        """Look up the connection; None stands for boto3's own search for credentials.

        That is only for tasks that name no connection, or the default one where it is not defined, as the Amazon
        provider has it.
        """
        conn_id = self._settings.aws_conn_id
        if conn_id is None:
            return None
        connection = look_up(conn_id)
        if connection is None and self._is_defined:
            raise ConnectionUnansweredError(
                f"Airflow has no AWS connection {conn_id!r} any more, so AWS is not asked either. Define it again."
            )
        if connection is None and conn_id != DEFAULT_CONNECTION:
            raise ConfigurationError(
                f"Airflow has no AWS connection {conn_id!r}. Define it for workers and triggerers, or set "
                "aws_conn_id=None to use the credentials of their machines."
            )
        if connection is not None and not _is_object(connection.extra):
            # Airflow reads none of it then, which leaves out the role, or the region.
            raise ConfigurationError(f"The extra of {self.caller} is not a JSON object. Correct it.")
        self._is_defined = connection is not None
        return connection

    def _get_credentials(self, session: boto3.Session, *, is_signed: bool) -> None:
        """Get the credentials now, so that whatever keeps them back is an error of the session and not of a call.

        Raises:
            CredentialRetrievalError: This machine had some, and has none now: what gives them does not answer.
            NoCredentialsError: It has none, and has had none since.
        """
        from botocore.exceptions import CredentialRetrievalError, NoCredentialsError

        credentials = session.get_credentials()
        if credentials is not None:
            credentials.get_frozen_credentials()
        elif self._had_credentials:
            raise CredentialRetrievalError(provider="this machine", error_msg="there are none any more")
        elif is_signed:
            raise NoCredentialsError
        self._had_credentials = credentials is not None

    @contextmanager
    def _explained(self, action: str | None = None) -> Iterator[None]:
        """Explain what the block raises; without an action, only what is wrong with the connection's settings.

        The hook does not check them: what looks like a bug is a wrong type, a missing key, a package that is not
        installed.
        """
        try:
            yield
        except AwsError:
            raise
        except Exception as error:
            if isinstance(error, AirflowException) or _is_of_settings(error):
                said = f"{type(error).__name__}: {error}".rstrip(".")
                raise ConfigurationError(
                    f"The settings of {self.caller} cannot be used. {said}. Correct them."
                ) from error
            if is_bug(error):  # of a library that is not known here, such as one of a session factory of one's own
                raise explain(RuntimeError(repr(error)), action or "", self.caller) from error
            if action is None:
                raise
            raise explain(error, action, self.caller) from error


def _is_of_settings(error: Exception) -> bool:
    """Tell whether the hook or boto3 was given what it cannot use, which they notice by an error of Python's own."""
    return type(error).__module__ == "builtins" if is_bug(error) else trouble(error) is Trouble.REFUSED


def _is_object(extra: str | None) -> bool:
    try:
        return isinstance(json.loads(extra or "{}"), dict)
    except ValueError:
        return False


def _tell(error: Exception) -> None:
    log.problem(f"{error} Asking again for a minute.")
