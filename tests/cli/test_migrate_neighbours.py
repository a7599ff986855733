"""migrate: names that a file gets from another file of the same run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_batch_jobs.migration import MARK
from airflow_batch_jobs.migration.neighbours import Neighbours
from tests.cli.migrating import IMPORT, MODULE, OURS, SENSOR_IMPORT, marked, places, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Files = Callable[..., str]

OLDEST = "from airflow.contrib.operators.awsbatch_operator import AWSBatchOperator as BatchOperator\n"
USE = "BatchOperator(task_id='t')\n"
OUR_USE = "BatchJobOperator(task_id='t')\n"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Write files by their names, migrate them, and return what became of the last; a second run changes nothing."""

    def migrated(**code: str) -> str:
        paths = {tmp_path / f"{name}.py": text for name, text in code.items()}
        for path, text in paths.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        first = run(tmp_path, "--write")
        after = {path: path.read_text() for path in paths}
        second = run(tmp_path, "--write")
        assert {path: path.read_text() for path in paths} == after
        assert (second.exit_code, places(second)) == (first.exit_code, places(first))
        return after[next(reversed(paths))]

    return migrated


@pytest.mark.parametrize(
    "common",
    [
        IMPORT,
        f"from {MODULE} import *\n",
        f"try:\n    {IMPORT}except ImportError:\n    {OLDEST}",
        f"__all__ = ['BatchOperator']\n{IMPORT}",
        f"__all__ = [*others]\n{IMPORT}",
    ],
)
def test_all_names_of_another_file_are_known(files: Files, common: str) -> None:
    """The `import *` stays, and our class is imported behind it."""
    assert files(common=common, dag=f"from common import *\n{USE}") == f"from common import *\n{OURS}{OUR_USE}"


@pytest.mark.parametrize(
    ("imported", "use", "after"),
    [
        ("from common import BatchOperator", USE, f"{OURS}{OUR_USE}"),
        ("from common import BatchOperator as Op, other", "Op(task_id='t')\n", None),
        ("from common import *", "BatchOperator.partial(task_id='t').expand(parameters=x)\n", None),
    ],
)
def test_a_name_of_another_file_is_known(files: Files, imported: str, use: str, after: str | None) -> None:
    """It becomes ours where it is imported, and what else comes from there stays."""
    written = files(common=IMPORT, dag=f"{imported}\n{use}")

    assert MARK not in written
    assert "BatchJobOperator" in written
    assert after is None or written == after


def test_names_go_through_several_files(files: Files) -> None:
    """Of packages, by relative names, under other names; a circle ends."""
    dag = files(
        **{
            "base/init": f"{IMPORT.rstrip()} as Op\n{SENSOR_IMPORT}",
            "base/__init__": "from .init import *\nfrom .again import *\n",
            "base/again": "from . import *\n",
        },
        dag="from base import *\nOp(task_id='t')\nBatchSensor(task_id='s')\n",
    )

    assert dag == (
        "from base import *\nfrom airflow_batch_jobs import BatchJobOperator as Op, BatchJobSensor\n"
        "Op(task_id='t')\nBatchJobSensor(task_id='s')\n"
    ).replace("BatchJobOperator as Op, BatchJobSensor", "BatchJobSensor, BatchJobOperator as Op")


@pytest.mark.parametrize("last", [0, -1], ids=["a chain", "a circle"])
def test_files_may_import_from_each_other_at_any_length(tmp_path: Path, last: int) -> None:
    """What the first file of the line has is known in the last."""
    length = 500
    for number in range(length):
        other = f"from link_{number - 1} import *\n" if number else ""
        (tmp_path / f"link_{number}.py").write_text(other)
    (tmp_path / "link_0.py").write_text(f"from link_{length - 1} import *\n{IMPORT}" if last else IMPORT)
    look = Neighbours(tmp_path.iterdir()).seen_from(tmp_path / "dag.py")

    known = look(f"link_{length - 1}")
    assert known is not None
    assert known.names["BatchOperator"] == [f"{MODULE}.BatchOperator"]


