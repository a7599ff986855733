"""migrate: imports, uses of the class that are left, and what else depends on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_batch_jobs.migration import MARK
from tests.cli.migrating import IMPORT, MODULE, OUR_SENSOR, OURS, SENSOR_IMPORT, SENSORS, call, marked

if TYPE_CHECKING:
    from tests.cli.migrating import Rewrite


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("BatchOperator(task_id='t', **COMMON)", "not all arguments are given by name in the call"),
        ("BatchOperator('t', job_queue='q')", "not all arguments are given by name in the call"),
        (
            "BatchOperator.partial(task_id='t').expand_kwargs(x)",
            "not all arguments are given by name in the call",
        ),
        ("BatchOperator.partial(task_id='t').expand(tags=x)", "it maps tags; map submit_options with tags in it"),
        (
            "BatchOperator.partial(task_id='t').expand(max_retries=x)",
            "it maps max_retries, which BatchJobOperator does not take",
        ),
        ("part = BatchOperator.partial(task_id='t')", "partial and expand are not in one expression"),
        ("class Mine(BatchOperator): ...", "a subclass of it"),
        (
            "make(BatchOperator)",
            "it is passed to make; pass BatchJobOperator, and rename its arguments there, by hand",
        ),
        (
            "make(kind=BatchOperator, job_name='j')",
            "it is passed to make; pass BatchJobOperator, and rename its arguments there, by hand",
        ),
        (
            "make = functools.partial(BatchOperator, job_name='j')",
            "it is passed to functools.partial; pass BatchJobOperator, and rename the arguments, by hand",
        ),
        (
            "(lambda kind: kind())(BatchOperator)",
            "it is passed to a call; pass BatchJobOperator, and rename its arguments there, by hand",
        ),
        (
            "kinds = {'batch': BatchOperator}",
            "a use of it that is not a call; put BatchJobOperator here, and rename the arguments where it is called",
        ),
        (
            "cast(make(BatchOperator), x)",
            "it is passed to make; pass BatchJobOperator, and rename its arguments there, by hand",
        ),
        ("'BatchOperator'.cast()", "a text that names it"),
        ("isinstance(x, BatchOperator)", "a use of it that is not a call; check for BatchJobOperator as well"),
    ],
)
def test_what_cannot_be_rewritten_is_left_and_marked(rewrite: Rewrite, statement: str, why: str) -> None:
    """It goes on with the provider's class, and the comment says why it was left."""
    assert rewrite(f"{IMPORT}{statement}\n") == f"{IMPORT}{MARK}BatchOperator was left here: {why}\n{statement}\n"


def test_a_file_may_go_on_with_both(rewrite: Rewrite) -> None:
    """Where one use is left and another rewritten, both classes are imported, also under another name."""
    imported = IMPORT.replace("BatchOperator", "BatchOperator as Op, BatchClient")
    uses = "Op(task_id='a')\nOp(**x)\n"

    assert rewrite(imported + uses) == (
        f"{imported}{OURS}BatchJobOperator(task_id='a')\n"
        f"{MARK}BatchOperator was left here: not all arguments are given by name in the call\nOp(**x)\n"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"{IMPORT.rstrip()} as Op\nOp(task_id='t')\n", f"{OURS.rstrip()} as Op\nOp(task_id='t')\n"),
        (
            f"{IMPORT.rstrip()}, BatchX\nBatchX, BatchOperator(task_id='t')\n",
            f"{IMPORT.replace('BatchOperator', 'BatchX')}{OURS}BatchX, BatchJobOperator(task_id='t')\n",
        ),
        (
            "from airflow.providers.amazon.aws.operators import batch\nbatch.BatchOperator(task_id='t')\n",
            f"{OURS}BatchJobOperator(task_id='t')\n",
        ),
        (
            "from airflow.providers.amazon.aws.operators import batch, s3\nbatch.BatchOperator(task_id='t')\n",
            "from airflow.providers.amazon.aws.operators import s3\n" + OURS + "BatchJobOperator(task_id='t')\n",
        ),
        (
            "import airflow.providers.amazon.aws.operators.batch as b\nb.BatchOperator(task_id='t')\nb.X()\n",
            f"import airflow.providers.amazon.aws.operators.batch as b\n{OURS}BatchJobOperator(task_id='t')\nb.X()\n",
        ),
        (
            "import airflow.providers.amazon.aws.operators.batch as b\nb.BatchOperator(task_id='t')\n",
            f"{OURS}BatchJobOperator(task_id='t')\n",
        ),
        (
            f"import {SENSORS}\n{SENSORS}.BatchSensor()\n",
            f"import {SENSORS}\n{OUR_SENSOR}BatchJobSensor()\n",
        ),
        (
            f"def f() -> None:\n    {IMPORT}    BatchOperator(task_id='t')\n",
            f"def f() -> None:\n    {OURS}    BatchJobOperator(task_id='t')\n",
        ),
        (
            f"def f(): {IMPORT.rstrip()}, X; BatchOperator(task_id='t')\n",
            f"def f(): {IMPORT.rstrip()[: -len('BatchOperator')]}X; {OURS.rstrip()}; BatchJobOperator(task_id='t')\n",
        ),
        (
            f"{IMPORT}def f(x: list[BatchOperator]) -> BatchOperator | None:\n    return BatchOperator()\n",
            f"{OURS}def f(x: list[BatchJobOperator]) -> BatchJobOperator | None:\n    return BatchJobOperator()\n",
        ),
        (f"{OURS}{IMPORT}BatchOperator(task_id='t')\n", f"{OURS}BatchJobOperator(task_id='t')\n"),
        (
            f"import {SENSORS} as s\ns.BatchSensor(task_id='t')\nprint(s)\n",
            f"import {SENSORS} as s\n{OUR_SENSOR}BatchJobSensor(task_id='t')\nprint(s)\n",
        ),
    ],
)
def test_imports_of_all_kinds(rewrite: Rewrite, before: str, after: str) -> None:
    """Aliases, modules, imports in functions, beside what stays the provider's."""
    assert rewrite(before) == after


