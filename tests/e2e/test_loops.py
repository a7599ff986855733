"""Jobs of the passes of a loop, in a real Airflow: each pass has its own, and its own log, XComs and links."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e import stores
from tests.e2e.loops import Pass, passes
from tests.e2e.parts import SplitAirflow
from tests.e2e.runs import Run, until
from tests.e2e.test_orphans import orphans_from_a_shell
from tests.e2e.versions import HAS_LOOPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_batch_jobs.local import LocalControl

pytestmark = pytest.mark.skipif(not HAS_LOOPS, reason="TaskGroup.loop came with Airflow 3.4")

DAGS = Path(__file__).parent / "loop_dags"
SAYS = "echo pass $pass"


@pytest.fixture(scope="module")
def split(cloud: LocalControl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SplitAirflow]:
    """An Airflow whose triggerer can be killed."""
    with stores.airflow_database() as database:
        environment = {
            "AIRFLOW_CONN_AWS_DEFAULT": cloud.airflow_connection(),
            "AIRFLOW__BATCH_JOBS__DEPLOYMENT": "e2e",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
            "AIRFLOW__CORE__PARALLELISM": "16",
            # Airflow may take this long to see that a process has ended that it has told to.
            "AIRFLOW__CORE__KILLED_TASK_CLEANUP_TIME": "15",
            **database.settings,
        }
        with SplitAirflow(tmp_path_factory.mktemp("loops"), DAGS, environment) as running:
            yield running


class Loop:
    """A run of a loop of three passes."""

    def __init__(self, airflow: SplitAirflow, cloud: LocalControl, dag_id: str, script: str) -> None:
        self.airflow = airflow
        self.cloud = cloud
        self.passes = passes(airflow.api, dag_id, script)

    def __getitem__(self, index: int) -> Pass:
        return self.passes[index]

    def jobs(self) -> list[dict[str, Any]]:
        """Return all jobs that were ever started for the run."""
        run_id = self.passes[0].run_id
        return [job for job in self.cloud.jobs() if job.get("tags", {}).get("airflow-run-id") == run_id]

    def job_ids(self) -> list[str]:
        """Return the ids of the jobs of the passes, as their XComs have them."""
        return [str(each.job()["job_id"]) for each in self.passes]

    def end(self) -> str:
        """Wait for the end of the run, and return its state."""
        one = self.passes[0]
        return str(until(lambda: _final(self.airflow.api.run_state(one.dag_id, one.run_id)), 240))

    def assert_each_has_its_own(self, tries: dict[int, int]) -> None:
        """Assert that each pass has the log, the XComs and the links of its own job and of no other.

        Args:
            tries: The attempt that ended a pass, if it is not the first.
        """
        ids = self.job_ids()
        assert len(set(ids)) == 3
        for one, job_id in zip(self.passes, ids, strict=True):
            index = one.loop_index
            assert one.state == "success"
            assert one.xcom("return_value") == job_id
            job = self.cloud.job(job_id)
            assert (job["status"], job["tags"]["airflow-loop-index"]) == ("SUCCEEDED", str(index))
            assert [line for line in one.lines(tries.get(index, 1)) if "pass" in line] == [f"pass {index}"]
            assert one.links()["Batch job"].endswith(job_id)
            assert job["container"]["logStreamName"].rpartition("/")[2] in one.links()["Batch job log"]


def _final(state: str) -> str | None:
    return state if state in ("success", "failed") else None


def held(folder: Path, index: int) -> str:
    """Return a script that says which pass it is, and whose pass of this index waits for `let_go`."""
    return f"{SAYS}; if [ $pass = {index} ]; then while [ ! -e {folder}/go ]; do sleep 0.2; done; fi; echo end"


def let_go(folder: Path) -> None:
    """Let the held pass end."""
    (folder / "go").touch()


@pytest.mark.parametrize("dag_id", ["deferred", "on_worker", "finished_in_triggerer"])
def test_each_pass_has_a_job_of_its_own(split: SplitAirflow, cloud: LocalControl, dag_id: str) -> None:
    """However it is waited for."""
    loop = Loop(split, cloud, dag_id, SAYS)
    assert loop.end() == "success"
    assert len(loop.jobs()) == 3
    loop.assert_each_has_its_own({})


@pytest.mark.parametrize("dag_id", ["deferred", "on_worker"])
def test_a_retry_of_a_pass_gets_a_job_of_its_own(
    split: SplitAirflow, cloud: LocalControl, dag_id: str, tmp_path: Path
) -> None:
    """Not that of the pass before it, which has succeeded."""
    once = f"if [ $pass = 1 ] && mkdir {tmp_path}/once 2>/dev/null; then exit 3; fi"
    loop = Loop(split, cloud, dag_id, f"{SAYS}; {once}")
    assert loop.end() == "success"
    jobs = loop.jobs()
    assert sorted(job["status"] for job in jobs) == ["FAILED", *["SUCCEEDED"] * 3]
    assert [job["tags"]["airflow-loop-index"] for job in jobs if job["status"] == "FAILED"] == ["1"]
    loop.assert_each_has_its_own({1: 2})


def test_a_clear_of_one_pass_runs_that_pass_again(split: SplitAirflow, cloud: LocalControl) -> None:
    """And leaves the others, and what they have."""
    loop = Loop(split, cloud, "deferred", SAYS)
    assert loop.end() == "success"
    before = loop.job_ids()
    loop[1].clear()
    until(lambda: loop[1].about()["try_number"] == 2, 120)
    assert loop.end() == "success"
    after = loop.job_ids()
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True]
    assert len(loop.jobs()) == 4
    loop.assert_each_has_its_own({1: 2})


@pytest.mark.parametrize("dag_id", ["deferred", "on_worker"])
def test_a_clear_of_a_pass_that_runs_ends_its_job(
    split: SplitAirflow, cloud: LocalControl, dag_id: str, tmp_path: Path
) -> None:
    """Another one begins when that has ended; the passes before it are left."""
    loop = Loop(split, cloud, dag_id, held(tmp_path, 1))
    old = str(loop[1].job()["job_id"])
    until(lambda: "pass 1" in loop[1].lines(), 60)
    loop[1].clear()
    assert cloud.wait_for_status(old, seconds=240)["status"] == "FAILED"
    let_go(tmp_path)
    until(lambda: loop[1].about()["try_number"] == 2, 120)
    assert loop.end() == "success"
    assert [job["jobId"] for job in loop.jobs() if job["status"] == "FAILED"] == [old]
    assert len(loop.jobs()) == 4
    loop.assert_each_has_its_own({1: 2})


@pytest.mark.parametrize("dag_id", ["deferred", "on_worker"])
def test_a_clear_with_downstream_ends_the_job_of_a_later_pass(
    split: SplitAirflow, cloud: LocalControl, dag_id: str, tmp_path: Path
) -> None:
    """Airflow makes the later passes anew, as first attempts."""
    loop = Loop(split, cloud, dag_id, held(tmp_path, 2))
    before = loop.job_ids()
    until(lambda: "pass 2" in loop[2].lines(), 60)
    loop[0].clear(downstream=True)
    assert cloud.wait_for_status(before[2], seconds=240)["status"] == "FAILED"
    let_go(tmp_path)
    until(lambda: loop[0].about()["try_number"] == 2, 120)
    assert loop.end() == "success"
    assert not set(before) & set(loop.job_ids())
    assert len(loop.jobs()) == 6
    loop.assert_each_has_its_own({0: 2})


@pytest.mark.parametrize("dag_id", ["deferred", "on_worker"])
def test_a_pass_that_is_marked_failed_ends_its_job(
    split: SplitAirflow, cloud: LocalControl, dag_id: str, tmp_path: Path
) -> None:
    """And no other."""
    loop = Loop(split, cloud, dag_id, held(tmp_path, 1))
    job_id = str(loop[1].job()["job_id"])
    cloud.wait_for_status(job_id, "RUNNING")
    # Until a triggerer has taken the trigger up, a stop reaches nobody.
    until(lambda: "pass 1" in loop[1].lines(), 60)
    loop[1].mark("failed")
    ended = cloud.wait_for_status(job_id, seconds=240)
    assert ended["statusReason"] == "Airflow task stopped by a user: now failed"
    assert sorted(job["status"] for job in loop.jobs()) == ["FAILED", "SUCCEEDED"]


def test_a_triggerer_that_is_killed_in_a_pass_leaves_its_job(
    split: SplitAirflow, cloud: LocalControl, tmp_path: Path
) -> None:
    """The next one waits for the same job, and has the whole log."""
    loop = Loop(split, cloud, "deferred", held(tmp_path, 1))
    cloud.wait_for_status(str(loop[1].job()["job_id"]), "RUNNING")
    until(lambda: "pass 1" in loop[1].lines(), 60)
    split.the("triggerer").kill()
    split.start("triggerer")
    let_go(tmp_path)
    assert loop.end() == "success"
    assert len(loop.jobs()) == 3
    loop.assert_each_has_its_own({})
    assert loop[1].lines()[-1] == "end"


def test_a_sweep_ends_what_passes_have_left_and_nothing_that_lives(
    split: SplitAirflow, cloud: LocalControl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a task and from a shell, while a pass runs."""
    loop = Loop(split, cloud, "deferred", held(tmp_path, 1))
    live = str(loop[1].job()["job_id"])
    cloud.wait_for_status(live, "RUNNING")
    first = cloud.job(str(loop[0].job()["job_id"]))
    [orphan] = cloud.submit("shell:1", jobName=first["jobName"], parameters={"script": "sleep 600"}, tags=first["tags"])
    cloud.wait_for_status(orphan, "RUNNING")
    told = orphans_from_a_shell(split.url, cloud, monkeypatch, queue="default")
    assert (told[live], told[orphan]) == ("left", "would be terminated")
    sweep = Run.start(split.api, "sweep")
    assert sweep.wait_for_end() == "success"
    assert sweep.xcom("return_value") == [orphan]
    assert cloud.wait_for_status(orphan)["statusReason"].startswith("Orphan of an Airflow task")
    let_go(tmp_path)
    assert loop.end() == "success"
    loop.assert_each_has_its_own({})


def test_a_healthy_triggerer_has_no_error_in_its_log(split: SplitAirflow) -> None:
    """After all of the above: what Airflow is known to refuse is not asked."""
    # There is no other question about an XCom that may not be there; and a busy machine is no sick triggerer.
    errors = [
        line
        for line in _lines(split.home / "triggerer.log")
        if "[error" in line and "status_code=404" not in line and "deadlocked" not in line
    ]
    # Two passes are cleared while a trigger waits for them, which may just be writing an XCom when it is told of that.
    assert not [line for line in errors if "Task instance is not a live attempt" not in line]
    assert len(errors) <= 2


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines()
