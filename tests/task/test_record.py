"""The record in Airflow's task state store, and what its refusals mean."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from airflow_batch_jobs.batch.record import Record
from airflow_batch_jobs.errors import RecordUnavailableError, StaleAttemptError
from airflow_batch_jobs.task.handover import WaitPlan
from airflow_batch_jobs.task.record import RECORD_KEY, WAIT_KEY, TaskStateRecords, TaskStateWaits, has_record
from airflow_batch_jobs.task.supervisor import ANSWER_SECONDS, UnansweredError
from tests.batch.virtual import run

if TYPE_CHECKING:
    from tests.task.api_server import ApiServer

RECORD = Record(
    job_name="d-t-0123456789ab-abcdef",
    job_queue="default",
    generation="0123456789abcdef",
    request_digest="fedcba9876543210",
    try_number=1,
    max_tries=0,
    sent_at="2026-11-23T12:00:00+00:00",
)


#: The plan of a wait as it is stored, and the attempt that stored it.
STORED_WAIT = {
    "job_id": "1a2b",
    "poll_interval": 5.0,
    "copy_logs": True,
    "terminate_on_kill": True,
    "deadline": "2026-11-23T13:00:00+00:00",
    "submitted_at": "2026-11-23T12:00:00+00:00",
    "rendered": {"definition": "align:7"},
    "resumed": 1,
    "begins_at": "2026-11-23T12:30:00+00:00",
    "try_number": 2,
}


class Store:
    """A task state store, as Airflow passes it to a task."""

    def __init__(self, status: int | None = None) -> None:
        self.stored: dict[str, Any] = {}
        self.status = status

    def get(self, key: str) -> Any:
        """Return what is stored; raise an error with the status, if there is one."""
        self._fail()
        return self.stored.get(key)

    def set(self, key: str, value: Any) -> None:
        """Store a value, or raise likewise."""
        self._fail()
        self.stored[key] = value

    def _fail(self) -> None:
        if self.status is not None:
            detail = {"status_code": self.status} if self.status else None
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=detail))


def records(store: Store) -> TaskStateRecords:
    """Return the records in a store."""
    return TaskStateRecords(store)  # type: ignore[arg-type]  # it has all that is used


def waits(store: Store, try_number: int = 2) -> TaskStateWaits:
    """Return the plans in a store."""
    return TaskStateWaits(store, try_number)  # type: ignore[arg-type]  # likewise


def test_a_record_is_read_as_it_was_written() -> None:
    """Under the key that an earlier version uses."""
    store = Store()
    assert records(store).read() is None
    records(store).write(RECORD)
    assert store.stored == {"batch_job": RECORD.to_dict()}
    assert records(store).read() == RECORD


def test_what_is_no_record_is_none() -> None:
    """Anyone may use the key."""
    store = Store()
    store.stored[RECORD_KEY] = "somebody else's"
    assert records(store).read() is None


def test_a_plan_is_read_as_it_was_written_by_its_attempt_alone() -> None:
    """The store outlives attempts; another one waits for another job, or until another time."""
    store = Store()
    assert waits(store).read() is None
    store.stored["batch_job_wait"] = {**STORED_WAIT, "later": 1}
    plan = waits(store).read()
    assert plan == WaitPlan.from_dict(STORED_WAIT)
    waits(store).write(plan)
    assert store.stored == {WAIT_KEY: {**STORED_WAIT, "on_retry": []}}
    assert waits(store, 3).read() is None
    store.stored[WAIT_KEY] = "somebody else's"
    assert waits(store).read() is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, StaleAttemptError),
        (403, StaleAttemptError),
        (404, StaleAttemptError),
        (410, StaleAttemptError),
        (409, RecordUnavailableError),
        (500, RecordUnavailableError),
        (0, RecordUnavailableError),
    ],
)
def test_a_refusal_means_that_the_attempt_is_over_and_a_failure_does_not(status: int, kind: type[Exception]) -> None:
    """On reads as on writes."""
    with pytest.raises(kind):
        records(Store(status)).read()
    with pytest.raises(kind):
        records(Store(status)).write(RECORD)
    with pytest.raises(kind):
        waits(Store(status)).read()
    with pytest.raises(kind):
        waits(Store(status)).write(WaitPlan(job_id="1a2b"))


@pytest.mark.parametrize("is_replaced", [True, False])
def test_an_attempt_that_was_replaced_has_no_record(api_server: ApiServer, *, is_replaced: bool) -> None:
    """Airflow shows it none."""
    api_server.is_replaced = is_replaced
    assert asyncio.run(has_record(uuid.uuid4())) is not is_replaced


@pytest.mark.parametrize(("seconds", "failures"), [(60.0, 0), (0.0, 1)])
def test_without_an_answer_nobody_knows_whether_there_is_a_record(
    api_server: ApiServer, seconds: float, failures: int
) -> None:
    """An answer that comes too late, or is an error, is not an answer."""
    api_server.seconds, api_server.failures = seconds, failures

    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(UnansweredError):
            await has_record(uuid.uuid4())
        return loop.time() - began

    assert run(main()) <= min(seconds, ANSWER_SECONDS) + 0.1
