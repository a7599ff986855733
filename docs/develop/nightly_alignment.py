from airflow.sdk import DAG
from airflow_batch_jobs import BatchJobOperator, Field, JobDefinition


class Align(JobDefinition, name="align-reads", revision=7):
    """Align one sample's reads to a reference."""

    sample: str
    reference: str = "s3://refs/hg38.fa"
    threads: int = Field(default=4, ge=1)


with DAG("nightly_alignment", schedule="@daily", params={"sample": "NA12878"}):
    BatchJobOperator(task_id="align", job_queue="default", definition=Align(sample="{{ params.sample }}"))
