"""What a job is told of its task instance: Airflow's own variables, and the trace to go on with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.task.trace import is_traced

if TYPE_CHECKING:
    from airflow.sdk import Context

#: How Airflow calls what it tells the processes of an operator.
AIRFLOWS = "AIRFLOW_CTX_"
MAP_INDEX = f"{AIRFLOWS}MAP_INDEX"
#: As W3C calls the trace context in an environment.
TRACEPARENT = "TRACEPARENT"
#: Not the job's business, and whoever may look at a job sees its environment.
_LEFT_OUT = frozenset({f"{AIRFLOWS}DAG_EMAIL"})


def variables_of(context: Context) -> dict[str, str]:
    """Return the variables for the job of a task instance.

    Airflow has put its own into the environment of the task's process. The trace is handed on while Airflow writes one:
    otherwise it would have the job's own tracing drop all spans, since Airflow's says that nobody keeps them.
    """
    ti: Any = context["ti"]
    traceparent = (ti.context_carrier or {}).get("traceparent") if is_traced() else None
    return {
        **({TRACEPARENT: traceparent} if traceparent else {}),
        **{
            name: os.environ[name] for name in sorted(os.environ) if name.startswith(AIRFLOWS) and name not in _LEFT_OUT
        },
        MAP_INDEX: str(ti.map_index),
    }