def test_a_long_elif_hides_nothing(tmp_path: Path) -> None:
    """What another file imports in the last branch of many is known."""
    branches = "".join(f"elif x == {number}:\n    pass\n" for number in range(900))
    (tmp_path / "common.py").write_text(f"if x:\n    pass\n{branches}else:\n    {IMPORT}")
    known = Neighbours([tmp_path / "common.py"]).seen_from(tmp_path / "dag.py")("common")

    assert known is not None
    assert "BatchOperator" in known.names


def test_a_file_that_is_rewritten_itself_is_read_before(files: Files) -> None:
    """It no longer has the provider's class then, and who imports it from there has no use for it."""
    dag = files(common=f"{IMPORT}{USE}", dag=f"from common import *\n{USE}")
    assert dag == f"from common import *\n{OURS}{OUR_USE}"


@pytest.mark.parametrize(
    ("imported", "after"),
    [
        ("from common import *\n", f"from common import *\n{IMPORT}"),
        ("from common import BatchOperator\n", IMPORT),
        ("from common import BatchOperator as BatchOperator, x  # c\n", f"from common import x  # c\n{IMPORT}"),
    ],
)
@pytest.mark.parametrize("uses", ["BatchOperator(**x)\n", f"BatchOperator(**x)\n{USE}"])
def test_a_use_that_is_left_does_not_rely_on_the_other_file(files: Files, imported: str, after: str, uses: str) -> None:
    """That one no longer has the class if all its own uses are rewritten, so the file imports it from the provider."""
    dag = files(common=f"{IMPORT}{USE}", dag=f"{imported}{uses}")

    assert marked(dag) == ["BatchOperator was left here: not all arguments are given by name in the call"]
    assert dag.replace(OURS, "").startswith(after)
    assert (OURS in dag) == (OUR_USE in dag) == (USE in uses)


@pytest.mark.parametrize(
    "others",
    [
        {},
        {"common": "class Other: ...\n"},
        {"common": f"__all__ = ['x']\n{IMPORT}"},
        {"common": f"_{IMPORT}"},
        {"common": IMPORT, "dags/common": IMPORT},
    ],
    ids=["no file of the run", "without it", "not exported", "no Python", "two files"],
)
def test_a_name_that_may_be_from_anywhere_is_left(files: Files, others: dict[str, str]) -> None:
    """With what to do: nothing says what it is."""
    code = f"from common import *\n{USE}"
    finding = "BatchOperator may be from common: import it by name; then migrate again"

    assert files(**others, **{"dags/dag": code}) == code.replace("Batch", f"{MARK}{finding}\nBatch", 1)


def test_a_class_that_another_file_defines_is_named(files: Files) -> None:
    """It may be made of the provider's."""
    dag = files(common="class BatchOperator: ...\n", dag="from common import *\nBatchOperator(job_definition='a')\n")
    finding = "BatchOperator is common.BatchOperator, which was not looked into: if that is the provider's, import ours"
    assert marked(dag) == [finding]


@pytest.mark.parametrize("common", ["x = 1\n", IMPORT])
def test_a_class_that_the_file_defines_itself_is_its_own(files: Files, common: str) -> None:
    """Whatever the `import *` above it gives."""
    code = "from common import *\nclass BatchOperator: ...\nBatchOperator(job_definition='a')\n"
    assert files(common=common, dag=code) == code


def test_a_name_that_another_file_may_give_is_left(files: Files) -> None:
    """Where the file itself gives it a meaning only sometimes."""
    code = f"from common import *\nif x:\n    class BatchOperator: ...\n{USE}"
    assert marked(files(common=IMPORT, dag=code)) == [
        "BatchOperator was left here: BatchOperator may be something else here"
    ]


@given(
    content=st.binary(max_size=60) | st.text(st.characters(exclude_categories=["Cs"]), max_size=60).map(str.encode),
    module=st.text(alphabet="common._", max_size=8),
)
def test_any_file_can_be_a_neighbour(tmp_path_factory: pytest.TempPathFactory, content: bytes, module: str) -> None:
    """Whatever is in it, and by whatever name it is imported."""
    folder = tmp_path_factory.getbasetemp()
    (folder / "common.py").write_bytes(content)
    look = Neighbours([folder / "common.py", folder / "dag.py"]).seen_from(folder / "dag.py")

    assert all(found is None or not found.names for found in map(look, ("common", ".common", ".", "." * 50, module)))
