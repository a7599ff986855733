"""Signs: what texts of AWS's look like, and what they mean.

AWS documents few of its texts: they were collected from its user guides, from the source of the ECS agent, and from
what people report. A text that no sign fits is shown as it is: a wrong diagnosis is worse than none. So a sign names
the stage that failed and what went wrong in it, and nothing that a user named (a path, an image, a command, an ARN)
takes part in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.excerpt import excerpt

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from airflow_batch_jobs.batch.cause import Cause, Outlook

#: In how many characters of a text signs are looked for: more than AWS writes.
_LENGTH = 4_096
#: What stands in a text for what a user named.
_HIDDEN = "…"
_QUOTES = "\"'`\u2018\u2019\u201c\u201d"
_MARKS = _QUOTES + "\\.,:;()[]{}<>"
#: A container's command, which may be a whole sentence: `exec: \"run.sh --all\"`.
_COMMAND = re.compile(r'exec: \\*"[^"]*"')
#: Words of AWS's that have a slash, as paths have: `i/o`, `0/6` nodes.
_OWN_WORDS = re.compile(r"i/o|net/http|/sys/fs/cgroup|[0-9]+/[0-9]+\Z")
#: An image with its tag or digest: no word of AWS's reads like it.
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._-]*(?=[:@])(?::\w[\w.-]*)?(?:@\w+:\w+)?")
#: Where AWS writes a name without quotes: behind one of these words, and at the end of a clause or before one of those.
_BEFORE_A_NAME = frozenset({"for", "image", "repository", "ref", "reference", "container"})
_BEHIND_A_NAME = frozenset({"not", "was", "exceeded", "is", "does"})


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a sign tells an engineer on call.

    Both sentences may contain `{container}`, `{memory}` and `{timeout}`.

    Attributes:
        cause: The kind of cause.
        outlook: What becomes of the job if it is run again.
        summary: What happened, without a full stop.
        remedy: One sentence on what to do.
    """

    cause: Cause
    outlook: Outlook
    summary: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Sign:
    """A text of AWS's and its meaning."""

    pattern: re.Pattern[str]
    meaning: Meaning


def meaning_of(signs: Iterable[Sign], text: str, names: Collection[str] = ()) -> Meaning | None:
    """Return the meaning of the first sign found in a text; None where there is none.

    Args:
        signs: The surer ones first.
        text: What AWS says.
        names: What the job's user named and the text may repeat: images, containers.
    """
    if not text:
        return None
    looked_at = _without_names(excerpt(text, _LENGTH), names)
    return next((sign.meaning for sign in signs if sign.pattern.search(looked_at)), None)


def sign(cause: Cause, outlook: Outlook, pattern: str, summary: str, remedy: str) -> Sign:
    """Return a sign; its pattern is looked for anywhere in a text, whatever the case of its letters."""
    return Sign(re.compile(pattern, re.IGNORECASE | re.DOTALL), Meaning(cause, outlook, summary, remedy))


def then(first: str, later: str) -> str:
    """Return the pattern of a text that is followed, however far behind, by another.

    Looks for the second one behind the first place of the first alone, so that the time grows with the text and no
    faster.
    """
    return rf"\A(?>.*?(?:{first})).*(?:{later})"


def _without_names(text: str, names: Collection[str]) -> str:
    """Hide the words of a text that a user chose: paths, images, URLs, ARNs, commands, and single words in quotes.

    A name is one only where AWS writes names: a job may be called as one of AWS's own words is.
    """
    words = _COMMAND.sub(f'exec: "{_HIDDEN}"', text).split()
    around = zip(["", *words], words, [*words[1:], ""], strict=False)
    return " ".join(_hidden(word, names, before.lower(), behind.lower()) for before, word, behind in around)


def _hidden(word: str, names: Collection[str], before: str, behind: str) -> str:
    core = word.strip(_MARKS)
    is_quoted = word.lstrip("\\")[:1] in _QUOTES and word.rstrip("\\.,:;()")[-1:] in _QUOTES
    is_path = "/" in core and not _OWN_WORDS.match(core)
    is_name = core in names and (_IMAGE.fullmatch(core) or _is_at_a_name(word, before, behind))
    if core and (is_quoted or is_path or is_name or core.startswith(("arn:", "sha256:"))):
        return word.replace(core, _HIDDEN)
    return word


def _is_at_a_name(word: str, before: str, behind: str) -> bool:
    """Tell whether a word stands where AWS writes names."""
    ends = not behind or word[-1] in _MARKS or behind in _BEHIND_A_NAME
    return (before in _BEFORE_A_NAME and ends) or (before in {"no", "the"} and behind == "image")
