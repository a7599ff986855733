"""What the Airflow in this process is spared in tests: import this module for that."""

from __future__ import annotations

from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook

from airflow_batch_jobs.task import metrics

# The hook names its caller in each client, for which it searches all loaded modules for each frame: a third of a test.
AwsGenericHook._get_caller = lambda *_: "test"  # type: ignore[method-assign]

# A task's process waits a second for its last metrics; a busy machine may take longer to tell thousands of them.
metrics.FLUSH_SECONDS = 60.0
