"""migrate: tasks are followed to where a DAG file uses them: through containers, loops, functions and attributes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from airflow_batch_jobs.migration import MARK, migrate
from tests.cli.migrating import IMPORT, MODULE, SENSOR_IMPORT, call, marked, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.migrating import Rewrite

MAKE = "def make(name):\n    return BatchOperator(task_id=name)\n\n\n"


@pytest.mark.parametrize(
    "code",
    [
        "tasks = {n: BatchOperator(task_id=n) for n in x}\ntasks['a'].arn\n",
        "tasks = {}\nfor n in x:\n    tasks[n] = BatchOperator(task_id=n)\ntasks['a'].arn\n",
        "tasks = {'a': BatchOperator(task_id='a'), 'b': Other()}\ntasks.get('a').arn\n",
        "tasks = {**x, **{'a': BatchOperator(task_id='a')}}\nfor _, task in tasks.items():\n    task.arn\n",
        "tasks = dict(a=BatchOperator(task_id='a'), b=Other())\ntasks['a'].arn\n",
        "tasks = {}\ntasks.setdefault('a', BatchOperator(task_id='a')).arn\n",
        "tasks = []\ntasks.append(BatchOperator(task_id='a'))\ntasks[0].arn\n",
        "tasks = [Other()]\ntasks += [BatchOperator(task_id='a')]\nfirst, *rest = tasks\nfirst.arn\n",
        "tasks = [BatchOperator(task_id=n) for n in x]\nlast = sorted(tasks, key=str)[-1]\nlast.arn\n",
        "tasks = [BatchOperator(task_id=n) for n in x]\nfor number, task in enumerate(tasks):\n    task.arn\n",
        "tasks = (BatchOperator(task_id=n) for n in x)\n[task.arn for task in tasks]\n",
        "tasks = {BatchOperator(task_id='a')}\nnext(iter(tasks)).arn\n",
        "sorted([BatchOperator(task_id=n) for n in x], key=lambda task: task.arn)\n",
        f"{MAKE}make('a').arn\n",
        f"{MAKE}tasks = [*map(make, x)]\ntasks[0].arn\n",
        f"{MAKE}def use(task):\n    task.arn\n\n\nuse(make('a'))\n",
        f"{MAKE}def use(*, task=None):\n    task.arn\n\n\nuse(task=make('a'))\n",
        "make = lambda name: BatchOperator(task_id=name)\nmake('a').arn\n",
        "def make():\n    yield BatchOperator(task_id='a')\n\n\nfor task in make():\n    task.arn\n",
        "@task_group\ndef group():\n    return BatchOperator(task_id='a')\n\n\ngroup().arn\n",
        "class Jobs:\n    def __init__(self):\n        self.one = BatchOperator(task_id='a')\n\n\nJobs().one.arn\n",
        "class Jobs:\n    one = BatchOperator(task_id='a')\n\n\nJobs.one.arn\n",
        "class Jobs:\n    def make(self):\n        return BatchOperator(task_id='a')\n\n\nJobs().make().arn\n",
        (
            "class Jobs:\n    def __init__(self):\n        self.every = {}\n"
            "        self.every['a'] = BatchOperator(task_id='a')\n\n\nJobs().every['a'].arn\n"
        ),
        "tasks = defaultdict(list)\ntasks['a'].append(BatchOperator(task_id='a'))\ntasks['a'][0].arn\n",
        "tasks = {'a': {}}\ntasks['a']['b'] = BatchOperator(task_id='a')\ntasks['a']['b'].arn\n",
        "tasks = [BatchOperator(task_id=n) for n in x]\nreduce(lambda a, b: a >> b, tasks).arn\n",
        "one = cast(BatchOperator, x)\none.arn\n",
        "one = typing.cast('list[BatchOperator]', x)[0]\none.arn\n",
        "@dataclass\nclass Jobs:\n    one: BatchOperator\n\n\nJobs(x).one.arn\n",
        "class Jobs:\n    def __init__(self):\n        self.one: BatchOperator = x\n\n\nJobs().one.arn\n",
        "BatchOperator(task_id='a').as_teardown().arn\n",
        "one = BatchOperator(task_id='a').as_setup()\none.arn\n",
        "with BatchOperator(task_id='a').as_teardown() as one:\n    one.arn\n",
        "last = Other() >> BatchOperator(task_id='a')\nlast.arn\n",
        "getattr(BatchOperator(task_id='a'), 'arn', None)\n",
        "one = BatchOperator(task_id='a') if x else None\nhasattr(one, 'arn')\n",
        "def use(tasks: list[BatchOperator]):\n    tasks[0].arn\n",
        "def use(tasks: 'dict[str, BatchOperator] | None'):\n    [task.arn for task in tasks.values()]\n",
        "def make() -> BatchOperator:\n    return x['a']\n\n\nmake().arn\n",
    ],
)
def test_a_task_is_followed(rewrite: Rewrite, code: str) -> None:
    """What it no longer has is found behind whatever holds or makes it."""
    assert marked(rewrite(IMPORT + code)) == ["BatchJobOperator has no attribute arn"]


@pytest.mark.parametrize(
    "code",
    [
        "tasks = {'a': BatchOperator(task_id='a'), 'b': Other()}\ntasks['b'].arn\n",
        "tasks = {}\ntasks['a'] = BatchOperator(task_id='a')\ntasks['b'] = Other()\ntasks['b'].arn\n",
        "tasks = dict(a=BatchOperator(task_id='a'), b=Other())\ntasks['b'].arn\n",
        "tasks = [BatchOperator(task_id='a')]\n\n\ndef use():\n    tasks = [Other()]\n    tasks[0].arn\n",
        f"{MAKE}def use(task):\n    task.arn\n\n\nuse(Other())\n",
        "@task\ndef one():\n    return BatchOperator(task_id='a')\n\n\none().arn\n",
        "first = BatchOperator(task_id='a') >> Other()\nfirst.arn\n",
        "getattr(Other(), 'arn')\n",
        "def use(tasks: list[Other], x: BatchOperator):\n    tasks[0].arn\n",
        "tasks = [tasks]\ntasks += tasks\ntasks[0].arn\n",
        "self.tasks[0].arn\n",
        "make()['a'].append(BatchOperator(task_id='a'))\nmake().one.arn\n",
        "tasks = {}\ntasks['a'] = {'b': BatchOperator(task_id='a')}\ntasks['b'] = {}\ntasks['b']['b'].arn\n",
    ],
)
def test_another_task_has_its_own_attributes(rewrite: Rewrite, code: str) -> None:
    """Keys, scopes, decorators and types tell it from ours."""
    assert marked(rewrite(f"{IMPORT}BatchOperator(task_id='t')\n{code}")) == []


@pytest.mark.parametrize(
    ("code", "where"),
    [
        ("tasks = {'a': BatchOperator(task_id='a')}\ntasks['a'].job_id\n", 'tasks["a"]'),
        (f"{MAKE}make('x').job_id\n", 'make("x")'),
        ("BatchOperator(task_id='a').job_id\n", 'BatchOperator(task_id="a")'),
        ("BatchOperator(task_id='a', job_name='a', job_queue='queue', retries=3).as_setup().job_id\n", "task"),
    ],
)
def test_where_the_id_of_the_job_is(rewrite: Rewrite, code: str, where: str) -> None:
    """It is told of the expression that stands there, unless that is long."""
    [finding] = marked(rewrite(IMPORT + code.replace("'", '"')))
    assert finding == f"BatchJobOperator has no attribute job_id; the job's id is {where}.output"


@pytest.mark.parametrize(
    "code",
    [
        "KEYS = ('batch_job_details', 'other')\n[ti.xcom_pull('t', key=key) for key in KEYS]\n",
        "outputs = [task.output for task in [BatchOperator(task_id='a')]]\noutputs[0]['batch_job_queue']\n",
        "ti.xcom_pull('t', key=BatchJobDetailsLink.key)\n",
        "ti.xcom_pull('t', key=links.CloudWatchEventsLink.key)\n",
    ],
)
def test_an_xcom_is_found_by_any_road(rewrite: Rewrite, code: str) -> None:
    """Its key may come from a loop or a link, and its task from a container."""
    [finding] = marked(rewrite(f"{IMPORT}BatchOperator(task_id='t')\n{code}"))
    assert finding.startswith("this XCom is gone")


def test_a_template_asks_for_an_attribute(rewrite: Rewrite) -> None:
    """The task of a template is any of the file's."""
    code = call(job_name='"{{ task.job_definition }}-{{ task.task_id }}"')
    assert marked(rewrite(code)) == [
        "a task of BatchJobOperator has no attribute job_definition; it is called definition"
    ]


