"""Looking at the passes of a loop in a real Airflow, whose REST API knows them by their regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.e2e.runs import Run, until

if TYPE_CHECKING:
    from airflow_batch_jobs.demo.standalone import RestApi

TASK = "passes.job"


@dataclass(frozen=True)
class Pass(Run):
    """One pass of a run's loop, from 0; what is asked of it is asked of the one that is there at the time."""

    loop_index: int = 0

    def found(self) -> dict[str, Any] | None:
        """Return what the REST API tells of the pass; None while there is none."""
        instances = self.api.task_instances(self.dag_id, self.run_id)
        is_own = {"loop_id": "passes", "iteration": self.loop_index}
        own = [each for each in instances if each["task_id"] == self.task_id and each["loop_iteration"] == is_own]
        assert len(own) < 2
        return own[0] if own else None

    def about(self) -> dict[str, Any]:
        """Return what the REST API tells of the pass, once there is one."""
        return dict(until(self.found, 120))

    def job(self) -> dict[str, Any]:
        """Return the `batch_job` XCom, once it is there: the passes before it come first."""
        return dict(until(lambda: self.xcom("batch_job"), 180))

    def xcom(self, key: str) -> Any:
        """Return an XCom of the pass."""
        found = self._ask(f"xcomEntries/{key}", deserialize=False)
        return None if found is None else found["value"]

    def log(self, try_number: int = 1) -> list[dict[str, Any]]:
        """Return the task log of the pass."""
        found = self._ask(f"logs/{try_number}", full_content=True) or {"content": []}
        return [each if isinstance(each, dict) else {"event": each} for each in found["content"]]

    def links(self) -> dict[str, str]:
        """Return the links of the pass."""
        return dict((self._ask("links") or {"extra_links": {}})["extra_links"])

    def mark(self, state: str) -> None:
        """Mark the pass as a user does."""
        self.api.request("PATCH", self._path, params=self._scope(), json={"new_state": state})

    def clear(self, *, downstream: bool = False) -> None:
        """Clear the pass as a user does."""
        body = {
            "dry_run": False,
            "dag_run_id": self.run_id,
            "task_instance_ids": [self.about()["id"]],
            "include_downstream": downstream,
            "only_failed": False,
            "reset_dag_runs": True,
        }
        self.api.request("POST", f"dags/{self.dag_id}/clearTaskInstances", json=body)

    @property
    def _path(self) -> str:
        return f"dags/{self.dag_id}/dagRuns/{self.run_id}/taskInstances/{self.task_id}"

    def _scope(self) -> dict[str, Any]:
        about = self.about()
        return {"region_id": about["region_id"], "region_index": about["region_index"]}

    def _ask(self, what: str, **parameters: Any) -> Any:
        return self.api.find(f"{self._path}/{what}", {**self._scope(), **parameters})


def passes(api: RestApi, dag_id: str, script: str) -> list[Pass]:
    """Start a run of a loop of three passes, and return them."""
    run = Run.start(api, dag_id, script, TASK)
    return [Pass(api, dag_id, run.run_id, TASK, loop_index=index) for index in range(3)]
