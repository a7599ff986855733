"""Reference: how a text refers to a job definition in AWS, and which names AWS accepts."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

from airflow_batch_jobs.errors import DefinitionError

#: The longest name that AWS accepts for a job or a job definition, in characters.
NAME_LIMIT = 128
#: The rule for names in words, for errors.
NAME_RULE = f"a name has 1 to {NAME_LIMIT} letters, digits, hyphens and underscores and begins with a letter or digit"
#: A name that is to be unique ends in this many random digits.
RANDOM_DIGITS = 6
#: A revision has no more digits: AWS counts in 32 bits.
_MOST_DIGITS = 10
_NAME = rf"[0-9A-Za-z][0-9A-Za-z_-]{{0,{NAME_LIMIT - 1}}}"
_ARN = re.compile(
    rf"(?P<base>arn:aws[a-z-]*:batch:[a-z0-9-]+:[0-9]{{12}}:job-definition/(?P<name>{_NAME}))"
    r"(?::(?P<revision>.*))?",
    re.DOTALL,
)
_REFERENCE = re.compile(rf"(?P<base>(?P<name>{_NAME}))(?::(?P<revision>.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference to a job definition: `name`, `name:revision`, or an ARN with or without a revision.

    Attributes:
        name: The definition's name.
        revision: The pinned revision, a whole number from 1; None if the text has none.
        arn: The text itself if it is an ARN.
    """

    name: str
    revision: int | None = None
    arn: str | None = None

    @property
    def base(self) -> str:
        """The text without the revision: the name, or the ARN up to it."""
        if self.arn is None:
            return self.name
        return self.arn if self.revision is None else self.arn.rpartition(":")[0]

    def __str__(self) -> str:
        return self.name if self.revision is None else f"{self.name}:{self.revision}"


def parse_reference(text: str) -> Reference:
    """Read `name`, `name:revision` or the ARN of a job definition.

    Args:
        text: What names the job definition.

    Raises:
        DefinitionError: The text is none of these, or its revision is not a whole number from 1.
    """
    as_arn = _ARN.fullmatch(text)
    match = as_arn or _REFERENCE.fullmatch(text)
    if match is None:
        raise DefinitionError(
            f"{text!r} does not name a job definition. Write `name:revision`, or the ARN with its revision; "
            f"{NAME_RULE}."
        )
    found = match.groupdict()
    revision = None if found["revision"] is None else as_revision(found["revision"], of=found["name"])
    if as_arn is None:
        return Reference(found["name"], revision)
    return Reference(found["name"], revision, found["base"] if revision is None else f"{found['base']}:{revision}")


def as_revision(value: object, *, of: str) -> int:
    """Return a revision as a number.

    Args:
        value: A whole number from 1, or its digits.
        of: The definition's name, for the error.

    Raises:
        DefinitionError: The value is anything else, such as `latest`, 0 or True.
    """
    digits = isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= _MOST_DIGITS
    number = int(value) if isinstance(value, str) and digits else value
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise DefinitionError(
            f"Job definition {of!r}: {value!r} is not a revision. A revision is a whole number from 1, such as 7; "
            "words like 'latest' are not accepted, since what they mean changes under a running DAG."
        )
    return number


def legal_name(text: str, limit: int = NAME_LIMIT) -> str:
    """Make a name that AWS accepts for a job from any text.

    What AWS does not accept becomes `-`, except at the start, where it is left out. The name has at most `limit`
    characters. If nothing is left, it is `job`.

    Args:
        text: Any text.
        limit: The most characters that it may have.
    """
    return re.sub(r"[^0-9A-Za-z_-]", "-", text).lstrip("-_")[:limit] or "job"[:limit]


def unique_name(text: str) -> str:
    """Add six random hexadecimal digits to a name, so that no other job has it; what is too long for them is cut."""
    return f"{legal_name(text, NAME_LIMIT - RANDOM_DIGITS - 1)}-{secrets.token_hex(RANDOM_DIGITS // 2)}"


def require_legal_name(text: str) -> str:
    """Return the text if AWS accepts it as a job definition's name.

    Raises:
        DefinitionError: AWS does not.
    """
    if re.fullmatch(_NAME, text) is None:
        raise DefinitionError(f"{text!r} is not a legal name for a job definition: {NAME_RULE}.")
    return text