@pytest.mark.parametrize("tasks", ["[dag.get_task('t')]", "dag.tasks", "dag.task_dict.values()"])
def test_a_task_of_a_dag_is_any(rewrite: Rewrite, tasks: str) -> None:
    """Also one that is asked for by its id."""
    code = f"{IMPORT}BatchOperator(task_id='t')\nfor task in {tasks}:\n    task.job_definition, task.task_id\n"
    assert marked(rewrite(code)) == [
        "a task of BatchJobOperator has no attribute job_definition; it is called definition"
    ]


def test_an_operator_of_a_list_that_is_executed_is_left(rewrite: Rewrite) -> None:
    """Its task would not be the one that it is executed in."""
    code = f"{IMPORT}for op in [BatchOperator(task_id='t')]:\n    op.execute({{}})\n"
    [finding] = marked(rewrite(code))
    assert finding.startswith("BatchOperator was left here: its execute is called")


JOBS = "JOBS = {'x': {'definition': 'a:1'}, 'y': {'definition': 'b'}}\n"


@pytest.mark.parametrize(
    ("before", "loop", "definition", "unpinned"),
    [
        ("", 'each in ["a:1", "b:2"]', "each", []),
        ("", 'each in ("a:1", "b")', "each", ["b"]),
        ("", 'each in ["a:1", *x]', "each", None),
        ("", "each in x", "each", None),
        ("", 'number, each in enumerate(["a", "b:1"])', "each", ["a"]),
        ("", 'number, (name, each) in enumerate([("x", "a:1"), ("y", "b")], 1)', "each", ["b"]),
        ("", 'name, each in [("x", "a:1"), y]', "each", None),
        ("", 'name, *each in [("x", "a:1")]', "each", None),
        ("", 'each in {"x": "a:1", "y": "b"}.values()', "each", ["b"]),
        ("LIST = ['a:1', 'b']\n", "each in LIST", "each", ["b"]),
        ("LIST = ['a:1']\nLIST.append(x)\n", "each in LIST", "each", None),
        ("LIST = ['a:1']\nLIST += x\n", "each in LIST", "each", None),
        (JOBS, "name, job in JOBS.items()", "job['definition']", ["b"]),
        (JOBS, "job in JOBS.values()", "job['definition']", ["b"]),
        (JOBS, "job in JOBS.values()", "job['image']", None),
        (f"{JOBS}JOBS['z'] = x\n", "job in JOBS.values()", "job['definition']", None),
        ("JOB = {'definition': 'a:1', 'other': 'c'}\n", "_ in x", "JOB['definition']", []),
        ("JOB = {'definition': 'a:1', **x}\n", "_ in x", "JOB['definition']", None),
        ("JOB = {'definition': 'a:1'}\nJOB.update(x)\n", "_ in x", "JOB['definition']", None),
    ],
)
def test_a_definition_comes_from_a_loop(
    rewrite: Rewrite, before: str, loop: str, definition: str, unpinned: list[str] | None
) -> None:
    """Each that the file has written out is looked at; what else there may be is asked for."""
    code = before + call(job_definition=definition).replace("BatchOperator(", f"for {loop}: BatchOperator(")
    expected = [f'pin {definition} to the revision that is to run, as in "{name}:7"' for name in unpinned or []]
    assert marked(rewrite(code)) == (
        expected if unpinned is not None else [f'make sure that {definition} has a revision, as in "align:7"']
    )


