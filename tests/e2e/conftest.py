"""A real Airflow as a process, whose AWS is the local endpoint as another; one of each for all tests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from airflow_batch_jobs.demo.standalone import RestApi, StandaloneAirflow
from airflow_batch_jobs.local import LocalControl, start_process
from tests.e2e import chaos, chaos_world, stores
from tests.e2e.parts import SplitAirflow
from tests.e2e.runs import PLANTED, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xdist.remote import Producer

DAGS = Path(__file__).parent / "dags"
CHAOS_DAGS = Path(__file__).parent / "chaos_dags"
#: Names the file that gets the table of the chaos tests as Markdown.
TABLE_VARIABLE = "CHAOS_TABLE"

#: What becomes of jobs of the DAGs for retries.
LOST = {"exit_code": None, "status_reason": "Host EC2 (instance i-0abc) terminated.", "running": 2}
NO_IMAGE = {
    "exit_code": None,
    "reason": "CannotPullContainerError: manifest for images/align:9 not found: manifest unknown",
    "starts": False,
}
#: The DAGs whose tests hold no second against Airflow, so that their runs may be beside one another.
UNMEASURED = ("hungry", "without_an_image", "on_spot", "results", "without_a_result", "planted")

#: What a test's report calls its row of that table.
_ROW = "row of the chaos table"
_AIRFLOW: pytest.StashKey[SplitAirflow] = pytest.StashKey()


class Together(LoadScopeScheduling):
    """Plays the tests of a file in one process, and all chaos cases, since what they need is slow to start."""

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.partition("::")[0]).stem
        return "chaos" if file.startswith("test_chaos") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together:
    """Say which tests go to the same process."""
    return Together(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests in this folder, and those of the Airflow that all others share. The demo comes last.

    Its Airflow is on SQLite, and its tasks may fail to start while two others start on the same two cores.
    """
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("e2e")
            if "airflow" in getattr(item, "fixturenames", ()):
                item.add_marker("alone")
    items.sort(key=lambda item: item.path.stem == "test_demo")


@pytest.fixture(scope="session")
def cloud() -> Iterator[LocalControl]:
    """The local AWS, with a definition that runs a shell script."""
    with start_process(slots=32, kill_seconds=5) as control:
        control.register("shell", ["sh", "-c", "Ref::script"])
        yield control


@pytest.fixture(scope="session")
def database() -> Iterator[stores.Database]:
    """The database of the Airflow."""
    with stores.airflow_database() as database:
        yield database


@pytest.fixture(scope="session")
def airflow(
    cloud: LocalControl, database: stores.Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StandaloneAirflow]:
    """The Airflow."""
    environment = {
        "AIRFLOW_CONN_AWS_DEFAULT": cloud.airflow_connection(),
        "AIRFLOW_VAR_PLANTED": PLANTED,
        "AIRFLOW__BATCH_JOBS__DEPLOYMENT": "e2e",
        # The DAG files stay as they are: to read them again takes seconds from what is measured.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
        # Tasks that wait on workers run beside others.
        "AIRFLOW__CORE__PARALLELISM": "16",
        # From Airflow 3.4 on, what a task may take after its timeout, unless it asks for more: jobs take 5 s to stop.
        "AIRFLOW__CORE__KILLED_TASK_CLEANUP_TIME": "6",
        **database.settings,
    }
    with StandaloneAirflow(tmp_path_factory.mktemp("airflow"), DAGS, environment) as running:
        yield running


@pytest.fixture
def api(airflow: StandaloneAirflow) -> RestApi:
    """The REST API of the Airflow."""
    return airflow.api


@pytest.fixture
def start(api: RestApi) -> Callable[..., Run]:
    """Start a run of a DAG with a shell script as its job."""

    def start_run(dag_id: str, script: str = "", task_id: str = "job") -> Run:
        return Run.start(api, dag_id, script, task_id)

    return start_run


@pytest.fixture(scope="session")
def unmeasured(cloud: LocalControl, airflow: StandaloneAirflow) -> dict[str, Run]:
    """The runs of tests that hold no second against Airflow, which have been started at once."""
    order = [{"order": 1, "computeEnvironment": "local"}]
    cloud.clients()("batch").create_job_queue(jobQueueName="on-demand", priority=1, computeEnvironmentOrder=order)
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "1024"}]
    cloud.register("hungry", container={"resourceRequirements": needs})
    cloud.script(definition="hungry", running=2, attempts=[{"needs_mib": {"": 3072}}])
    cloud.register("without-an-image")
    cloud.script(definition="without-an-image", attempts=[NO_IMAGE])
    cloud.register("on-spot")
    cloud.script(definition="on-spot", running=2)
    cloud.script(definition="on-spot", queue="default", attempts=[LOST])
    return {dag_id: Run.start(airflow.api, dag_id) for dag_id in UNMEASURED}


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[chaos_world.World]:
    """An Airflow for chaos, with an AWS that works and two that lose half of the answers and of the requests."""
    points = tmp_path_factory.mktemp("points")
    with (
        start_process() as usual,
        start_process() as answers,
        start_process() as requests,
        stores.airflow_database() as database,
    ):
        clouds = {"aws_default": usual, "aws_hundred_answers": answers, "aws_hundred_requests": requests}
        for each in clouds.values():
            chaos_world.prepare(each)
        answers.fault("SubmitJob", "drop", share=0.5, after=True)
        requests.fault("SubmitJob", "drop", share=0.5)
        connections = {f"AIRFLOW_CONN_{name.upper()}": each.airflow_connection() for name, each in clouds.items()}
        environment = {**chaos_world.environment(points), **connections, **database.settings}
        with SplitAirflow(tmp_path_factory.mktemp("split"), CHAOS_DAGS, environment) as airflow:
            pytestconfig.stash[_AIRFLOW] = airflow
            others = {name: chaos_world.World(airflow, each, points) for name, each in clouds.items()}
            yield chaos_world.World(airflow, usual, points, others)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the Airflow for chaos with the last test that needs it: other tests measure how long things take."""
    is_needed = nextitem is not None and "world" in getattr(nextitem, "fixturenames", ())
    if _AIRFLOW in item.config.stash and not is_needed:
        item.config.stash[_AIRFLOW].stop()


@pytest.fixture(scope="session")
def playbill(request: pytest.FixtureRequest, world: chaos_world.World) -> chaos.Playbill:
    """The cases that were chosen to run and are not skipped."""
    tests = [item for item in request.session.items if isinstance(item, pytest.Function)]
    played = [test for test in tests if not any(mark.args[0] for mark in test.iter_markers("skipif"))]
    cases: list[Any] = [test.callspec.params["case"] for test in played if "row" in test.fixturenames]
    return chaos.Playbill(world, cases)


@pytest.fixture
def row(case: chaos.Case, playbill: chaos.Playbill, record_property: Callable[[str, object], None]) -> chaos.Row:
    """What is left of a test's case."""
    row = playbill.row(case)
    record_property(_ROW, str(row))
    return row


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of the chaos tests, whichever process ran them."""
    reports = [each for kind in ("passed", "failed") for each in terminalreporter.getreports(kind)]
    properties = [each for report in reports if report.when == "call" for each in report.user_properties]
    if rows := [text for name, text in properties if name == _ROW]:
        table = [*chaos.HEAD.splitlines(), *rows]
        terminalreporter.section("chaos")
        for line in table:
            terminalreporter.line(line)
        if path := os.environ.get(TABLE_VARIABLE):
            Path(path).write_text("\n".join(table) + "\n", encoding="utf-8")
