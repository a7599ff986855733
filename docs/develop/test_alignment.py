from pathlib import Path

from airflow_batch_jobs import BatchJob
from airflow_batch_jobs.batch.definition_files import register_folder
from airflow_batch_jobs.local import LocalAws
from nightly_alignment import Align

DEFINITIONS = Path(__file__).parent / "definitions"


def test_an_alignment_has_three_parts():
    with LocalAws() as aws:
        register_folder(aws.clients(), DEFINITIONS)
        job = BatchJob(Align(sample="NA12878", threads=8), clients=aws.clients())
        job.submit("default")
        assert job.wait(poll_interval=0.5).status == "SUCCEEDED"
        assert [event.text() for _, event in job.logs()][-1].startswith("NA12878, part 3 of 3")


def test_an_alignment_that_runs_out_of_memory_ends_with_137():
    with LocalAws() as aws:
        register_folder(aws.clients(), DEFINITIONS)
        aws.script(definition="align-reads", attempts=[{"exit_code": 137, "reason": "OutOfMemoryError: …"}])
        job = BatchJob(Align(sample="NA12878"), clients=aws.clients())
        job.submit("default")
        assert job.wait(poll_interval=0.5).exit_code == 137
