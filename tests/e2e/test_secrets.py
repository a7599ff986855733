"""A secret that jobs are given is in no file of a real Airflow: no log, no database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import create_engine, inspect, literal_column, select, table

from tests.e2e.runs import FINAL, PLANTED, Run, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_batch_jobs.demo.standalone import StandaloneAirflow
    from airflow_batch_jobs.local import LocalControl
    from tests.e2e.stores import Database

STATES = {
    "deferred": "success",
    "on_worker": "success",
    "decorated": "success",
    "failing": "failed",
    "refused": "failed",
}


def test_a_secret_is_nowhere_but_in_the_jobs(
    unmeasured: dict[str, Run], airflow: StandaloneAirflow, database: Database, cloud: LocalControl
) -> None:
    """Whether a job succeeds or fails, is waited for in the triggerer or on a worker, or is refused for the secret."""
    run = unmeasured["planted"]

    def states() -> dict[str, str | None]:
        return {each["task_id"]: each["state"] for each in airflow.api.task_instances("planted", run.run_id)}

    until(lambda: set(states().values()) <= set(FINAL), 180)
    assert states() == STATES
    assert "*** is no token" in str(Run(airflow.api, "planted", run.run_id, "refused").log())
    assert {job["parameters"].get("api_token") for job in cloud.jobs() if is_of(job, run)} == {PLANTED, ""}
    kept = list(rows(database))
    assert any(run.run_id in row for row in kept)
    assert not [row for row in kept if PLANTED in row or PLANTED.encode().hex() in row]
    files = [path for folder in (airflow.home, database.folder) for path in folder.rglob("*") if path.is_file()]
    assert len([path for path in files if path.suffix == ".log"]) > len(STATES)
    telling = [path for path in files if PLANTED.encode() in content(path)]
    # Airflow copies a task's errors onto the console of the component that supervises it, and does not mask them there.
    assert {path.name for path in telling} <= {"standalone.log"}
    assert all(
        "task_id=refused" in line for path in telling for line in path.read_text().splitlines() if PLANTED in line
    )


def content(path: Path) -> bytes:
    """Return what is in a file; nothing where PostgreSQL has just given it another name."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def rows(database: Database) -> Iterator[str]:
    """Yield every row of the database as text, binary columns as hexadecimal digits."""
    engine = create_engine(database.settings["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    try:
        names = inspect(engine).get_table_names()
        with engine.connect() as connection:
            for name in names:
                yield from connection.scalars(select(literal_column(f'"{name}"::text')).select_from(table(name)))
    finally:
        engine.dispose()


def is_of(job: dict[str, dict[str, str]], run: Run) -> bool:
    """Tell whether a job was started for a run."""
    return job.get("tags", {}).get("airflow-run-id") == run.run_id
