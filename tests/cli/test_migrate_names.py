"""migrate: what a name stands for, where the class is named in other ways, and what else knows a task."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_batch_jobs.migration import MARK, composed_texts
from airflow_batch_jobs.migration.counterparts import COUNTERPARTS
from tests.cli.migrating import IMPORT, MODULE, OURS, SENSOR_IMPORT, SENSORS, call, marked, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.migrating import Rewrite

CONTRIB = "airflow.contrib.operators.awsbatch_operator"
TWO_BRANCHES = [
    "try:\n    {0}\nexcept ImportError:\n    {1}\n",
    "if NEW:\n    {0}\nelse:\n    {1}\n",
    "{0}\nif OLD:\n    {1}\n",
]


@pytest.mark.parametrize("full_name", COUNTERPARTS)
def test_the_classes_are_known_by_all_their_names(rewrite: Rewrite, full_name: str) -> None:
    """By name, under a name of the file's own, and by module."""
    module, _, name = full_name.rpartition(".")
    package, _, last = module.rpartition(".")
    ours = COUNTERPARTS[full_name].name
    imported = f"from airflow_batch_jobs import {ours}"

    assert rewrite(f"from {module} import {name}\n{name}()\n") == f"{imported}\n{ours}()\n"
    assert rewrite(f"from {module} import {name} as X\nX()\n") == f"{imported} as X\nX()\n"
    assert rewrite(f"from {package} import {last}\n{last}.{name}()\n") == f"{imported}\n{ours}()\n"
    assert rewrite(f"import {module} as x\nx.{name}()\n") == f"{imported}\n{ours}()\n"
    assert rewrite(f"import {module}\n{module}.{name}()\n") == f"import {module}\n{imported}\n{ours}()\n"


def test_a_package_above_the_module_will_do(rewrite: Rewrite) -> None:
    """Whatever the import names, ours is imported below it."""
    code = "from airflow.providers.amazon.aws import operators\n"
    assert rewrite(f"{code}operators.batch.BatchOperator()\n") == f"{code}{OURS}BatchJobOperator()\n"


@pytest.mark.parametrize("branches", TWO_BRANCHES)
@pytest.mark.parametrize("name", ["BatchOperator", "Op"])
def test_a_name_imported_in_two_branches_is_one_class(rewrite: Rewrite, branches: str, name: str) -> None:
    """Whichever branch runs, the name stands for ours."""
    imported = [f"from {MODULE} import BatchOperator as {name}", f"from {CONTRIB} import AWSBatchOperator as {name}"]
    ours = "BatchJobOperator" if name == "BatchOperator" else name
    after = OURS.rstrip() if name == "BatchOperator" else f"{OURS.rstrip()} as {name}"

    assert rewrite(branches.format(*imported) + f"{name}(task_id='t')\n") == (
        branches.format(after, after) + f"{ours}(task_id='t')\n"
    )


