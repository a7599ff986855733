"""Looking at runs in a real Airflow: waiting for a state, reading a log as the UI gets it."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.demo.standalone import RestApi

#: A secret that no file of an Airflow may contain. It is in the Variable `planted`, whose name does not look secret.
PLANTED = f"planted-{secrets.token_hex()}"
FINAL = ("success", "failed", "skipped", "upstream_failed", "removed")
#: How many times as long as on two cores of ours something may take that is only waited for.
PATIENCE = 4


def until(what: Callable[[], Any], seconds: float = 60.0, every: float = 0.25) -> Any:
    """Ask until the answer is true, and return it; fail with the last answer when the time is up.

    Args:
        what: The question.
        seconds: How long it may take on a machine of ours; on one that is slower `PATIENCE` times as long.
        every: How many seconds lie between two questions.
    """
    end = time.monotonic() + PATIENCE * seconds
    while not (answer := what()):
        assert time.monotonic() < end, f"not within {PATIENCE * seconds:g} s; the last answer: {answer!r}"
        time.sleep(every)
    return answer


@dataclass(frozen=True)
class Run:
    """One run of a DAG whose task of interest is `task_id`, or one of those that it was mapped to."""

    api: RestApi
    dag_id: str
    run_id: str
    task_id: str = "job"
    map_index: int = -1

    @classmethod
    def start(
        cls, api: RestApi, dag_id: str, script: str = "", task_id: str = "job", conf: dict[str, str] | None = None
    ) -> Run:
        """Start a run whose job is a shell script, or with another conf."""
        until(lambda: dag_id in api.dag_ids())
        return cls(api, dag_id, api.trigger(dag_id, conf or ({"script": script} if script else None)), task_id)

    @property
    def state(self) -> str | None:
        """The task instance's state."""
        state = self.about()["state"]
        return None if state is None else str(state)

    def about(self) -> dict[str, Any]:
        """Return what the REST API tells of the task instance."""
        return self.api.task_instance(self.dag_id, self.run_id, self.task_id, self.map_index)

    def wait_for(self, *states: str, seconds: float = 90.0) -> str:
        """Wait until the task instance is in one of some states."""
        return str(until(lambda: self.state if self.state in states else None, seconds))

    def wait_for_end(self, seconds: float = 120.0) -> str:
        """Wait until the task instance is final."""
        return self.wait_for(*FINAL, seconds=seconds)

    def job(self) -> dict[str, Any]:
        """Return the `batch_job` XCom, once it is there."""
        return dict(until(lambda: self.xcom("batch_job")))

    def xcom(self, key: str) -> Any:
        """Return an XCom of the task instance."""
        return self.api.xcom(self.dag_id, self.run_id, self.task_id, key, self.map_index)

    def log(self, try_number: int = 1) -> list[dict[str, Any]]:
        """Return the task log."""
        return self.api.log(self.dag_id, self.run_id, self.task_id, try_number=try_number, map_index=self.map_index)

    def text(self, try_number: int = 1) -> str:
        """Return the task log as one text."""
        return "\n".join(str(entry["event"]) for entry in self.log(try_number))

    def lines(self, try_number: int = 1) -> list[str]:
        """Return what the job itself wrote, in the order of the task log."""
        return [str(entry["event"]) for entry in self.log(try_number) if entry.get("logger") == "batch.job"]

    def mark(self, state: str) -> None:
        """Mark the task instance as a user does."""
        self.api.set_state(self.dag_id, self.run_id, self.task_id, state, self.map_index)

    def clear(self) -> None:
        """Clear the task instance as a user does."""
        self.api.request(
            "POST",
            f"dags/{self.dag_id}/clearTaskInstances",
            json={
                "dry_run": False,
                "dag_run_id": self.run_id,
                "task_ids": [self.task_id if self.map_index < 0 else [self.task_id, self.map_index]],
                "only_failed": False,
                "reset_dag_runs": True,
            },
        )
