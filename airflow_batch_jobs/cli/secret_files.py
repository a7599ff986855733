"""Files with secrets: made once, for their owner alone, and never overwritten."""

from __future__ import annotations

import os
import re
import secrets
import stat
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pathlib import Path

_KEY = re.compile(r"\w{16,128}", re.ASCII)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def write_new(path: Path, text: str) -> None:
    """Write a file that only its owner can read.

    Raises:
        FileExistsError: There is one.
    """
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        try:
            file.write(text)
            file.flush()
        except OSError:
            path.unlink()
            raise


def kept_key(path: Path, option: str) -> str:
    """Return the access key in a file; a new one, which is in it then, if there is no such file.

    Args:
        path: The file.
        option: The option that names it.

    Raises:
        typer.BadParameter: The file is not for its owner alone, has no key in it, or cannot be read or written.
    """
    made = secrets.token_hex(16)
    try:
        write_new(path, f"{made}\n")
    except FileExistsError:
        return _read_key(path, option)
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be written: {error.strerror}.", param_hint=option) from error
    return made


def _read_key(path: Path, option: str) -> str:
    try:
        mode, key = path.stat().st_mode, path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        why = "it is a link to a file that is not there" if path.is_symlink() and not path.exists() else None
        why = why or getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise typer.BadParameter(f"{path} cannot be read: {why}.", param_hint=option) from error
    if mode & _OTHERS:
        raise typer.BadParameter(
            f"{path} is open to others, and whoever has the key can run commands here: `chmod 600 {path}`.",
            param_hint=option,
        )
    if not _KEY.fullmatch(key):
        raise typer.BadParameter(
            f"{path} has no access key in it: 16 to 128 letters and digits. Remove it for a new one.", param_hint=option
        )
    return key
