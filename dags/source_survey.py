"""Survey the source of Python's standard library: one job per package, then a report on all of them.

Shows a typed, pinned definition; a mapped task; an upstream value as a parameter; a schedule.

The jobs pass files to one another in the directory `output`. With the local AWS that is a directory on this machine; on
AWS it would be an EFS file system or a bucket that the job definitions mount.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime

from airflow.sdk import Param, dag, get_current_context, task

from airflow_batch_jobs import BatchJobOperator, JobDefinition


class SurveyPackage(JobDefinition, name="survey-package", revision=1):
    """Count the lines, functions and classes of one package into `<output>/<package>.json`."""

    package: str
    output: str = "{{ params.output }}/{{ run_id }}"


class SurveyReport(JobDefinition, name="survey-report", revision=1):
    """Print one table of the surveys in a directory; fail if one of the packages is missing."""

    packages: tuple[str, ...]
    input: str = "{{ params.output }}/{{ run_id }}"


@dag(
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    params={
        "packages": Param(["json", "http", "email", "xml", "asyncio", "unittest"], type="array"),
        "output": Param(f"{tempfile.gettempdir()}/source-survey", type="string"),
    },
)
def source_survey() -> None:
    """Survey each package in a job of its own, then report."""

    @task
    def choose_packages() -> list[str]:
        wanted = get_current_context()["params"]["packages"]
        return [package for package in wanted if package in sys.stdlib_module_names]

    packages = choose_packages()
    survey = BatchJobOperator.partial(
        task_id="survey",
        job_queue="default",
        definition=SurveyPackage,
        map_index_template="{{ task.parameters['package'] }}",  # the UI calls each by its package
    ).expand(parameters=packages.map(lambda package: {"package": package}))
    report = BatchJobOperator(
        task_id="report", job_queue="default", definition=SurveyReport, parameters={"packages": packages}
    )
    survey >> report


source_survey()
