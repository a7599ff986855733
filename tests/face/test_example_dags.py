"""Each example DAG is run as it is, on the local AWS; the demo runs source_survey, so here only parts of it are."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.definition_files import register_folder
from airflow_batch_jobs.batch.identity import TaskIdentity, TaskKey, new_job_name, task_tags
from airflow_batch_jobs.batch.job import BatchJob
from airflow_batch_jobs.demo.examples import example_dags, example_definitions
from tests.docs.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_batch_jobs.local.server import LocalAws


@pytest.fixture
def run_example(airflow_aws: LocalAws, run_dag: Callable[..., Any]) -> Callable[..., Any]:
    """Run an example DAG with its definitions registered."""
    from airflow.dag_processing.dagbag import DagBag

    register_folder(airflow_aws.clients(), example_definitions())

    def run(name: str, conf: dict[str, Any] | None = None) -> Any:
        bag = DagBag(example_dags() / f"{name}.py", bundle_name="dags-folder")
        assert not bag.import_errors
        return run_dag(bag.dags[name], conf)

    return run


def lines_of(aws: LocalAws, job_id: str) -> list[str]:
    """Return what a job has written, after the local AWS's own first line."""
    return [event.text() for _, event in BatchJob.from_id(job_id, clients=aws.clients()).logs()][1:]


def test_every_example_has_a_docstring_and_a_dag_of_its_name() -> None:
    """One idea per file: each example file says what it shows and holds the DAG of its name."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(example_dags(), bundle_name="dags-folder")
    files = {path.stem: path for path in example_dags().glob("*.py")}
    assert not bag.import_errors
    assert set(bag.dags) == set(files)
    assert all(path.read_text().startswith('"""') for path in files.values())


def test_source_survey_takes_the_packages_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the run's parameter, without packages that this Python does not have."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(example_dags() / "source_survey.py", bundle_name="dags-folder")
    choose: Any = bag.dags["source_survey"].get_task("choose_packages")
    context = {"params": {"packages": ["json", "html", "no_such"]}}
    monkeypatch.setitem(choose.python_callable.__globals__, "get_current_context", lambda: context)
    assert choose.python_callable() == ["json", "html"]


