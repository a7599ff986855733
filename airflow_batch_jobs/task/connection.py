"""The AWS connection of a task: what the operator's AWS parameters say, as boto3 clients of one session."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from airflow_batch_jobs.batch.aws import KeptClients

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.config import Config

    from airflow_batch_jobs.batch.aws import ClientFactory


class HasAwsParameters(Protocol):
    """An operator with the same AWS parameters as the Amazon provider's operators."""

    aws_conn_id: str | None
    region_name: str | None
    verify: bool | str | None
    botocore_config: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class AwsConnection:
    """An Airflow connection to AWS, with what a task sets on top of it.

    Attributes:
        aws_conn_id: The connection's id; None for boto3's own search for credentials.
        region_name: The region; None for the connection's.
        verify: Whether to verify TLS certificates, or the path of a CA bundle; None for the connection's setting.
        botocore_config: Keyword arguments of botocore's Config.
    """

    aws_conn_id: str | None = "aws_default"
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

    def clients(self, on_made: Callable[[str], object] = lambda _: None) -> KeptClients:
        """Return the clients of this connection.

        The connection is looked up when the first client is made, never earlier, and blocks meanwhile: call AWS in
        threads.

        Args:
            on_made: Called with the service of each client that is made.
        """
        return KeptClients(self._open_session, on_made)

    def _open_session(self) -> ClientFactory:
        """Look up the connection, and return a factory that makes clients from one session with its credentials."""
        from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
        from botocore.config import Config as BotocoreConfig

        hook: AwsGenericHook[Any] = AwsGenericHook(
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
            verify=self.verify,
            client_type="batch",
            config=BotocoreConfig(**self.botocore_config) if self.botocore_config else None,
        )
        base, making = hook.config, threading.Lock()
        # By default the hook opens a session for each client, and each session assumes the connection's role again.
        hook.get_session = cache(hook.get_session)  # type: ignore[method-assign]  # where the hook itself looks it up

        def make(service: str, *, region_name: str | None = None, config: Config | None = None) -> Any:
            wanted = base.merge(BotocoreConfig(region_name=region_name)) if region_name else base
            with making:  # neither the hook nor its session may make two clients at once
                hook.client_type = service
                return hook.get_client_type(config=wanted.merge(config) if config else wanted)

        return make
