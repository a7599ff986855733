"""Registering the definitions of a folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.definition_files import read_folder, register_folder
from airflow_batch_jobs.errors import DefinitionError, RequestRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_batch_jobs.local.server import LocalAws


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., None]:
    """Write the file of a revision."""

    def write(name: str, revision: int, command: list[str] | None = None, **more: Any) -> None:
        resources = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}]
        container = {"image": "busybox", "command": command or ["true"], "resourceRequirements": resources}
        request = {"jobDefinitionName": name, "type": "container", "containerProperties": container, **more}
        (tmp_path / f"{name}.{revision}.json").write_text(json.dumps(request))

    return write


def test_revisions_are_registered_in_their_order(write: Callable[..., None], tmp_path: Path, aws: LocalAws) -> None:
    """Revision 10 comes after 9, and each gets the number that its file says."""
    for revision in range(1, 11):
        write("align", revision, ["echo", f"revision {revision}"])
    registered = register_folder(aws.clients(), tmp_path)

    assert registered == [f"align:{revision}" for revision in range(1, 11)]
    [newest] = aws.clients()("batch").describe_job_definitions(jobDefinitions=["align:10"])["jobDefinitions"]
    assert newest["containerProperties"]["command"] == ["echo", "revision 10"]


def test_a_program_is_taken_from_the_file_beside(write: Callable[..., None], tmp_path: Path) -> None:
    """`file://align.py` stands for the text of that file."""
    (tmp_path / "align.py").write_text("print('hi')\n")
    write("align", 1, ["python3", "-c", "file://align.py", "Ref::sample"])
    [align] = read_folder(tmp_path)

    assert align.request()["containerProperties"]["command"] == ["python3", "-c", "print('hi')\n", "Ref::sample"]


@pytest.mark.parametrize("name", ["missing.py", "../secret.py", "/etc/passwd"])
def test_a_program_must_stand_beside_its_definition(write: Callable[..., None], tmp_path: Path, name: str) -> None:
    """Only files of the folder itself are taken in."""
    write("align", 1, ["python3", "-c", f"file://{name}"])
    [align] = read_folder(tmp_path)

    with pytest.raises(DefinitionError, match="no such file beside it"):
        align.request()


@pytest.mark.parametrize("first", [3, 4312, 2**31 - 2])
def test_a_folder_may_begin_at_any_revision(
    write: Callable[..., None], tmp_path: Path, aws: LocalAws, first: int
) -> None:
    """As long as that takes no longer than beginning at 1, and with no older revision to be run."""
    write("align", first)
    write("align", first + 1)
    write("sort", 1)
    assert register_folder(aws.clients(), tmp_path) == [f"align:{first}", f"align:{first + 1}", "sort:1"]

    batch = aws.clients()("batch")
    every = batch.describe_job_definitions(jobDefinitionName="align")["jobDefinitions"]
    assert [each["revision"] for each in every] == [first + 1, first]
    assert aws.wait_for_status(*aws.submit(f"align:{first}"))["jobDefinition"].endswith(f"/align:{first}")
    for other in (1, first - 1, first + 2):
        with pytest.raises(RuntimeError, match="does not exist"):
            aws.submit(f"align:{other}")
    assert aws.register("align") == f"align:{first + 2}"
    assert len(aws.requests("RegisterJobDefinition")) == 3


def test_a_missing_revision_is_named(write: Callable[..., None], tmp_path: Path) -> None:
    """AWS counts revisions one by one, so a gap between the files cannot be registered."""
    write("align", 3)
    write("align", 1)

    with pytest.raises(DefinitionError, match=r"align\.3\.json but not align\.2\.json"):
        read_folder(tmp_path)


def test_a_number_that_aws_cannot_have_is_no_revision(write: Callable[..., None], tmp_path: Path) -> None:
    """A date in a file's name, say."""
    write("align", 20_261_123_060_000)

    with pytest.raises(DefinitionError, match=r"align\.20261123060000\.json .*: AWS counts up to 2,147,483,647"):
        read_folder(tmp_path)


def test_a_real_account_counts_from_one(write: Callable[..., None], tmp_path: Path, aws: LocalAws) -> None:
    """AWS takes no notice of where the files begin, and the message says what became of the first of them."""
    write("align", 3)
    aws.clients()("batch").register_job_definition(**read_folder(tmp_path)[0].request())

    with pytest.raises(DefinitionError, match="registered as revision 2: AWS counts from 1"):
        register_folder(aws.clients(), tmp_path)


def test_a_file_of_another_name_is_refused(write: Callable[..., None], tmp_path: Path) -> None:
    """The file's name and the definition's name say the same."""
    write("align", 1)
    (tmp_path / "align.1.json").rename(tmp_path / "other.1.json")
    [other] = read_folder(tmp_path)

    with pytest.raises(DefinitionError, match='"jobDefinitionName": "other"'):
        other.request()


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    """The message says which file it is."""
    (tmp_path / "align.1.json").write_text("{")
    [align] = read_folder(tmp_path)

    with pytest.raises(DefinitionError, match=r"align\.1\.json is not JSON"):
        align.request()


def test_nothing_is_registered_when_one_file_is_bad(write: Callable[..., None], tmp_path: Path, aws: LocalAws) -> None:
    """All files are read before the first is registered."""
    write("align", 1)
    (tmp_path / "broken.1.json").write_text("[]")

    with pytest.raises(DefinitionError, match=r"broken\.1\.json"):
        register_folder(aws.clients(), tmp_path)
    assert aws.requests("RegisterJobDefinition") == []


def test_a_definition_that_was_there_before_is_noticed(
    write: Callable[..., None], tmp_path: Path, aws: LocalAws
) -> None:
    """A revision that got another number than its file has would be run by mistake."""
    write("align", 1)
    register_folder(aws.clients(), tmp_path)

    with pytest.raises(DefinitionError, match="registered as revision 2"):
        register_folder(aws.clients(), tmp_path)


def test_what_aws_refuses_is_said_with_its_reason(write: Callable[..., None], tmp_path: Path, aws: LocalAws) -> None:
    """AWS's own message reaches the user, with the file that it is about."""
    write("align", 1, containerProperties={"image": "busybox"})

    with pytest.raises(RequestRefusedError, match="resource requirement") as raised:
        register_folder(aws.clients(), tmp_path)
    assert str(raised.value).endswith(f"The definition is in {tmp_path / 'align.1.json'}.")
    assert raised.value.action == "batch:RegisterJobDefinition"