@pytest.mark.parametrize(
    ("below", "rest"),
    [
        (OURS, ""),
        (OURS.replace("airflow_batch_jobs", "airflow_batch_jobs.operators"), ""),
        (OURS.replace("BatchJobOperator", "BatchJobOperator, BatchJobSensor"), OUR_SENSOR),
        (OURS.replace("\n", "  # ours\n"), OURS.replace("\n", "  # ours\n")),
    ],
)
@pytest.mark.parametrize(
    ("imported", "name"),
    [
        (IMPORT, "BatchOperator"),
        (f"import {MODULE} as b\n", "b.BatchOperator"),
        (f"from {MODULE.removesuffix('.batch')} import batch\n", "batch.BatchOperator"),
    ],
)
def test_our_import_further_down_goes(rewrite: Rewrite, imported: str, name: str, below: str, rest: str) -> None:
    """Ours is needed where the provider's stood, and not again; a comment keeps its line."""
    use = f"{name}(task_id='t')\n"
    assert rewrite(f"{imported}{use}{below}") == f"{OURS}BatchJobOperator(task_id='t')\n{rest}"


def test_what_a_person_mended_leaves_one_import(rewrite: Rewrite) -> None:
    """The first run imports both classes; the second one, after the use that was left is mended, only ours."""
    first = rewrite(f"{IMPORT}BatchOperator(task_id='a')\nBatchOperator(**x)\n")
    mended = "".join(each for each in first.splitlines(keepends=True) if MARK not in each).replace("**x", "task_id='b'")

    assert rewrite(mended) == f"{OURS}BatchJobOperator(task_id='a')\nBatchJobOperator(task_id='b')\n"


@pytest.mark.parametrize(
    ("code", "finding"),
    [
        (IMPORT, "BatchOperator is imported but not used here: check who imports it from here"),
        (IMPORT.replace("BatchOperator", "*"), "import by name what you use from this module; then migrate again"),
        (
            f"{IMPORT}class BatchJobOperator: ...\nBatchOperator(task_id='t')\n",
            "BatchOperator was left here: another BatchJobOperator is defined in this file",
        ),
        (
            f"{IMPORT}def f(x: BatchOperator): ...\n",
            None,
        ),
        (
            f"{call()}default_args = {{'awslogs_enabled': True}}\n",
            "default_args: awslogs_enabled is called copy_logs in BatchJobOperator",
        ),
        (
            f"{call()}DAG(default_args={{'tags': {{}}}})\n",
            "default_args: tags is tags in the submit_options of BatchJobOperator",
        ),
        (
            f"{call()}DAG(default_args={{'status_retries': 1}})\n",
            "default_args: BatchJobOperator takes no status_retries",
        ),
        (f"{call()}DAG(default_args={{'job_queue': 'q', 'deferrable': True}})\n", None),
        (
            f"{IMPORT}op = BatchOperator(task_id='t')\nprint(op.job_id)\n",
            "BatchJobOperator has no attribute job_id; the job's id is op.output",
        ),
        (
            f"{IMPORT}op = BatchOperator.partial(task_id='t').expand(job_queue=x)\nop.tags\n",
            "BatchJobOperator has no attribute tags",
        ),
        (f"{IMPORT}op = BatchOperator(task_id='t')\nop.job_queue, op.output, other.job_id\n", None),
        (f"{IMPORT}op: Any = BatchOperator(task_id='t')\nop.hook\n", "BatchJobOperator has no attribute hook"),
        (f"{IMPORT}op = BatchOperator(**x)\nop.job_id\n", "BatchOperator was left here: not all arguments"),
        (f"{SENSOR_IMPORT}op = BatchSensor(task_id='t')\nop.job_id, op.output\n", None),
        (f"{SENSOR_IMPORT}BatchSensor(task_id='t', mode=MODE)\n", 'make sure that mode= is not "reschedule"'),
        (f"{call()}ti.xcom_pull(task_ids='t', key='batch_job_details')\n", "this XCom is gone"),
        (f"{call()}x = \"{{{{ ti.xcom_pull('t', key='cloudwatch_events') }}}}\"\n", "this XCom is gone"),
        (f"{call()}x = f\"{{y}}{{{{ ti.xcom_pull('t', key='batch_job_queue') }}}}\"\n", "this XCom is gone"),
        (f"{call()}x = \"{{{{ ti.xcom_pull('t') }}}}\"\nf(key='other')\n", None),
    ],
)
def test_what_else_depends_on_the_class_is_marked(rewrite: Rewrite, code: str, finding: str | None) -> None:
    """Imports for others, default arguments, attributes and XComs that the provider's class had are found."""
    found = marked(rewrite(code))

    assert len(found) == (finding is not None)
    assert all(each.startswith(finding or "") for each in found)


def test_an_annotation_beside_what_is_left_is_marked(rewrite: Rewrite) -> None:
    """It is unclear which of the two classes it means."""
    code = f"{IMPORT}def f(x: BatchOperator): ...\nBatchOperator(**y)\n"

    assert marked(rewrite(code)) == [
        "BatchOperator is still used in this file, so this annotation was left",
        "BatchOperator was left here: not all arguments are given by name in the call",
    ]
