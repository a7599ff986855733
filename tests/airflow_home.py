"""A home of its own for the Airflow in this process, which reads it when imported: import this module first."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

HOME = tempfile.mkdtemp(prefix="airflow-batch-jobs-")
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
os.environ |= {
    "AIRFLOW_HOME": HOME,
    "AIRFLOW__BATCH_JOBS__LOG_SETTLE_SECONDS": "0.1",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": f"{HOME}/dags",
}

from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook  # noqa: E402 - it reads the environment

from airflow_batch_jobs.task import metrics  # noqa: E402 - it imports Airflow

# The hook names its caller in each client, for which it searches all loaded modules for each frame: a third of a test.
AwsGenericHook._get_caller = lambda *_: "test"  # type: ignore[method-assign]

# A task's process waits a second for its last metrics; a busy machine may take longer to tell thousands of them.
metrics.FLUSH_SECONDS = 60.0
