"""What Airflow's provider discovery is told about this package."""

from __future__ import annotations

from typing import Any

_INTEGRATION = "AWS Batch jobs"


def get_provider_info() -> dict[str, Any]:
    """Return the provider info, in the form of Airflow's `provider_info.schema.json`."""
    from airflow_batch_jobs.config import OPTIONS, SECTION

    return {
        "package-name": "airflow-batch-jobs",
        "name": "AWS Batch jobs",
        "description": "Run pinned AWS Batch jobs: submitted once, waited for without a worker, watched live.",
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://docs.aws.amazon.com/batch/",
                "tags": ["aws"],
            }
        ],
        "operators": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": ["airflow_batch_jobs.operators", "airflow_batch_jobs.sweep"],
            }
        ],
        "sensors": [{"integration-name": _INTEGRATION, "python-modules": ["airflow_batch_jobs.sensors"]}],
        "triggers": [{"integration-name": _INTEGRATION, "python-modules": ["airflow_batch_jobs.triggers"]}],
        "extra-links": [
            f"airflow_batch_jobs.links.{link}"
            for link in ("BatchJobLink", "BatchJobDefinitionLink", "BatchJobQueueLink", "BatchJobLogLink")
        ],
        "task-decorators": [{"name": "batch_job", "class-name": "airflow_batch_jobs.decorators.batch_job_task"}],
        "plugins": [{"name": "batch_jobs", "plugin-class": "airflow_batch_jobs.plugin.BatchJobsPlugin"}],
        "config": {
            SECTION: {
                "description": "How jobs on AWS Batch are submitted and watched.",
                "options": OPTIONS,
            }
        },
    }
