"""migrate: whatever a file looks like, the rewritten one runs, and another run has nothing to add."""

from __future__ import annotations

import io
import sys
import tokenize
from contextlib import suppress
from textwrap import indent
from types import ModuleType
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_batch_jobs.migration import MARK, NotUnderstoodError, migrate
from airflow_batch_jobs.migration.counterparts import COUNTERPARTS, OURS

PINS = {"align": 7, "sort": 3, "p-a": 1}
NEW = "from airflow.providers.amazon.aws.operators.batch import"
OLD = "from airflow.contrib.operators.awsbatch_operator import"
#: The name of the class in these is OP.
IMPORTS = [
    f"{NEW} BatchOperator as OP",
    f"{NEW} (  # open\n    BatchOperator as OP,  # name\n)",
    f"{NEW} (  # open\n    Other,\n    # above\n    AwsBatchOperator as OP,  # name\n)  # close",
    f"{NEW} AwsBatchOperator as OP, Other; z = 1",
    f"{OLD} AWSBatchOperator as OP  # oldest",
    f"try:\n    {NEW} BatchOperator as OP\nexcept ImportError:\n    {OLD} AWSBatchOperator as OP",
    f"if y:\n    {NEW} BatchOperator as OP\nelse:\n    {OLD} AWSBatchOperator as OP",
    f"from airflow.providers.amazon.aws.operators import batch\n{NEW} BatchOperator as OP\nbatch.BatchOperator()",
    f"from airflow_batch_jobs import BatchJobOperator\n{NEW} BatchOperator as OP",
]
DEFINITIONS = [
    '"align"',
    '"align:1"',
    'f"{prefix}-a"',
    '"so" "rt"',
    "name",
    "'sort' if y else 'align:2'",
    "x['task_id']",
]
ARGUMENTS = {
    "job_name": "'j'",
    "overrides": "{'command': []}",
    "array_properties": "{\n    'size': 2,  # inner\n}",
    "tags": "None",
    "retry_strategy": "{'attempts': 3}",
    "max_retries": "4200",
    "wait_for_completion": "False",
    "retries": "1",
    "waiters": "x",
    "unheard_of": "1",
}
STATEMENTS = [
    "class Mine(OP): ...",
    "OP(**x)",
    "op.job_id",
    "def annotated(a: OP, b: 'OP | None' = None) -> None: ...",
    "@wrap(OP)\ndef decorated(): ...",
    "__all__ = ['OP']",
    "default_args = {**x, 'tags': {}}",
    f"def late():\n    {NEW} BatchOperator\n    return BatchOperator(task_id='l')\n\n\nlate()",
    "from airflow.providers.amazon.aws.sensors.batch import BatchSensor\nBatchSensor(job_id='j', poke_interval=3)",
    "if y: OP(task_id='o', job_definition='sort')",
    "if not y:\n    pass\nelif OP(**x):\n    # inside\n    OP(task_id='e', job_definition='align')",
    "OP.partial(task_id='p').expand(job_definition=['align', 'b:1', name])",
    "OP.partial(task_id='p')",
    "def run():\n    OP(task_id='r').execute({})",
    "text = '''\nOP(\n'''",
    "for each in [OP(task_id='f')]: each.job_id",
    "tasks = {'a': OP(task_id='d', job_definition='align')}\ntasks['b'] = op\n[each.tags for each in tasks.values()]",
    "def made(*, other=None):\n    return other or OP(task_id='m')\n\n\ngetattr(made(other=op), 'arn')",
]


class Task:
    """Stands for every class of operators."""

    made = 0

    def __init__(self, *_: object, **__: object) -> None:
        Task.made += 1

    def __getattr__(self, name: str) -> Any:
        return lambda **_: self

    @classmethod
    def partial(cls, **_: object) -> Task:
        """Stand for `.partial(…)`."""
        return cls()


