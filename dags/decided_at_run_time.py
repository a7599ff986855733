"""Let a function decide which job to run: `@task.batch_job` runs the definition that it returns.

Here, whoever triggers the DAG decides which revision runs.
"""

from __future__ import annotations

from airflow.sdk import Param, dag, get_current_context, task

from airflow_batch_jobs import JobDefinition


class SurveyPackage(JobDefinition, name="survey-package"):
    """Count the lines, functions and classes of one package; revision 2 counts docstrings too."""

    package: str


@dag(schedule=None, params={"revision": Param(2, type="integer", minimum=1)})
def decided_at_run_time() -> None:
    """Survey two packages with the chosen revision."""

    @task.batch_job(job_queue="default", map_index_template="{{ task.op_kwargs['package'] }}")
    def survey(package: str) -> SurveyPackage:
        revision = get_current_context()["params"]["revision"]
        return SurveyPackage(package=package).at_revision(revision)

    survey.expand(package=["json", "http"])


decided_at_run_time()
