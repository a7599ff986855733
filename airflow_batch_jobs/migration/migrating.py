"""Migration: a DAG file that uses the Amazon provider's BatchOperator, rewritten as far as possible.

What cannot be decided from the file alone is left to a person, in a comment that begins with `MARK`. Everything else in
the file, including its comments and layout, stays.
"""

from __future__ import annotations

import difflib
import io
import os
import re
import tokenize
import warnings
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from airflow_batch_jobs.migration.composed_texts import SIGN
from airflow_batch_jobs.migration.counterparts import CLASSES, MODULES, OWN_LINK_KEYS
from airflow_batch_jobs.migration.dependants import Dependants
from airflow_batch_jobs.migration.names import Names
from airflow_batch_jobs.migration.notes import MARK, Notes
from airflow_batch_jobs.migration.provider_uses import ProviderUses
from airflow_batch_jobs.migration.revisions import Revisions
from airflow_batch_jobs.migration.rewriting import Rewriting
from airflow_batch_jobs.migration.values import Values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_batch_jobs.migration.neighbours import Look

#: The largest file that is read, in bytes; a larger one is no DAG's.
LARGEST_FILE = 1_000_000
#: What a file that is of any interest has in it.
_SIGNS = re.compile("|".join(rf"\b{re.escape(each)}\b" for each in sorted(CLASSES | MODULES)).encode() + b"|" + SIGN)
_OUR_SIGN = b"BatchJobOperator"
#: The keys of XComs that only BatchOperator writes.
_KEYS = re.compile(rb"[\"'](?:" + "|".join(sorted(OWN_LINK_KEYS)).encode() + rb")\\?[\"']")


class NotUnderstoodError(Exception):
    """A file that is left as it is.

    Args:
        why: Why.
        line: The line that shows it, from 1; None if there is none.
    """

    def __init__(self, why: str, line: int | None = None) -> None:
        super().__init__(why)
        self.line = line


class Finding(NamedTuple):
    """What a person has to do.

    Attributes:
        line: The line of the comment in the rewritten file, from 1.
        text: What is to be done.
    """

    line: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """What became of a file.

    Attributes:
        before: Its code.
        after: Its code after the migration.
        encoding: The file's encoding.
        rewritten: How many uses of the provider's classes were rewritten.
        stayed: What is said of each that was left.
        unpinned: The names of definitions that have no revision.
        pinned: The names of those whose revision was written in.
        remarks: What a person should know, though there is nothing to do.
    """

    before: str
    after: str
    encoding: str
    rewritten: int = 0
    stayed: tuple[str, ...] = ()
    unpinned: frozenset[str] = frozenset()
    pinned: frozenset[str] = frozenset()
    remarks: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether anything is to be rewritten."""
        return self.after != self.before

    def content(self) -> bytes:
        """Return what is to be in the file."""
        return self.after.encode(self.encoding)

    def findings(self) -> list[Finding]:
        """Return what is left for a person; also what an earlier migration left, as long as its comment is there."""
        lines = _lines_of_python(self.after)
        return [Finding(n, lines[n - 1].partition(MARK)[2].rstrip()) for n in sorted(_marked(self.after))]

    @property
    def left(self) -> int:
        """How many uses were left."""
        return len(self.stayed)

    def left_at(self) -> list[int]:
        """Return the lines, from 1, of the comments in the rewritten file that say of uses that they were left."""
        return [finding.line for finding in self.findings() if finding.text in self.stayed]

    def diff(self, name: str) -> bytes:
        """Return a unified diff, as `patch -p0` reads it, in the encoding of the file.

        Args:
            name: The file's name.
        """
        before, after = (_lines(each.encode(self.encoding).decode("latin-1")) for each in (self.before, self.after))
        latin_name = os.fsencode(name).decode("latin-1")
        lines = difflib.unified_diff(before, after, latin_name, latin_name)
        text = "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
        return text.encode("latin-1")


def migrate(source: bytes, pins: Mapping[str, int] | None = None, look: Look = lambda _: None) -> Migration:
    """Rewrite a DAG file.

    Rewrites the classes' imports, their calls, and `.partial(…).expand(…)`. Does not run the file: a subclass, or
    arguments that come from a dictionary, are left and marked.

    Args:
        source: The file's content.
        pins: Revisions by the names of definitions, for definitions that are written without one.
        look: Looks up the modules that the file imports, among the other files of the run.

    Raises:
        NotUnderstoodError: It is not a Python file, or one that cannot be rewritten.
    """
    encoding, code = _decoded(source)
    if not (_SIGNS.search(source) or _OUR_SIGN in source or _KEYS.search(source)):
        return Migration(before=code, after=code, encoding=encoding)
    if len(source) > LARGEST_FILE:
        raise NotUnderstoodError(f"it has more than {LARGEST_FILE:,} bytes")
    try:
        _compile(source)
        return _migrated(code, encoding, pins or {}, look)
    except SyntaxError as error:
        raise NotUnderstoodError(error.msg, error.lineno) from error
    except cst.ParserSyntaxError as error:
        raise NotUnderstoodError("libcst cannot read it", error.editor_line) from error
    except ValueError as error:
        raise NotUnderstoodError(str(error)) from error
    except (RecursionError, MemoryError) as error:
        raise NotUnderstoodError("it is nested too deeply") from error


def _decoded(source: bytes) -> tuple[str, str]:
    """Return the encoding of a file, and its text.

    Raises:
        NotUnderstoodError: It does not keep to its encoding, or that does not exist.
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        code = source.decode(encoding)
    except SyntaxError as error:
        raise NotUnderstoodError(error.msg) from error
    except (LookupError, UnicodeError) as error:
        raise NotUnderstoodError(str(error)) from error
    if code.encode(encoding) != source:
        raise NotUnderstoodError(f"its encoding, {encoding}, cannot be written as it was read")
    return encoding, code


