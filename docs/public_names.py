"""Which names of the package are public: what a module says in `__all__`, or what is defined in it."""

from __future__ import annotations

import inspect
from importlib import import_module

PACKAGE = "airflow_batch_jobs"
#: The public modules, and what each is for.
MODULES = {
    PACKAGE: "What a DAG's author imports.",
    f"{PACKAGE}.operators": "The operator.",
    f"{PACKAGE}.sensors": "The sensor.",
    f"{PACKAGE}.decorators": "`@task.batch_job`.",
    f"{PACKAGE}.sweep": "The sweep for orphans, as an operator.",
    f"{PACKAGE}.triggers": "The trigger, whose path and arguments Airflow stores.",
    f"{PACKAGE}.links": "The links to the AWS console.",
    f"{PACKAGE}.retries": "Which failures are tried again.",
    f"{PACKAGE}.errors": "All errors.",
    f"{PACKAGE}.config": "The options.",
    f"{PACKAGE}.batch.job": "A job without Airflow.",
    f"{PACKAGE}.batch.definition": "Which job definition, typed and pinned.",
    f"{PACKAGE}.batch.request": "One SubmitJob request.",
    f"{PACKAGE}.batch.watch": "Thousands of jobs, followed at once.",
    f"{PACKAGE}.batch.logs": "Log streams.",
    f"{PACKAGE}.batch.aws": "How AWS is asked.",
    f"{PACKAGE}.batch.changes.change": "What `on_retry` takes, and what a change says it did.",
    f"{PACKAGE}.batch.changes.next_job": "What a change changes.",
    f"{PACKAGE}.batch.changes.failure": "What a change is told.",
    f"{PACKAGE}.local": "A local AWS, for tests and for trying out.",
    f"{PACKAGE}.cli": "The command line.",
}
#: What a change of one's own works with; these modules have helpers beside them.
_FOR_CHANGES = {"Change", "RequestChange", "NextJob", "Container", "Task", "Failure"}


def names_of(module: str) -> list[str]:
    """Return the public names of a module."""
    loaded = import_module(module)
    if (named := getattr(loaded, "__all__", None)) is not None:
        return sorted(named)
    found = [
        name
        for name, value in vars(loaded).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module
        if inspect.isclass(value) or inspect.isfunction(value)
    ]
    return sorted(set(found) & _FOR_CHANGES if ".changes." in module else found)
