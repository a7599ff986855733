"""`compose-env`: the `.env` of docker-compose.yaml, with secrets of its own."""

from __future__ import annotations

import base64
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_batch_jobs.cli import console
from airflow_batch_jobs.cli.secret_files import write_new

if TYPE_CHECKING:
    from collections.abc import Callable

#: A setting that has no value yet.
_EMPTY = re.compile(r"^([A-Z][A-Z0-9_]*)=$", re.MULTILINE)
_PASSWORD = "AIRFLOW_ADMIN_PASSWORD"  # noqa: S105 - the name of a setting
#: What has another form than a secret of 32 bytes as hexadecimal digits.
_FORMS: dict[str, Callable[[], str]] = {
    "AIRFLOW_DEPLOYMENT": lambda: f"compose-{secrets.token_hex(4)}",
    "AIRFLOW_FERNET_KEY": lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
}


def compose_env(
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="Where docker-compose.yaml and .env.example are.")
    ] = Path(),
) -> None:
    """Make the .env of docker-compose.yaml, with new secrets.

    Fills in what is empty in .env.example, and leaves the rest. Only you can read the file. One that is there already
    stays as it is: its secrets are those of the database.

        airflow-batch-jobs compose-env && docker compose up --build --detach

    Exit codes:

        0  the file is made
        1  there is one already, or it cannot be made
        2  the command line is wrong
    """
    with console.errors_told():
        path, example = folder / ".env", folder / ".env.example"
        try:
            text = _EMPTY.sub(lambda match: match[0] + _secret(match[1]), example.read_text(encoding="utf-8"))
            write_new(path, text)
        except FileExistsError as error:
            console.complain(
                f"{path} is there already, and stays as it is. For new secrets, first delete what was made with the "
                "old ones: `docker compose down --volumes`, then the file."
            )
            raise typer.Exit(console.FAILED) from error
        except OSError as error:
            console.complain(
                f"{error.filename}: {error.strerror}. Name the folder of docker-compose.yaml and .env.example: a clone "
                "of this package."
            )
            raise typer.Exit(console.FAILED) from error
        except UnicodeDecodeError as error:
            console.complain(f"{example} is not text in UTF-8: use the one from a clone of this package.")
            raise typer.Exit(console.FAILED) from error
        password = f" The password of the user admin is in it: {_PASSWORD}." if f"{_PASSWORD}=" in text else ""
        console.say(f"Wrote {path}.{password}")


def _secret(name: str) -> str:
    return _FORMS[name]() if name in _FORMS else secrets.token_hex(32)
