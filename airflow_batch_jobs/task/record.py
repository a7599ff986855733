"""What Airflow's task state store keeps of a task instance: the record of its submit, and the plan of its wait.

The record outlives the attempts of a task instance. The plan is an attempt's own, for the worker that resumes after a
crash of the trigger. Airflow answers None to an attempt that has been replaced, and refuses its writes.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import GetTaskStateStore

from airflow_batch_jobs.batch.record import Record
from airflow_batch_jobs.batch.storable import storable
from airflow_batch_jobs.errors import RecordUnavailableError, StaleAttemptError
from airflow_batch_jobs.task import execution_timeout
from airflow_batch_jobs.task.handover import WaitPlan
from airflow_batch_jobs.task.states_question import status_of
from airflow_batch_jobs.task.supervisor import ANSWER_SECONDS, IS_AIRFLOW_3_4, answered, ask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk.execution_time.context import TaskStateStoreAccessor

#: The key of the record in the task state store.
RECORD_KEY = "batch_job"
#: That of the plan.
WAIT_KEY = "batch_job_wait"
#: The statuses by which the API server says that the attempt is over: its token is frozen or another attempt's, or its
#: id is gone. Anything else is a failure of the server or of the way to it.
_OVER = frozenset({401, 403, 404, 410})


class TaskStateRecords:
    """Reads and writes a task instance's record.

    Cannot tell a missing record from one that a replaced attempt may not read: Airflow answers None in both cases.

    Attributes:
        forgets: Whether a clear discards the record, as from Airflow 3.4 on, unless whoever clears wants to keep it.
    """

    forgets = IS_AIRFLOW_3_4

    def __init__(self, store: TaskStateStoreAccessor) -> None:
        self._store = store

    def read(self) -> Record | None:
        """Return the record; None if there is none.

        Raises:
            RecordUnavailableError: The API server does not answer.
        """
        stored = _get(self._store, RECORD_KEY)
        return Record.from_dict(stored) if isinstance(stored, dict) else None

    def write(self, record: Record) -> None:
        """Write the record.

        Raises:
            StaleAttemptError: Another attempt has taken over.
            RecordUnavailableError: The API server does not answer.
        """
        _set(self._store, RECORD_KEY, record.to_dict())


class TaskStateWaits:
    """Reads and writes the plan of an attempt's wait.

    Args:
        store: Airflow's.
        try_number: The attempt; the plan of an earlier one is none.
    """

    def __init__(self, store: TaskStateStoreAccessor, try_number: int) -> None:
        self._store = store
        self._try_number = try_number

    def read(self) -> WaitPlan | None:
        """Return the plan; None if there is none.

        Raises:
            RecordUnavailableError: The API server does not answer.
        """
        stored = _get(self._store, WAIT_KEY)
        if not isinstance(stored, dict) or stored.get("try_number") != self._try_number:
            return None
        return WaitPlan.from_dict(stored)

    def write(self, plan: WaitPlan) -> None:
        """Write the plan.

        Raises:
            StaleAttemptError: Another attempt has taken over.
            RecordUnavailableError: The API server does not answer.
        """
        _set(self._store, WAIT_KEY, {**plan.to_dict(), "try_number": self._try_number})


async def has_record(ti_id: Any, seconds: float = ANSWER_SECONDS) -> bool:
    """Ask whether this attempt may still read its record; Airflow shows none to one that has been replaced.

    Args:
        ti_id: The attempt's id.
        seconds: How long the answer may take.

    Raises:
        UnansweredError: The API server did not answer, or answered with another error.
    """
    return await answered(_is_readable(ti_id), seconds)


async def _is_readable(ti_id: Any) -> bool:
    try:
        await ask(GetTaskStateStore(ti_id=ti_id, key=RECORD_KEY))
    except AirflowRuntimeError as error:
        if error.error.error is ErrorType.TASK_STORE_NOT_FOUND:
            return False
        raise
    return True


def _get(store: TaskStateStoreAccessor, key: str) -> Any:
    with _asked():
        return store.get(key)


def _set(store: TaskStateStoreAccessor, key: str, value: Any) -> None:
    with _asked():
        store.set(key, storable(value))


@contextmanager
def _asked() -> Iterator[None]:
    """Keep the alarm from interrupting the question, and say what an error in its answer means."""
    try:
        with execution_timeout.held():
            yield
    except AirflowRuntimeError as error:
        if (status := status_of(error)) in _OVER:
            raise StaleAttemptError(
                f"Airflow refuses this attempt's record ({status}): another attempt has taken over."
            ) from error
        raise RecordUnavailableError(f"Airflow's task state store does not answer ({error}).") from error
