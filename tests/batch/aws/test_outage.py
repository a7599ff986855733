"""Outage: how long a client is tried to be made, and who waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError, ProfileNotFound

from airflow_batch_jobs.batch.aws import KeptClients, Patience, service
from airflow_batch_jobs.batch.aws.outage import Outage
from airflow_batch_jobs.errors import ConfigurationError, EndpointError
from tests.clocks import ManualClock

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.local.server import LocalAws

AWAY = EndpointConnectionError(endpoint_url="https://sts")


class Sts:
    """What the sessions of a local AWS need; away for a time, or out of order.

    Attributes:
        clients: Clients that wait for it.
        clock: The time they wait in.
        told: What was told of its outages.
        asked: How often it was asked.
        error: What it answers; None if it works.
        until: When an error ends, in the clock's seconds.
    """

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.clock = ManualClock()
        self.told: list[Exception] = []
        self.asked = 0
        self.error: Exception | None = None
        self.until = float("inf")
        self.clients = KeptClients(self._open, outage=Outage(self.told.append, self.clock))

    def away(self, seconds: float = float("inf"), error: Exception = AWAY) -> None:
        """Be away for so long; credentials that exist are not accepted any more."""
        self.error, self.until = error, self.clock.monotonic() + seconds
        self.clients.renew()

    def _open(self) -> ClientFactory:
        self.asked += 1
        if self.error and self.clock.monotonic() < self.until:
            raise self.error
        return self.aws.clients()


@pytest.fixture
def sts(aws: LocalAws) -> Sts:
    """A local AWS, for which credentials are needed."""
    return Sts(aws)


def call(clients: KeptClients, **how: Any) -> None:
    """Call DescribeJobs once."""
    service(clients, "batch", **how).call("describe_jobs", dict, jobs=["x"])


@pytest.mark.parametrize("patience", [None, Patience.ONCE])
def test_an_outage_is_waited_out_and_told_once(sts: Sts, patience: Patience | None) -> None:
    """With growing delays, for callers that leave retries to botocore or make a call once only."""
    sts.away(40)
    call(sts.clients, patience=patience)
    assert sts.told == [AWAY]
    assert 40 <= sts.clock.slept < 45
    assert 8 <= sts.asked < 25
    assert sts.aws.counts()["DescribeJobs"] == 1


def test_an_outage_that_lasts_becomes_an_error_after_a_minute(sts: Sts) -> None:
    """And the next calls do not wait for another one."""
    sts.away()
    for _ in range(3):
        with pytest.raises(EndpointError, match="batch:DescribeJobs failed: Could not connect"):
            call(sts.clients)
    assert sts.told == [AWAY]
    assert 60 <= sts.clock.slept < 65
    assert not sts.aws.requests()


def test_another_outage_has_its_own_minute(sts: Sts) -> None:
    """And its own line."""
    for _ in range(2):
        sts.away(50)
        call(sts.clients)
    assert sts.told == [AWAY, AWAY]


@pytest.mark.parametrize("patience", [Patience.PACED, Patience.URGENT])
def test_who_asks_again_is_told_at_once(sts: Sts, patience: Patience) -> None:
    """A watcher has its own delays and its own line, and a termination has no time."""
    sts.away()
    with pytest.raises(EndpointError):
        call(sts.clients, patience=patience)
    assert (sts.asked, sts.clock.slept, sts.told) == (1, 0, [])


def test_what_does_not_pass_is_not_waited_for(sts: Sts) -> None:
    """A profile does not come by asking again."""
    sts.away(error=ProfileNotFound(profile="etl"))
    with pytest.raises(ConfigurationError, match="etl"):
        call(sts.clients)
    assert (sts.asked, sts.clock.slept, sts.told) == (1, 0, [])


def test_clients_without_an_outage_do_not_wait(aws: LocalAws) -> None:
    """Those of a shell: a person can ask again."""

    def open_session() -> ClientFactory:
        raise AWAY

    with pytest.raises(EndpointError):
        call(KeptClients(open_session))
    assert not aws.requests()
