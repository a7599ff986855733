"""A DAG with a job, and with tasks that only say that they have one, in every shape that the tab has to show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, BaseOperator, task

from airflow_batch_jobs import BatchJobOperator
from airflow_batch_jobs.links import JOB_LINKS

if TYPE_CHECKING:
    from airflow.sdk import Context

SAMPLES: dict[str, Any] = json.loads((Path(__file__).parents[3] / "ui" / "samples.json").read_text(encoding="utf-8"))
LABELS = {
    "failed": "chr1/<b>50% + more</b> & so on",
    "reference": "kept elsewhere",
    "garbage": "garbage",
}


class Shown(BaseOperator):
    """Write an XCom as a task with a job does, then fail if the job has."""

    #: By which Airflow 3.4 tells whose tab it is.
    custom_operator_name = "BatchJobOperator"
    operator_extra_links = JOB_LINKS

    def __init__(self, *, sample: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sample = sample
        self.shown_as = LABELS.get(sample, sample)

    def execute(self, context: Context) -> None:
        """Write it."""
        others: dict[str, Any] = {
            "reference": "s3://bucket/xcoms/batch_job/0f5e.json",
            "garbage": {"job_id": "0f5e", "attempts": "many", "status": 7, "resources": [], "history": {"at": 1}},
        }
        job = others.get(self.sample) or SAMPLES[self.sample]
        context["ti"].xcom_push("batch_job", job)
        if isinstance(job, dict) and job.get("status") == "FAILED":
            raise RuntimeError("the job failed")


with DAG("tab", schedule=None):
    Shown.partial(task_id="shown", map_index_template="{{ task.shown_as }}", do_xcom_push=False).expand(
        sample=[*SAMPLES, "reference", "garbage"]
    )

    @task
    def plain() -> None:
        """Have no job."""

    plain()

with DAG("tab_live", schedule=None, params={"script": "true"}):
    BatchJobOperator(
        task_id="job", job_queue="default", definition="shell:1", parameters={"script": "{{ params.script }}"}
    )
