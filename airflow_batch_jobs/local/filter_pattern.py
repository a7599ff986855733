"""The `filterPattern` of FilterLogEvents: terms and phrases of unstructured log events.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html. AWS documents that patterns are
case sensitive, that every plain term must be in an event, no term after `-`, and one of those after `?`; that phrases,
and terms with other characters than letters, digits and `_`, are quoted. Not documented, and taken so here: a term is
found inside of a word, too; a backslash in a phrase stands before a quote or another backslash; `?` terms beside others
change nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

_TERM = re.compile(r'\s*([-?]?)(?:"((?:[^"\\]|\\.)+)"|(\w+))(?=\s|$)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
#: What JSON patterns, space-delimited patterns and regular expressions begin with.
_OTHER_SYNTAXES = {"{": "JSON", "[": "space-delimited", "%": "regular expression"}


@dataclass(frozen=True, slots=True)
class FilterPattern:
    """A filter pattern.

    Attributes:
        all_of: What an event must contain.
        any_of: What it must contain one of, if it need not contain, or not contain, anything else.
        none_of: What it must not contain.
    """

    all_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a pattern; an empty one matches everything.

        Raises:
            ValueError: It is none, or of a syntax that is not served.
        """
        text = text.strip()
        if text[:1] in _OTHER_SYNTAXES:
            raise ValueError(
                f"The local AWS does not support {_OTHER_SYNTAXES[text[0]]} patterns: use terms and phrases"
            )
        found: dict[str, list[str]] = {"": [], "?": [], "-": []}
        at = 0
        while at < len(text):
            match = _TERM.match(text, at)
            if match is None:
                raise ValueError(f"Invalid character(s) in term '{text[at:].split()[0]}'")
            sign, phrase, term = match.groups()
            found[sign].append(_ESCAPED.sub(r"\1", phrase) if phrase else term)
            at = match.end()
        return cls(tuple(found[""]), tuple(found["?"]), tuple(found["-"]))

    def matches(self, message: str) -> bool:
        """Tell whether a log event's message is one that is looked for."""
        if self.any_of and not self.all_of and not self.none_of:
            return any(term in message for term in self.any_of)
        return all(term in message for term in self.all_of) and not any(term in message for term in self.none_of)