def _compile(source: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compile(source, "<DAG>", "exec", dont_inherit=True)


def _migrated(code: str, encoding: str, pins: Mapping[str, int], look: Look) -> Migration:
    module = cst.parse_module(code)
    names = Names(module, look)
    values = Values(names)
    notes, revisions = Notes(names), Revisions(values, pins)
    uses = ProviderUses(names, values, revisions, notes)
    Dependants(names, uses, notes).look()
    rewriting = Rewriting(module, names, uses, revisions, notes)
    after = rewriting.code()
    if after == module.code:
        after = code
    elif code in {module.code, f"{module.code}\r"}:  # libcst drops a carriage return at the end
        after += code.removeprefix(module.code)
    else:
        raise NotUnderstoodError("libcst does not keep its layout: write a form feed on a line of its own")
    if notes.above:
        after = _without_repeats(after)
    if after != code:
        try:
            _compile(after.encode(encoding))
        except (SyntaxError, ValueError) as error:
            raise NotUnderstoodError(f"it cannot be rewritten: {error}") from error
    return Migration(
        before=code,
        after=after,
        encoding=encoding,
        rewritten=len(uses.calls),
        stayed=tuple(uses.stayed),
        unpinned=frozenset(revisions.unpinned),
        pinned=frozenset(revisions.used),
        remarks=tuple(notes.remarks),
    )


def _lines(text: str) -> list[str]:
    """Return the lines with their ends. Splits only at line feeds, as patch does."""
    return io.StringIO(text, newline="\n").readlines()


def _lines_of_python(text: str) -> list[str]:
    """Return the lines with their ends. Splits wherever Python does, also at carriage returns."""
    return io.StringIO(text, newline="").readlines()


def _marked(code: str) -> set[int]:
    """Return the numbers of the lines, from 1, that are a comment of ours; a text may have such lines as well."""
    if MARK not in code:
        return set()
    lines = _lines_of_python(code)
    marked = {number for number, line in enumerate(lines, start=1) if line.lstrip().startswith(MARK)}
    comments: set[int] = set()
    with suppress(SyntaxError, tokenize.TokenError):  # it may be no Python file
        for token in tokenize.generate_tokens(io.StringIO(code, newline=None).readline):
            if token.type == tokenize.COMMENT:
                comments.add(token.start[0])
    return marked & comments


def _without_repeats(code: str) -> str:
    """Return code without comments of ours that an earlier migration has left at the same place."""
    kept: list[str] = []
    seen: set[str] = set()
    marked = _marked(code)
    for number, line in enumerate(_lines_of_python(code), start=1):
        text = line.strip()
        if number in marked:
            if text in seen:
                continue
            seen.add(text)
        elif not text.startswith("#"):
            seen.clear()
        kept.append(line)
    return "".join(kept)
