"""How to use a local AWS: its address and keys, as boto3 clients and as an Airflow connection."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.aws import KeptClients

if TYPE_CHECKING:
    from botocore.loaders import Loader

    from airflow_batch_jobs.batch.aws import ClientFactory


@dataclass(frozen=True, slots=True)
class Access:
    """The address and the keys of a local AWS.

    Attributes:
        endpoint_url: The address of Batch, Logs and STS.
        access_key: Required on every request.
        secret_key: What requests are signed with.
        region: The region in its ARNs.
        account: Its account id.
    """

    endpoint_url: str
    access_key: str
    secret_key: str
    region: str
    account: str

    def clients(self) -> ClientFactory:
        """Return a factory of boto3 clients for this endpoint, whatever the environment and `~/.aws` say.

        They are kept, and are the same ones in the whole process: making them takes longer than most calls of theirs.
        """
        return _kept_clients(self)

    def open_session(self) -> ClientFactory:
        """Return a factory of boto3 clients of a new session."""
        from boto3 import Session
        from botocore.config import Config
        from botocore.session import Session as BotocoreSession

        core = BotocoreSession(
            {
                "profile": (None, None, None, None),
                "config_file": (None, None, os.devnull, None),
                "credentials_file": (None, None, os.devnull, None),
            }
        )
        core.register_component("data_loader", _loader())
        core.set_default_client_config(Config(proxies={}))
        session = Session(
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            botocore_session=core,
        )

        def make(service: str, *, region_name: str | None = None, config: Config | None = None) -> Any:
            return session.client(  # type: ignore[call-overload]
                service, region_name=region_name, config=config, endpoint_url=self.endpoint_url
            )

        return make

    def airflow_connection(self) -> str:
        """Return an Airflow connection to this endpoint, as `AIRFLOW_CONN_AWS_DEFAULT` takes it."""
        extra = {
            "region_name": self.region,
            "endpoint_url": self.endpoint_url,
            "service_config": {"sts": {"endpoint_url": self.endpoint_url}},
        }
        return json.dumps({"conn_type": "aws", "login": self.access_key, "password": self.secret_key, "extra": extra})


@lru_cache(maxsize=8)
def _kept_clients(access: Access) -> ClientFactory:
    return KeptClients(access.open_session)


@cache
def _loader() -> Loader:
    """Return one loader for all clients: reading the service models again takes longer than a test."""
    from botocore.loaders import Loader

    return Loader()
