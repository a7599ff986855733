"""The DAG of the tab's pictures: a failure, a job that waits, one in its second attempt, an array, mapped tasks."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_batch_jobs import BatchJobOperator

with DAG("nightly", schedule=None):
    BatchJobOperator(task_id="align", job_queue="default", definition="align:1")
    BatchJobOperator(task_id="assemble", job_queue="default", definition="assemble:1")
    BatchJobOperator(
        task_id="load",
        job_queue="default",
        definition="load:1",
        submit_options={"retryStrategy": {"attempts": 3}},
    )
    BatchJobOperator(
        task_id="survey", job_queue="default", definition="survey:1", submit_options={"arrayProperties": {"size": 6}}
    )
    BatchJobOperator.partial(
        task_id="call",
        job_queue="default",
        definition="call:1",
        map_index_template="{{ task.parameters['sample'] }}",
    ).expand(parameters=[{"sample": sample} for sample in ("NA12878", "NA12891", "NA12892", "NA19240")])
