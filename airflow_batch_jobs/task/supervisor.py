"""What a task instance can be asked and told while it runs, alike on a worker and in a triggerer.

All of it goes through the supervisor of the process to the API server. Nothing here touches Airflow's database.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Protocol

#: The XCom with what is known of the job; links and the UI read it.
JOB_XCOM = "batch_job"
#: The XCom with where the log of a running job has been copied to.
CURSOR_XCOM = "batch_job_log_cursor"

#: How long one question to the API server may take before it counts as unanswered. A triggerer's first one takes some
#: seconds, since its supervisor loads the API then.
ANSWER_SECONDS = 20.0


class HasTaskKey(Protocol):
    """Whatever names a task instance: a worker's, a trigger's, a link's key."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int | None


@dataclass(frozen=True, slots=True)
class TaskKey:
    """The name of a task instance, without the attempt."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int

    @classmethod
    def of(cls, ti: HasTaskKey) -> TaskKey:
        """Take the name from whatever has it."""
        return cls(ti.dag_id, ti.run_id, ti.task_id, -1 if ti.map_index is None else ti.map_index)

    async def state(self) -> str | None:
        """Ask the API server for the state, as Airflow writes it; None for none at the moment, `GONE` for no such task.

        Raises:
            TimeoutError: No answer within `ANSWER_SECONDS`.
            AirflowRuntimeError: The API server answered with an error.
        """
        from airflow_batch_jobs.batch.identity import Owner
        from airflow_batch_jobs.task.task_states import ask

        owner = Owner(self.dag_id, self.run_id, self.task_id, self.map_index)
        return (await ask([owner]))[owner]

    async def get_xcom(self, key: str) -> Any:
        """Return the task instance's own XCom, None where there is none.

        Raises:
            TimeoutError: No answer within `ANSWER_SECONDS`.
        """
        from airflow.sdk.execution_time.xcom import XCom

        question = XCom.aget_one(
            key=key, dag_id=self.dag_id, run_id=self.run_id, task_id=self.task_id, map_index=self.map_index
        )
        return await asyncio.wait_for(question, ANSWER_SECONDS)

    async def set_xcom(self, key: str, value: Any) -> None:
        """Write an XCom of the task instance.

        Raises:
            TimeoutError: No answer within `ANSWER_SECONDS`; it may be written nevertheless.
        """
        from airflow.sdk.execution_time.xcom import XCom

        order = XCom.aset(
            key, value, dag_id=self.dag_id, run_id=self.run_id, task_id=self.task_id, map_index=self.map_index
        )
        await asyncio.wait_for(order, ANSWER_SECONDS)

    async def delete_xcom(self, key: str) -> None:
        """Delete an XCom of the task instance.

        Raises:
            TimeoutError: No answer within `ANSWER_SECONDS`; it may be deleted nevertheless.
        """
        from airflow.sdk.execution_time import task_runner
        from airflow.sdk.execution_time.comms import DeleteXCom

        order = DeleteXCom(
            key=key, dag_id=self.dag_id, run_id=self.run_id, task_id=self.task_id, map_index=self.map_index
        )
        await asyncio.wait_for(task_runner.SUPERVISOR_COMMS.asend(order), ANSWER_SECONDS)