def test_a_pin_is_asked_for_only_where_it_can_be_written(dag_file: Path) -> None:
    """Where a definition is one of several, a person has to."""
    loop = call(job_definition="each").replace("BatchOperator(", "for each in ['a', 'b:1']: BatchOperator(")
    dag_file.write_text(f"{loop}BatchOperator(job_definition='c')\n")
    result = run(dag_file)

    assert "--pin c=REVISION --write\n" in result.stderr
    assert "--pin a=" not in result.stderr


@pytest.mark.parametrize(
    "code",
    [
        f"class Jobs:\n    {IMPORT}    def make(self):\n        return self.BatchOperator(task_id='t')\n",
        f"class Jobs:\n    {IMPORT}    one = BatchOperator()\n    def make(self):\n        self.BatchOperator()\n",
        f"class Jobs:\n    {SENSOR_IMPORT.rstrip()} as S\n    def make(self):\n        return self.S(task_id='t')\n",
        (
            "class Jobs:\n    from airflow.providers.amazon.aws.operators import batch\n"
            "    def make(self):\n        return self.batch.BatchOperator(task_id='t')\n"
        ),
    ],
)
def test_what_a_class_imports_is_left(rewrite: Rewrite, code: str) -> None:
    """Its methods have it as an attribute, also in a file of DAGs; the file still runs."""
    after = rewrite(f"dag = DAG('d')\n{code}")

    [finding] = marked(after)
    assert finding.endswith("in a class; import it at the top of the file")
    assert [line for line in after.splitlines() if MARK not in line] == ["dag = DAG('d')", *code.splitlines()]