@st.composite
def calls(draw: st.DrawFn) -> str:
    """A call with any arguments in any layout."""
    names = draw(st.lists(st.sampled_from(sorted(ARGUMENTS)), unique=True, max_size=6))
    arguments = ["task_id='t'", *(f"{name}={ARGUMENTS[name]}" for name in names)]
    arguments.insert(draw(st.integers(0, len(arguments))), f"job_definition={draw(st.sampled_from(DEFINITIONS))}")
    commas = [","] * (len(arguments) - 1) + [draw(st.sampled_from([",", ""]))]
    comments = [draw(st.sampled_from(["", "  # why", "\n# next"])) for _ in arguments]
    if draw(st.booleans()):
        return f"op = OP({' '.join(map(''.join, zip(arguments, commas, strict=True)))})"
    lines = "".join(f"{''.join(each)}\n" for each in zip(arguments, commas, comments, strict=True))
    return f"op = OP(\n{indent(lines, '    ')})"


@st.composite
def modules(draw: st.DrawFn) -> str:
    """A DAG file, or one with a function that makes a DAG."""
    imported = draw(st.sampled_from(IMPORTS))
    statements = draw(st.lists(st.one_of(calls(), st.sampled_from(STATEMENTS)), min_size=1, max_size=6))
    body = "\n".join([imported, "op = OP(task_id='first', job_definition='align:1')", *statements])
    body = body.replace("OP", draw(st.sampled_from(["BatchOperator", "Op"])))
    start = "# top\nx, y, name, prefix = {'task_id': 'x'}, True, 'align', 'p'\nwrap = lambda _: lambda other: other\n"
    if draw(st.booleans()):
        return f"{start}\n\ndef build():\n{indent(body, '    ')}\n\n\nbuild()\n".replace(
            "    ", draw(st.sampled_from(["\t", "  ", "    "]))
        )
    return start + body


def made_by(code: str) -> int:
    """Run a module where all operators are stand-ins; return how many tasks it makes."""
    stubs: dict[str, ModuleType] = {}
    for full_name in (*COUNTERPARTS, *OURS):
        *parents, name = full_name.split(".")
        for end in range(1, len(parents) + 1):
            module = ".".join(parents[:end])
            vars(stubs.setdefault(module, ModuleType(module))).update(__path__=[], Other=Task)
        setattr(stubs[".".join(parents)], name, Task)
    Task.made = 0
    with mock.patch.dict(sys.modules, stubs):
        exec(compile(code, "dag.py", "exec"), {"__name__": "dag"})  # noqa: S102 - generated above
    return Task.made


def comments_of(code: str) -> list[str]:
    """Return all comments but ours."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    return sorted(each.string for each in tokens if each.type == tokenize.COMMENT and MARK not in each.string)


@pytest.mark.long
@settings(max_examples=100, deadline=None)
@given(code=modules())
def test_a_generated_file_is_rewritten_once_and_runs(code: str) -> None:
    """It makes the same tasks, keeps its comments, and is finished whether the revisions come at once or later."""
    first = migrate(code.encode())
    again = migrate(first.after.encode())
    at_once = migrate(code.encode(), PINS)
    later = migrate(first.after.encode(), PINS)

    assert made_by(first.after) == made_by(code)
    assert comments_of(first.after) == comments_of(code)
    assert (again.after, again.rewritten) == (first.after, 0)
    assert again.findings() == first.findings()
    assert later.after == at_once.after
    assert not later.unpinned


@settings(max_examples=100, deadline=None)
@given(code=modules(), noise=st.text(max_size=30), at=st.integers(0, 400))
def test_a_damaged_file_is_rewritten_or_not_understood(code: str, noise: str, at: int) -> None:
    """What still compiles does so afterwards; of all else it is said that it stays as it is."""
    damaged = (code[:at] + noise + code[at:]).encode(errors="surrogatepass")
    with suppress(NotUnderstoodError):
        compile(migrate(damaged).after, "dag.py", "exec")
