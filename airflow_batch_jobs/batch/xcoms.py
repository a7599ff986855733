"""What the XComs of a task are called, besides those for the fields of its result."""

from __future__ import annotations

#: What the task returns, as Airflow calls it.
RETURN_XCOM = "return_value"
#: The job; links, stops and the UI read it.
JOB_XCOM = "batch_job"
#: How far the log of a running job has been copied.
CURSOR_XCOM = "batch_job_log_cursor"
#: All of them.
XCOMS = frozenset({RETURN_XCOM, JOB_XCOM, CURSOR_XCOM})
