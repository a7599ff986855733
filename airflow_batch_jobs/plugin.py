"""The Airflow plugin: registers the links with the components that show them."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from airflow_batch_jobs.links import JOB_LINKS


class BatchJobsPlugin(AirflowPlugin):
    """Loaded by every Airflow component, so it imports next to nothing."""

    name = "batch_jobs"
    operator_extra_links = list(JOB_LINKS)  # noqa: RUF012 - the form that AirflowPlugin prescribes