@pytest.mark.parametrize("asked", ["tasks[{n}].job_id", "for task in tasks.values(): task.job_id"])
def test_what_many_places_ask_of_many_tasks_takes_no_time(asked: str) -> None:
    """A file of hundreds of tasks in one container, each asked for its id."""
    tasks = "".join(f"tasks['t{n}'] = BatchOperator(task_id='t{n}')\n" for n in range(300))
    asked = "".join(f"{asked.format(n=n)}\n" for n in range(300))
    began = time.thread_time()
    after = migrate(f"{IMPORT}tasks = {{}}\n{tasks}{asked}".encode()).after

    assert len(marked(after)) == 300
    assert time.thread_time() - began < 15  # ours take a second, most of it for the tracing of tests


@pytest.mark.parametrize("sign", ["", "f"])
def test_a_text_that_is_code_is_named(rewrite: Rewrite, sign: str) -> None:
    """As in a program that writes DAGs; a description of what a file does is none."""
    code = f'"""{IMPORT}"""\nHEAD = {sign}"""\n{IMPORT}"""\nlog("the operator of {MODULE}")\n'
    [finding] = marked(rewrite(code))
    assert finding == "this text names a module of the provider's; our classes are in airflow_batch_jobs"


@pytest.mark.parametrize(
    ("code", "is_said"),
    [
        ("def failed(context):\n    context['ti'].xcom_pull(task_ids='a', key='batch_job_details')\n", True),
        ("X = \"{{ ti.xcom_pull('a', key='batch_job_queue')['job_queue_arn'] }}\"\n", True),
        ("ti.xcom_pull(task_ids='a', key='cloudwatch_events')\n", False),
        ("Variable.get('batch_job_queue')\n", False),
        ("from airflow_batch_jobs import BatchJobOperator\nti.xcom_pull(task_ids='a', key='batch_job_queue')\n", False),
    ],
)
def test_a_file_that_only_reads_an_xcom_is_named(dag_file: Path, code: str, *, is_said: bool) -> None:
    """Such as one with callbacks: nothing in it says which tasks they are for, so it stays as it is."""
    dag_file.write_text(code)
    result = run(dag_file, "--write")

    assert (f"{dag_file}: it reads an XCom of BatchOperator's; " in result.stderr) is is_said
    assert dag_file.read_text() == code
    assert result.exit_code == 0
