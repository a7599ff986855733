"""Makes the database of an Airflow whose tasks all wait in the triggerer; runs as a process with that Airflow's home.

Migrates the database, serializes a DAG with a mapped `BatchJobOperator` into it, creates a run of it, prints `ready`,
reads the ids of the jobs from its standard input (a JSON list), and defers a task instance to each, as the execution
API does when a worker has submitted the job. Prints how many there are.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from sqlalchemy.orm import Session

DAG_ID = "triggerer"
RUN_ID = "bench"
TASK_ID = "job"
_BUNDLE = "dags-folder"


def main(tasks: int) -> None:
    """Do what the module says."""
    # Standard output is for `ready`; what Airflow has to say goes elsewhere.
    answers, sys.stdout = sys.stdout, sys.stderr
    logging.disable(logging.INFO)
    from airflow.utils.db import initdb
    from airflow.utils.session import create_session

    initdb()
    store_dag(tasks)
    with create_session() as session:
        make_run(session)
    print("ready", file=answers, flush=True)
    job_ids = json.loads(sys.stdin.readline())
    with create_session() as session:
        count = defer(session, job_ids)
    print(count, file=answers, flush=True)


def store_dag(tasks: int) -> None:
    """Serialize a DAG of one mapped task into the database."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.sdk import DAG

    from airflow_batch_jobs import BatchJobOperator

    with DAG(DAG_ID, schedule=None) as dag:
        BatchJobOperator.partial(task_id=TASK_ID, job_queue="default", definition="scripted:1").expand(
            parameters=[{"number": str(number)} for number in range(tasks)]
        )
    DagBundlesManager().sync_bundles_to_db()  # type: ignore[no-untyped-call]  # Airflow's, untyped
    bag = DagBag(bundle_name=_BUNDLE)
    bag.bag_dag(dag)
    sync_bag_to_db(bag, _BUNDLE, None)


def make_run(session: Session) -> DagRun:
    """Create a run with a task instance for each element of the mapping."""
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.sdk import timezone
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    stored = SerializedDagModel.get(DAG_ID, session=session)
    if stored is None:
        raise RuntimeError("The DAG is not in the database.")
    return stored.dag.create_dagrun(
        run_id=RUN_ID,
        run_after=timezone.utcnow(),
        run_type=DagRunType.MANUAL,
        triggered_by=DagRunTriggeredByType.TEST,
        state=DagRunState.RUNNING,
        session=session,
    )


def defer(session: Session, job_ids: list[str]) -> int:
    """Defer each task instance to a trigger that waits for a job; return how many there are."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.sdk import timezone
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import select

    now = timezone.utcnow()
    instances = session.scalars(
        select(TaskInstance).where(TaskInstance.dag_id == DAG_ID, TaskInstance.map_index >= 0)
    ).all()
    for instance in instances:
        path, kwargs = trigger_of(job_ids[instance.map_index], now.isoformat())
        row = Trigger(classpath=path, kwargs=kwargs)
        session.add(row)
        session.flush()
        instance.state, instance.try_number, instance.max_tries = TaskInstanceState.DEFERRED, 1, 0
        instance.start_date, instance.trigger_id = now, row.id
        instance.next_method, instance.next_kwargs = "execute_complete", {}
    return len(instances)


def trigger_of(job_id: str, submitted_at: str) -> tuple[str, dict[str, Any]]:
    """Return what the operator's trigger for a job serializes to."""
    from airflow_batch_jobs.triggers import BatchJobTrigger

    return BatchJobTrigger(job_id, submitted_at=submitted_at).serialize()


if __name__ == "__main__":
    main(int(sys.argv[1]))
