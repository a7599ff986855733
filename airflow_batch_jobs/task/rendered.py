"""The rendered fields of a task, as the UI shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import SetRenderedFields

from airflow_batch_jobs.batch.changes.change import Change
from airflow_batch_jobs.batch.storable import storable
from airflow_batch_jobs.task import execution_timeout

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def rendered_fields_of(task: Any, changes: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Return the fields of a task, secrets masked. Airflow's function for that has no public name.

    Args:
        task: The task.
        changes: What a retry has changed in its request, each as `Change.to_dict` has it.
    """
    fields = dict(storable(task_runner._serialize_rendered_fields(task)))  # noqa: SLF001 - as said
    if told := [str(Change.from_dict(change)) for change in changes]:
        fields["on_retry"] = told
    return fields


def send(fields: dict[str, Any]) -> None:
    """Have Airflow show fields from now on."""
    with execution_timeout.held():
        task_runner.SUPERVISOR_COMMS.send(SetRenderedFields(rendered_fields=fields))
