"""What a job is told of its task instance."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from airflow_batch_jobs.task.job_environment import variables_of

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(autouse=True)
def airflows(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Airflow puts into the environment of a task."""
    for name in [name for name in os.environ if name.startswith("AIRFLOW_CTX_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AIRFLOW_CTX_DAG_ID", "d")
    monkeypatch.setenv("AIRFLOW_CTX_DAG_EMAIL", "a@example.org")


def context(carrier: Any, map_index: int = -1) -> Any:
    """Return the context of a task instance."""
    return {"ti": SimpleNamespace(context_carrier=carrier, map_index=map_index)}


def test_a_job_is_told_what_airflow_tells_a_process() -> None:
    """And the map index besides; not to whom Airflow writes, which everybody could read who may look at the job."""
    assert variables_of(context({"traceparent": TRACEPARENT}, 3)) == {
        "AIRFLOW_CTX_DAG_ID": "d",
        "AIRFLOW_CTX_MAP_INDEX": "3",
    }


@pytest.mark.parametrize("carrier", [None, {}, {"traceparent": TRACEPARENT}])
def test_the_trace_is_handed_on_while_airflow_writes_one(carrier: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow has a traceparent also while it does not: by that the job's own tracing would drop everything."""
    assert "TRACEPARENT" not in variables_of(context(carrier))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider(shutdown_on_exit=False))
    assert variables_of(context(carrier)).get("TRACEPARENT") == (carrier or {}).get("traceparent")
