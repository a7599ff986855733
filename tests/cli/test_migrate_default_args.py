"""migrate: default arguments, in every spelling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.migrating import SENSOR_IMPORT, call, marked, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.migrating import Rewrite

FINDING = "default_args: awslogs_enabled is called copy_logs in BatchJobOperator"


@pytest.mark.parametrize(
    "code",
    [
        "DAG(default_args={'awslogs_enabled': True})",
        "DAG(default_args=dict(awslogs_enabled=True))",
        "DAG(default_args=dict([('awslogs_enabled', True)], retries=1))",
        "@dag(default_args={'awslogs_enabled': True})\ndef f(): ...",
        "with TaskGroup('g', default_args={'awslogs_enabled': True}): ...",
        "default_args = {'awslogs_enabled': True}",
        "DEFAULT_ARGS: dict[str, object] = {'awslogs_enabled': True}",
        "dag.default_args = {'awslogs_enabled': True}",
        "COMMON = {'awslogs_enabled': True}\nDAG(default_args=COMMON)",
        "COMMON = {'awslogs_enabled': True}\nOTHER = COMMON\nDAG(default_args=OTHER)",
        "COMMON = {'awslogs_enabled': True}\nDAG(default_args={**COMMON, 'retries': 1})",
        "COMMON = {'awslogs_enabled': True}\nDAG(default_args=dict(COMMON, retries=1))",
        "COMMON = {'awslogs_enabled': True}\nDAG(default_args=dict(**COMMON))",
        "COMMON = {'awslogs_enabled': True}\nDAG(default_args=COMMON | {'retries': 1})",
        "COMMON = {'awslogs_enabled': True}\nDAG(default_args=COMMON.copy())",
        "COMMON = {'awslogs_enabled': True}\nDAG(default_args=copy.deepcopy(COMMON))",
        "COMMON = {'awslogs_enabled': True}\nDAG(default_args=COMMON if X else {})",
        "COMMON = {}\nCOMMON['awslogs_enabled'] = True\nDAG(default_args=COMMON)",
        "COMMON = {}\nCOMMON.update(awslogs_enabled=True)\nDAG(default_args=COMMON)",
        "COMMON = {}\nCOMMON.update({'awslogs_enabled': True})\nDAG(default_args=COMMON)",
        "COMMON = {}\nCOMMON.setdefault('awslogs_enabled', True)\nDAG(default_args=COMMON)",
        "COMMON = {}\nCOMMON |= {'awslogs_enabled': True}\nDAG(default_args=COMMON)",
        "ARGUMENTS = {'default_args': {'awslogs_enabled': True}}\nDAG(**ARGUMENTS)",
        "DAG(**dict(default_args={'awslogs_enabled': True}))",
        "def f():\n    common = {'awslogs_enabled': True}\n    DAG(default_args=common)",
    ],
)
def test_default_args_are_found_however_they_are_spelled(rewrite: Rewrite, code: str) -> None:
    """Airflow silently ignores a key that has another name here."""
    assert marked(rewrite(f"{call()}{code}\n")) == [FINDING]


@pytest.mark.parametrize(
    "code",
    [
        "DAG(default_args={'retries': 1, 'job_queue': 'q'})",
        "OTHER = {'awslogs_enabled': True}\nDAG(default_args={})",
        "COMMON = {'a': 1}\n\n\ndef f():\n    COMMON = {'awslogs_enabled': True}\n\n\nDAG(default_args=COMMON)",
        "default_args = default_args",
        "DAG(default_args=None)",
    ],
)
def test_other_dictionaries_are_no_default_args(rewrite: Rewrite, code: str) -> None:
    """A key that stays, another variable, and another scope's variable of the same name are no matter."""
    assert not marked(rewrite(f"{call()}{code}\n"))


def test_default_args_of_a_sensor(rewrite: Rewrite) -> None:
    """They are looked at with the eyes of the classes that the file uses."""
    code = f"{SENSOR_IMPORT}BatchSensor(task_id='t', job_id='j')\nDAG(default_args={{'poke_interval': 1, 'tags': 1}})\n"

    assert marked(rewrite(code)) == ["default_args: poke_interval is called poll_interval in BatchJobSensor"]


@pytest.mark.parametrize(
    "source", ["from common import DEFAULTS\nDAG(default_args=DEFAULTS)", "DAG(default_args=make())"]
)
def test_default_args_from_elsewhere_are_mentioned(dag_file: Path, source: str) -> None:
    """They are not looked into; only a call that needs something of them is left to a person."""
    dag_file.write_text(f"{call()}{source}\n")
    result = run(dag_file, "--write")
    needy = call().replace(' job_definition="a:1",', "")
    dag_file.write_text(f"{needy}{source}\n")

    assert result.exit_code == 0
    assert "default_args are also from " in result.stderr
    assert "there is no definition= here: make sure that default_args has it, by that name" in run(dag_file).stderr