@pytest.mark.long
def test_the_answer_is_the_same_in_every_process() -> None:
    """Also of a file that imports a name in two branches, and where one use of it is left."""
    code = TWO_BRANCHES[0].format(IMPORT.rstrip(), f"from {CONTRIB} import AWSBatchOperator as BatchOperator")
    code += "BatchOperator(**x)\nBatchOperator(task_id='t')\n"
    script = "import sys; from airflow_batch_jobs.migration import migrate; print(migrate(sys.argv[1].encode()))"
    answers = {
        subprocess.run(
            [sys.executable, "-c", script, code],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(4)
    }

    assert len(answers) == 1
    assert MARK in answers.pop()


@pytest.mark.parametrize(
    "code",
    [
        f"try:\n    {IMPORT}except ImportError:\n    BatchOperator = None\nBatchOperator(task_id='t')\n",
        f"{IMPORT}class BatchOperator(Base): ...\nBatchOperator(task_id='t')\n",
        f"{IMPORT}def f():\n    global BatchOperator\n    BatchOperator = 1\nBatchOperator(task_id='t')\n",
        f"{IMPORT}BatchOperator(task_id='t')\ndel BatchOperator\n",
    ],
)
def test_a_name_that_may_be_something_else_is_left(rewrite: Rewrite, code: str) -> None:
    """The file goes on as it is, and says why."""
    after = rewrite(code)

    assert marked(after) == ["BatchOperator was left here: BatchOperator may be something else here"]
    assert [line for line in after.splitlines() if MARK not in line] == code.splitlines()


@pytest.mark.parametrize(
    "code",
    [
        f"def load():\n    global BatchOperator\n    {IMPORT}load()\nBatchOperator(task_id='t')\n",
        f"def load():\n    global Op\n    {IMPORT.rstrip()} as Op\nload()\nOp(task_id='t')\n",
        (
            "def load():\n    global batch\n    from airflow.providers.amazon.aws.operators import batch\n"
            "load()\nbatch.BatchOperator(task_id='t')\n"
        ),
        (
            f"def f():\n    BatchOperator = None\n    def load():\n        nonlocal BatchOperator\n        {IMPORT}"
            "    load()\n    BatchOperator(task_id='t')\n"
        ),
        (
            f"def f():\n    {IMPORT}    def g():\n        nonlocal BatchOperator\n        BatchOperator = Mine\n"
            "    g()\n    BatchOperator(task_id='t')\n"
        ),
    ],
)
def test_a_name_that_a_function_gives_to_another_scope_is_left(rewrite: Rewrite, code: str) -> None:
    """What `global` and `nonlocal` name stays, with the import and the call, and the file still runs."""
    after = rewrite(code)

    assert len(marked(after)) == 1
    assert [line for line in after.splitlines() if MARK not in line] == code.splitlines()


@pytest.mark.parametrize(
    "code",
    [
        "def f(BatchOperator):\n    return BatchOperator(job_definition='a')\n",
        "def f(*BatchOperator):\n    return BatchOperator(job_definition='a')\n",
        "[BatchOperator(job_definition='a') for BatchOperator in x]\n",
        "lambda BatchOperator: BatchOperator(job_definition='a')\n",
        "def f():\n    for BatchOperator in x:\n        BatchOperator(job_definition='a')\n",
        "def f():\n    with x as (BatchOperator, _):\n        BatchOperator(job_definition='a')\n",
        "def f():\n    if (BatchOperator := x):\n        BatchOperator(job_definition='a')\n",
        "def f(x):\n    match x:\n        case [BatchOperator]:\n            BatchOperator(job_definition='a')\n",
    ],
)
def test_another_scope_has_its_own_names(rewrite: Rewrite, code: str) -> None:
    """A parameter or variable that has the name of the class is not the class."""
    assert rewrite(f"{IMPORT}BatchOperator(task_id='t')\n{code}") == f"{OURS}BatchJobOperator(task_id='t')\n{code}"


@pytest.mark.parametrize(
    "code",
    [
        "__all__ = ['BatchOperator']\n",
        "__all__: list[str] = ['BatchOperator']\n",
        "__all__ = ()\n__all__ += ('BatchOperator',)\n",
        "__all__.append('BatchOperator')\n",
    ],
)
def test_a_class_that_is_exported_stays(rewrite: Rewrite, code: str) -> None:
    """Who imports it from there goes on with the provider's class, while the file's own calls are ours."""
    after = rewrite(f"{IMPORT}{code}BatchOperator(task_id='t')\n")

    assert marked(after) == ["BatchOperator was left here: it is in __all__; check who imports it from here"]
    assert after.startswith(f"{IMPORT}{OURS}")
    assert after.endswith("BatchJobOperator(task_id='t')\n")


@pytest.mark.parametrize(
    ("code", "finding"),
    [
        ("X = TypeVar('X', bound='BatchOperator')\n", "BatchOperator was left here: a text that names it"),
        (f"@patch('{SENSORS}.BatchSensor.poke')\ndef f(): ...\n", "this text names a class of the provider's"),
        ("def f():\n    '''BatchOperator'''\n", None),
        ("print('BatchOperator is a class')\n", None),
    ],
)
def test_a_text_that_names_a_class_is_marked(rewrite: Rewrite, code: str, finding: str | None) -> None:
    """A name in quotes is looked up when the code runs; a sentence is not."""
    found = marked(rewrite(f"{IMPORT}{code}BatchOperator(task_id='t')\n"))

    assert [each.startswith(finding or "") for each in found] == [True] * (finding is not None)


@pytest.mark.parametrize(
    "annotation", ["'BatchOperator'", '"list[BatchOperator]"', "list['BatchOperator']", "'BatchOperator | None'"]
)
def test_a_quoted_annotation_is_renamed(rewrite: Rewrite, annotation: str) -> None:
    """In parameters, results and variables, also where the class is imported for types only."""
    code = f"def f(x: {annotation}) -> {annotation}:\n    y: {annotation} = x\n    return y\n"
    before = f"if TYPE_CHECKING:\n    {IMPORT}{code}"

    assert rewrite(before) == before.replace(IMPORT, OURS).replace("BatchOperator", "BatchJobOperator")


@pytest.mark.parametrize(
    "code",
    [
        "op = BatchOperator(task_id='t')\n    op.execute(context)",
        "return BatchOperator(task_id='t').execute(context)",
        "self.op = BatchOperator(task_id='t')\n    self.op.execute(context)",
    ],
)
def test_an_operator_that_is_executed_inside_a_task_is_left(rewrite: Rewrite, code: str) -> None:
    """Ours would end the surrounding task to wait; one of the same name elsewhere is rewritten."""
    elsewhere = "op = BatchOperator(task_id='o')\n"
    after = rewrite(f"{IMPORT}{elsewhere}@task\ndef f(context):\n    {code}\n")

    assert marked(after) == [
        "BatchOperator was left here: its execute is called; make it a task of its own, or write a @task.batch_job"
    ]
    assert f"{OURS}{elsewhere.replace('BatchOperator', 'BatchJobOperator')}" in after


@pytest.mark.parametrize(
    "code",
    [
        "@patch.object(BatchOperator, 'log')\ndef f(): ...\n",
        "class T:\n    @first\n    # c\n    @patch.object(BatchOperator, 'log')\n    def f(self): ...\n",
        "if x:\n    pass\nelif BatchOperator(**x):\n    pass\n",
        "try:\n    pass\nexcept BatchOperator:\n    pass\n",
        "try:\n    pass\nfinally: BatchOperator(**x)\n",
        "match x:\n    case BatchOperator(): pass\n",
        "for x in BatchOperator(**x): pass\n",
    ],
)
def test_a_mark_is_written_once_wherever_it_stands(rewrite: Rewrite, code: str) -> None:
    """Above a decorated function, a branch or a handler: a second run finds it there, as the fixture sees to."""
    assert len(marked(rewrite(f"{IMPORT}{code}"))) == 1


def test_an_unused_import_in_a_file_of_dags_is_no_work(dag_file: Path) -> None:
    """Nobody imports from such a file, so there is nothing to do but a remark."""
    dag_file.write_text(f"{call()}{SENSOR_IMPORT}DAG('d')\n")
    result = run(dag_file, "--write")

    assert result.exit_code == 0
    assert "BatchSensor is imported but not used here; the import can go" in result.stderr
    assert SENSOR_IMPORT in dag_file.read_text()


@pytest.mark.parametrize(
    ("imported", "name"),
    [
        ("from .operators import BatchOperator", "BatchOperator"),
        ("import common", "common.BatchOperator"),
    ],
)
@pytest.mark.parametrize(
    "use", ["{}(task_id='t', job_definition='a')", "{}.partial(job_queue='q')", "class Mine({}): ..."]
)
def test_a_class_of_this_name_from_elsewhere_is_left(rewrite: Rewrite, imported: str, name: str, use: str) -> None:
    """Another file of the same run may have had the provider's class for this one, and has it no longer."""
    full_name = {"BatchOperator": ".operators.BatchOperator"}.get(name, name)
    finding = f"{name} is {full_name}, which was not looked into: if that is the provider's, import ours"

    assert rewrite(f"{imported}\n{use.format(name)}\n") == f"{imported}\n{MARK}{finding}\n{use.format(name)}\n"


@pytest.mark.parametrize(
    ("use", "finding"),
    [
        (
            "isinstance(task, nightly.BatchOperator)",
            "nightly.BatchOperator is dags.nightly.BatchOperator, which was not",
        ),
        ("nightly.BatchOperator.poll = 1", "nightly.BatchOperator is dags.nightly.BatchOperator, which was not"),
        ("patch('dags.nightly.BatchOperator')", "this text may name a class of the provider's"),
        ("monkeypatch.setattr('dags.nightly.BatchSensor.poke', x)", "this text may name a class of the provider's"),
        ("monkeypatch.setattr(nightly, 'BatchOperator', x)", "this text names a class of the provider's"),
        ("mock.patch.object(nightly, 'BatchOperator')", "this text names a class of the provider's"),
        ("patch('dags.nightly.BatchOperators')", None),
        ("log('No BatchOperator.')", None),
        ("self.BatchOperator", None),
    ],
)
def test_a_class_that_a_module_of_dags_had_is_named(rewrite: Rewrite, use: str, finding: str | None) -> None:
    """Tests of DAGs reach into their modules, which have the provider's class no longer."""
    found = marked(rewrite(f"from dags import nightly\n{use}\n"))

    assert [each.startswith(finding or "") for each in found] == [True] * (finding is not None)


@pytest.mark.parametrize(
    "code",
    [
        f"importlib.import_module('{MODULE}').BatchOperator(job_definition='a')\n",
        f"batch = importlib.import_module('{MODULE}')\nbatch.BatchOperator(job_definition='a')\n",
        f"NAME = '{MODULE}'\ngetattr(import_module(NAME), 'BatchOperator')(job_definition='a')\n",
        f"__import__('{MODULE}', fromlist=['x']).BatchOperator(job_definition='a')\n",
        "import_module('.batch', 'airflow.providers.amazon.aws.operators').BatchOperator()\n",
        "import_module('.batch', package='airflow.providers.amazon.aws.operators').BatchOperator()\n",
    ],
)
def test_a_module_that_is_imported_by_a_text_is_named(rewrite: Rewrite, code: str) -> None:
    """What is taken from it stays, and a person is told."""
    after = rewrite(code)

    assert marked(after) == ["this text names a module of the provider's; our classes are in airflow_batch_jobs"]
    assert [line for line in after.splitlines() if MARK not in line] == code.splitlines()


PACKAGE = "airflow.providers.amazon.aws"


@pytest.mark.parametrize(
    "code",
    [
        f"importlib.import_module(f'{PACKAGE}.operators.{{x}}')\n",
        f"importlib.import_module('{PACKAGE}.operators.' + x)\n",
        f"__import__('{PACKAGE}.%s.batch' % x)\n",
        f"name = '{PACKAGE}.{{}}.batch'.format(x)\n",
        f"name = '.'.join(['{PACKAGE}', x, 'batch'])\n",
        f"PACKAGE = '{PACKAGE}.operators'\nimport_module(f'{{PACKAGE}}.batch')\n",
        f"import_module('{PACKAGE}.operators' '.batch')\n",
        f"import_module('.' + x, '{PACKAGE}.operators')\n",
        f"import_module(x, package='{PACKAGE}.operators')\n",
        f"getattr(import_module('{PACKAGE}.operators'), 'batch')\n",
        f"import_string(f'{MODULE}.{{x}}')\n",
        f"class C:\n    BASE = '{PACKAGE}.operators'\n    def f(self): return import_module(self.BASE + '.batch')\n",
        f"PARTS = ['{PACKAGE}.operators.', x]\n",
        "import_string(f'airflow.contrib.operators.{x}_operator.{y}')\n",
    ],
)
def test_a_module_whose_name_is_put_together_is_named(dag_file: Path, rewrite: Rewrite, code: str) -> None:
    """It stays, and the summary has the line."""
    after = rewrite(code)

    assert marked(after) == ["this may name a module of the provider's; our classes are in airflow_batch_jobs"]
    assert [line for line in after.splitlines() if MARK not in line] == code.splitlines()
    [line] = [number for number, text in enumerate(after.splitlines(), start=1) if MARK in text]
    summary = run(dag_file).stderr
    assert "1 use of BatchOperator or BatchSensor in 1 file: 0 can be rewritten, with --write, 1 left." in summary
    assert f"Left at {dag_file}:{line}\n" in summary


@pytest.mark.parametrize(
    "code",
    [
        f"import_module(f'{PACKAGE}.hooks.{{x}}')\n",
        f"import_module('{PACKAGE}.operators.s3' + x)\n",
        f"log.info(f'see {PACKAGE}.operators.{{x}}')\n",
        f"text = f'airflow.{{x}}' + '{PACKAGE}.operators.s3'\n",
    ],
)
def test_a_text_that_cannot_become_one_of_the_modules_is_no_use(rewrite: Rewrite, code: str) -> None:
    """Its fixed parts say so."""
    assert rewrite(code) == code


@pytest.mark.parametrize("module", [f"import {MODULE} as m\n", "def f(m):\n    "])
def test_a_class_that_is_taken_from_a_module_by_a_text_is_named(rewrite: Rewrite, module: str) -> None:
    """Whatever the module is; one that is named by a text is said already."""
    assert marked(rewrite(f"{module}getattr(m, 'BatchOperator')(task_id='t')\n")) == [
        "this text names a class of the provider's; ours are in airflow_batch_jobs"
    ]


def test_another_class_of_the_module_may_be_imported_by_a_text(rewrite: Rewrite) -> None:
    """It has no counterpart here."""
    code = f"import_module('{MODULE}').BatchCreateComputeEnvironmentOperator()\n"
    assert rewrite(code) == code


@pytest.mark.parametrize(
    ("code", "finding"),
    [
        (
            "op.wait_for_completion = False\n",
            "BatchJobOperator has no attribute wait_for_completion; it is called wait",
        ),
        ("op.tags\n", "BatchJobOperator has no attribute tags; it is tags in submit_options"),
        ("op.jobId\n", "BatchJobOperator has no attribute jobId; the job's id is op.output"),
        ("op.output['batch_job_details']\n", "this XCom is gone"),
        ("out = op.output\nout['batch_job_queue']\n", "this XCom is gone"),
        ("ti.xcom_pull('t', 'batch_job_definition')\n", "this XCom is gone"),
        ("context['ti'].xcom_pull('t', 'batch_job_definition')\n", "this XCom is gone"),
        ("XComArg(op, 'cloudwatch_events')\n", "this XCom is gone"),
        ("KEY = 'batch_job_details'\nti.xcom_pull('t', key=KEY)\n", "this XCom is gone"),
        ("KEY = 'batch_job_details'\nop.output[KEY]\n", "this XCom is gone"),
        ("KEY = 'batch_job_details'\nti.xcom_pull('t', key=OTHER)\n", None),
        ("XCom.get_one(key='batch_job_' 'queue')\n", "this XCom is gone"),
        ("Variable.get('batch_job_queue')\n", None),
        ("config['batch_job_queue']\n", None),
        ("def f(op):\n    return op.job_id\n", None),
        ("def f(task: BatchOperator):\n    task.hook\n", "BatchJobOperator has no attribute hook"),
        ("def f(task: 'BatchOperator'):\n    task.hook\n", "BatchJobOperator has no attribute hook"),
        ("def f(task: Other):\n    task.hook\n", None),
        ("a, b = BatchOperator(task_id='a'), 1\na.arn, b.arn\n", "BatchJobOperator has no attribute arn"),
        ("[a, (b, c)] = 1, (BatchOperator(task_id='b'), 2)\na.arn, b.arn\n", "BatchJobOperator has no attribute arn"),
        ("a, *b = BatchOperator(task_id='a'), 1\na.arn, b.arn\n", "BatchJobOperator has no attribute arn"),
        (
            "def failed(context):\n    context['task'].job_id\n",
            "a task of BatchJobOperator has no attribute job_id; the job's id is in the XCom batch_job",
        ),
        ("task = context['task']\ntask.hook\n", "a task of BatchJobOperator has no attribute hook"),
        ("ti.task.job_definition\n", "a task of BatchJobOperator has no attribute job_definition; it is called"),
        ("context['task_instance'].task.tags\n", "a task of BatchJobOperator has no attribute tags; it is tags in"),
        ("context['dag'].tags, context['ti'].hook, dag.task.tags\n", None),
    ],
)
def test_what_a_task_had_is_found_by_any_road(rewrite: Rewrite, code: str, finding: str | None) -> None:
    """Attributes with their new name; XComs by key, by place and by index."""
    found = marked(rewrite(f"{IMPORT}op = BatchOperator(task_id='t')\n{code}"))

    assert [each.startswith(finding or "") for each in found] == [True] * (finding is not None)


def test_xcoms_of_a_class_that_is_left_are_not_gone(rewrite: Rewrite) -> None:
    """The provider's class goes on writing them."""
    code = f"{IMPORT}class Mine(BatchOperator): ...\nti.xcom_pull(task_ids='a', key='batch_job_details')\n"
    assert marked(rewrite(code)) == ["BatchOperator was left here: a subclass of it"]


PIECES = st.lists(st.sampled_from([None, "a", "b", ".", "ab", "b.a"]), min_size=1, max_size=6)


@given(PIECES, st.text("ab.", min_size=1, max_size=10))
def test_a_name_has_the_known_parts_of_a_text_in_their_order(parts: list[str | None], name: str) -> None:
    """As the pattern would have it that takes anything in the gaps."""
    pattern = "".join("[ab.]*" if part is None else re.escape(part) for part in parts)
    assert composed_texts._can_become(name, parts) == bool(re.fullmatch(pattern, name))


def test_a_text_of_many_gaps_takes_no_time() -> None:
    """There may be as many as a file has space for."""
    began = time.thread_time()
    assert composed_texts._can_become("airflow.providers.amazon" * 4, ["a", *[None, "a", None, "o"] * 1_000]) is False
    assert time.thread_time() - began < 0.05