def test_the_jobs_of_source_survey_hand_files_to_a_report(tmp_path: Path) -> None:
    """One file per package with the counts of each module, and a table with one line per package and their sum."""

    def run(program: str, *arguments: str) -> list[str]:
        command = [sys.executable, str(example_definitions() / program), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()

    for package in ("json", "html"):
        run("survey_package.py", package, str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"json.json", "html.json"}
    assert "json.decoder" in json.loads((tmp_path / "json.json").read_text())["modules"]
    header, *rows = run("survey_report.py", '["json", "html"]', str(tmp_path))
    assert header.split() == ["package", "modules", "lines", "functions", "classes"]
    assert [row.split()[0] for row in rows] == ["json", "html", "all"]


@pytest.mark.long
def test_the_first_example_of_the_readme_runs_as_it_stands(run_dag: Callable[..., Any], airflow_aws: LocalAws) -> None:
    """With the one definition beside it, whose first revision is the seventh."""
    from airflow.dag_processing.dagbag import DagBag

    folder = ROOT / "docs" / "develop"
    assert register_folder(airflow_aws.clients(), folder / "definitions") == ["align-reads:7"]
    bag = DagBag(folder / "nightly_alignment.py", bundle_name="dags-folder")
    assert not bag.import_errors
    run = run_dag(bag.dags["nightly_alignment"])

    assert run.run.state == "success"
    assert "NA12878, part 3 of 3, to s3://refs/hg38.fa with 4 threads" in run.output


def test_each_mapped_task_says_what_its_instances_are_called() -> None:
    """A thousand numbers tell nobody which one failed."""
    from airflow.dag_processing.dagbag import DagBag

    tasks = [task for dag in DagBag(example_dags(), bundle_name="dags-folder").dags.values() for task in dag.tasks]
    mapped = [task for task in tasks if task.is_mapped]
    assert len(mapped) >= 3
    assert [task.task_id for task in mapped if not task.map_index_template] == []


@pytest.mark.long
def test_submit_then_wait_waits_in_the_sensor(run_example: Callable[..., Any], airflow_aws: LocalAws) -> None:
    """The submitting task leaves its job to the sensor, which ends with it and copies its log."""
    run = run_example("submit_then_wait")

    assert run.run.state == "success"
    assert run.xcom("submit", "batch_job")["status"] == "SUBMITTED"
    assert run.xcom("wait", "batch_job")["status"] == "SUCCEEDED"
    assert run.xcom("wait") == run.xcom("submit")
    assert lines_of(airflow_aws, run.xcom("wait"))[-2:] == ["second 3 of 3", "Done."]
    assert "second 3 of 3" in run.output


@pytest.mark.long
@pytest.mark.parametrize(("revision", "counted"), [(1, "classes"), (2, "documented")])
def test_decided_at_run_time_runs_the_revision_asked_for(
    run_example: Callable[..., Any], airflow_aws: LocalAws, revision: int, counted: str
) -> None:
    """What the function returns is what runs; the two revisions differ visibly."""
    run = run_example("decided_at_run_time", {"revision": revision})

    assert run.run.state == "success"
    assert run.label("survey", 0) == "json"
    job = run.xcom("survey", "batch_job", 0)
    assert job["definition"].endswith(f"survey-package:{revision}")
    assert lines_of(airflow_aws, job["job_id"])[1].endswith(counted)


@pytest.mark.long
def test_job_without_a_class_passes_its_parameters(run_example: Callable[..., Any], airflow_aws: LocalAws) -> None:
    """A definition by name and revision gets its parameters from a mapping, templates rendered."""
    run = run_example("job_without_a_class", {"package": "http"})

    assert run.run.state == "success"
    assert lines_of(airflow_aws, run.xcom("survey"))[0] == "Surveying http: 5 modules"


@pytest.mark.long
def test_retried_job_succeeds_with_the_second_job(run_example: Callable[..., Any], airflow_aws: LocalAws) -> None:
    """The first job fails in both attempts, the retry's job succeeds in its second one."""
    run = run_example("retried_job")

    assert run.run.state == "success"
    first, second = sorted(airflow_aws.jobs(), key=lambda job: job["createdAt"])
    assert [attempt["container"]["exitCode"] for attempt in first["attempts"]] == [75, 75]
    assert [attempt["container"]["exitCode"] for attempt in second["attempts"]] == [75, 0]
    assert (first["status"], second["status"]) == ("FAILED", "SUCCEEDED")
    assert run.xcom("load") == second["jobId"]


@pytest.mark.long
def test_more_memory_succeeds_with_the_third_job(run_example: Callable[..., Any], airflow_aws: LocalAws) -> None:
    """Each has twice what the one before had, and the log says why."""
    airflow_aws.script(definition="fill-memory", running=0.2, attempts=[{"needs_mib": {"": 700}}])
    run = run_example("more_memory")

    assert run.run.state == "success"
    jobs = sorted(airflow_aws.jobs(), key=lambda job: job["createdAt"])
    needs = [{one["type"]: one["value"] for one in job["container"]["resourceRequirements"]} for job in jobs]
    assert [need["MEMORY"] for need in needs] == ["256", "512", "1024"]
    assert run.xcom("fill") == jobs[-1]["jobId"]
    [change] = run.xcom("fill", "batch_job")["changes"]
    assert (change["before"], change["after"]) == ("256 MiB", "1024 MiB")
    assert run.rendered("fill")["on_retry"] == [f"{change['field']} is 1024 MiB, not 256 MiB: {change['why']}"]
    assert "out of memory, for which on_retry has MoreMemory; tried again at once" in run.output


def test_fill_memory_fills_what_it_is_told() -> None:
    """On a machine that has it."""
    command = [sys.executable, str(example_definitions() / "fill_memory.py"), "3"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "3 MiB are filled.\n"


@pytest.mark.long
def test_results_feed_a_mapped_task(run_example: Callable[..., Any], airflow_aws: LocalAws) -> None:
    """One job for each part that the first one has found, and a report on what they have counted."""
    run = run_example("results")

    assert run.run.state == "success"
    found = run.xcom("find")["parts"]
    assert {"email", "encodings", "ensurepip"} <= set(found)
    counts = [run.xcom("count", map_index=index) for index in range(len(found))]
    assert [count["part"] for count in counts] == found
    assert [run.label("count", index) for index in range(len(found))] == found
    assert all(count["modules"] for count in counts)
    assert run.xcom("report").startswith(f"Of {len(found)} packages with e, encodings is the largest: ")
    assert len(airflow_aws.jobs()) == 1 + len(found)


@pytest.mark.long
def test_long_job_counts_as_far_as_it_is_told(run_example: Callable[..., Any], airflow_aws: LocalAws) -> None:
    """Left alone, the job ends well; the demo's test shows how it is stopped."""
    run = run_example("long_job", {"seconds": 1})

    assert run.run.state == "success"
    assert lines_of(airflow_aws, run.xcom("count")) == ["second 1 of 1", "Done."]


@pytest.mark.long
def test_orphan_sweep_tells_what_it_would_terminate(
    run_example: Callable[..., Any], airflow_aws: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A young job of a DAG that does not exist is left alone: the sweep is a dry run with the usual grace period."""
    monkeypatch.setenv("AIRFLOW__BATCH_JOBS__DEPLOYMENT", "examples")
    identity = TaskIdentity(TaskKey("deleted", "r", "t"), deployment="examples")
    airflow_aws.script(definition="count-seconds", running=3600)
    airflow_aws.submit("count-seconds:1", jobName=new_job_name(identity.job_name_prefix()), tags=task_tags(identity))
    run = run_example("orphan_sweep")

    assert run.run.state == "success"
    assert run.xcom("sweep") == []
    assert "1 active job of this deployment: 1 left" in run.output
