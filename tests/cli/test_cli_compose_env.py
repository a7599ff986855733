"""`airflow-batch-jobs compose-env`: what it leaves alone, and what it says then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from airflow_batch_jobs.cli import app

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

EXAMPLE = "# A comment=\nSET=value\nSECRET=\nAIRFLOW_DEPLOYMENT=\n# AWS_ACCESS_KEY_ID=\n"


def compose_env(folder: Path) -> Result:
    """Run it."""
    return CliRunner().invoke(app, ["compose-env", str(folder)])


def test_what_has_a_value_and_what_is_commented_out_stays(tmp_path: Path) -> None:
    """Only empty settings are filled in."""
    (tmp_path / ".env.example").write_text(EXAMPLE)
    assert compose_env(tmp_path).exit_code == 0

    comment, set_to, secret, deployment, commented = (tmp_path / ".env").read_text().splitlines()
    assert [comment, set_to, commented] == ["# A comment=", "SET=value", "# AWS_ACCESS_KEY_ID="]
    assert len(secret.removeprefix("SECRET=")) == 64
    assert deployment.startswith("AIRFLOW_DEPLOYMENT=compose-")


@pytest.mark.parametrize("is_link", [False, True])
def test_an_env_that_is_there_is_never_overwritten(tmp_path: Path, *, is_link: bool) -> None:
    """Nor is what a link leads to: the database was made with its secrets."""
    (tmp_path / ".env.example").write_text(EXAMPLE)
    there = tmp_path / ("elsewhere" if is_link else ".env")
    there.write_text("SECRET=old\n")
    if is_link:
        (tmp_path / ".env").symlink_to(there)
    result = compose_env(tmp_path)

    assert result.exit_code == 1
    assert "is there already, and stays as it is" in result.stderr
    assert "docker compose down --volumes" in result.stderr
    assert there.read_text() == "SECRET=old\n"


def test_a_folder_without_an_example_is_named(tmp_path: Path) -> None:
    """And nothing is left in it."""
    result = compose_env(tmp_path)

    assert result.exit_code == 1
    assert f"{tmp_path / '.env.example'}: No such file" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_no_secret_is_shown(tmp_path: Path) -> None:
    """A terminal keeps what it has shown."""
    (tmp_path / ".env.example").write_text(EXAMPLE)
    result = compose_env(tmp_path)
    *_, secret = (line for line in (tmp_path / ".env").read_text().splitlines() if line.startswith("SECRET="))

    assert secret.removeprefix("SECRET=") not in result.stdout + result.stderr
    assert str(tmp_path / ".env") in result.stdout


def test_an_example_that_is_no_text_is_named(tmp_path: Path) -> None:
    """And nothing is made of it."""
    (tmp_path / ".env.example").write_bytes("PASSWORT_FÜR_DIE_DATENBANK=\n".encode("latin-1"))
    result = compose_env(tmp_path)

    assert result.exit_code == 1
    assert f"{tmp_path / '.env.example'} is not text in UTF-8" in result.stderr.replace("\n", "")
    assert not (tmp_path / ".env").exists()


@pytest.mark.parametrize("example", ["", "AIRFLOW_ADMIN_PASSWORD=\n"])
def test_the_password_is_pointed_to_where_there_is_one(tmp_path: Path, example: str) -> None:
    """Not in the .env of an example that has none."""
    (tmp_path / ".env.example").write_text(example)
    assert ("AIRFLOW_ADMIN_PASSWORD" in compose_env(tmp_path).stdout) is bool(example)
