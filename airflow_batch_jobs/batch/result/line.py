"""The line of a log that hands a result over, and the pieces that a log driver made of a long one."""

from __future__ import annotations

import json
import math
import re
from itertools import accumulate
from typing import TYPE_CHECKING, NoReturn

from airflow_batch_jobs.batch.excerpt import excerpt

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What the line begins with.
MARK = "batch-job-result:"
#: Finds it, and whatever else has these words, on CloudWatch's side.
FILTER_PATTERN = f'"{MARK}"'
#: The longest result, in bytes of UTF-8. The log driver makes at most a few pieces of it.
MOST_BYTES = 256 * 1024
#: docker splits a line that is longer, so a piece that is not the last one has this many bytes or, where a character
#: was not to be split, up to three less.
PIECE_BYTES = 16 * 1024 - 3
#: The most characters of a number that a message shows.
_LONGEST_NUMBER = 40
#: What a line has before, between and after its parts that is not to be seen: blanks, a byte-order mark, colours.
_UNSEEN = re.compile(r"(?:\s|\ufeff|\x1b\[[0-?]*[ -/]*[@-~])*")
#: In place of bytes that are no UTF-8.
_REPLACED = "\ufffd"


class NoJsonError(ValueError):
    """What follows the mark is not JSON; the message says why."""


def after_mark(message: str) -> str | None:
    """Return what a line hands over; None for a line that does not begin with the mark."""
    start = _seen_from(message)
    return message[start + len(MARK) :] if message.startswith(MARK, start) else None


def is_cut(piece: str) -> bool:
    """Tell whether a line is so long that a log driver may have split it after this piece."""
    return len(piece.encode("utf-8", "replace")) >= PIECE_BYTES


def json_of(pieces: Sequence[str]) -> str:
    """Return the JSON that is at the beginning of a line's pieces, and ends where one of them does.

    Raises:
        NoJsonError: There is none.
    """
    text = "".join(pieces)
    start = _seen_from(text)
    try:
        _, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        raise NoJsonError(_why(error, text)) from error
    if _seen_from(text, end) < len(text) and end not in accumulate(map(len, pieces)):
        raise NoJsonError(f"more follows its end at character {end - start}")
    if _REPLACED in text[start:end]:
        raise NoJsonError("it has U+FFFD, so it was not written as UTF-8; let the library escape what is not ASCII")
    return text[start:end]


def _seen_from(text: str, start: int = 0) -> int:
    found = _UNSEEN.match(text, start)
    return found.end() if found else start


def _why(error: Exception, text: str) -> str:
    if isinstance(error, json.JSONDecodeError):
        if not text[error.pos :].strip() or error.msg.startswith("Unterminated"):
            return "it ends too early"
        return f"{error.msg[:1].lower()}{error.msg[1:]} at character {error.pos}"
    return "it is nested too deep" if isinstance(error, RecursionError) else str(error)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number in JSON")


def _finite(text: str) -> float:
    """Read a number; one such as 1e400 is more than a float can be, and would come out as Infinity."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{excerpt(text, _LONGEST_NUMBER)} is too large for a number")
    return number


def _whole(text: str) -> int:
    """Read a whole number; Python refuses one of thousands of digits with advice for programmers."""
    try:
        return int(text)
    except ValueError as error:
        digits = f"{len(text):,} digits"
        raise ValueError(f"{excerpt(text, _LONGEST_NUMBER)} is too large for a number ({digits})") from error


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite, parse_int=_whole)
