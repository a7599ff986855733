"""LogEvent: one line of a job's log, as it is and in a form fit to print."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: `LogEvent.text` shows at most this many characters: more than anyone reads, and far below CloudWatch's 1 MB.
LONGEST_TEXT = 65_536

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime.max.replace(tzinfo=UTC) - _EPOCH
_MICROSECONDS = 1_000  # in a millisecond
_FIRST_LATE = 500
#: What no printed line may contain: C0 except tab and newline, DEL, C1, and lone surrogates, which no encoder accepts.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
#: What moves the cursor within its line, or erases a part of the line.
_MOVE = re.compile(r"(\r+|\x08+|\x1b\[[0-9]{0,9}[CDGK])")
#: Escape sequences; each alternative stops at the next introducer, so the time grows with the text and no faster. Of
#: the characters U+0080 to U+009F, of which a text that was encoded twice is full, only one before a colour counts, and
#: not after another character of such a text.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*(?:[@-~]|$)"  # CSI: colours, cursor moves; also one that the line's end cut short
    r"|(?<![\x80-\xff])\x9b[0-9;]+m"  # a colour, introduced by one character
    r"|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)"  # OSC and its kin: titles, links
    r"|\x1b[ -/]*[0-Z\\^-~]"  # the short ones: charsets, keypad modes
)
#: Which part of the line each form of its erasure erases.
_TO_END, _TO_CURSOR = frozenset({"\x1b[K", "\x1b[0K", "\x1b[2K"}), frozenset({"\x1b[1K", "\x1b[2K"})
_WHOLE = "\x1b[2K"


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One line of a log stream as CloudWatch keeps it.

    Attributes:
        timestamp: When it was written, in ms since the epoch.
        message: The line as it is; `text` is fit to print.
        event_id: CloudWatch's id for it; empty for a line of this package's own.
        ingestion_time: When CloudWatch took it in, in ms since the epoch; None if it does not say.
        microsecond: Its number among the neighbouring lines of the same millisecond. It keeps equal lines apart and in
            order wherever lines are sorted by time. Beyond 999 it runs into the next milliseconds, whose own lines are
            then numbered on from there.
    """

    timestamp: int
    message: str
    event_id: str = ""
    ingestion_time: int | None = None
    microsecond: int = 0

    @property
    def time(self) -> datetime:
        """When it was written, moved by its number of microseconds, at most to the last moment that there is."""
        return _EPOCH + min(timedelta(milliseconds=self.timestamp, microseconds=self.microsecond), _LATEST)

    @property
    def order(self) -> tuple[int, int]:
        """What CloudWatch sorts a stream's events by."""
        return self.timestamp, self.ingestion_time or 0

    def text(self) -> str:
        """Return the line fit to print.

        Escape sequences and control characters are removed; tabs and inner newlines stay; of a line that was drawn
        again and again, as a progress bar is, what a terminal would leave; what is not a character becomes U+FFFD. A
        line longer than 65,536 characters keeps its beginning and its end, and says between them how much is left out.
        """
        missing = len(self.message) - LONGEST_TEXT
        if missing <= 0:
            return printable(self.message)
        half = LONGEST_TEXT // 2
        head, tail = printable(self.message[:half]), printable(self.message[-half:])
        return f"{head} … [{missing:,} characters are left out here] … {tail}"


class Numbering:
    """Numbers the lines of a stream, one after the other, so that lines of one millisecond have different times.

    A line that is older than the last one gets a number from 500 on, since those before it have the first ones.

    Args:
        last: Where an earlier numbering ended: the newest millisecond, and the number of its last line. If that had run
            into the next milliseconds, this one begins with a millisecond of its own: its lines go into another file,
            and Airflow sorts the lines of several files by the millisecond and then by their place in their file.
    """

    def __init__(self, last: tuple[int, int] = (-1, 0)) -> None:
        self._timestamp, self._number = last
        if self._number >= _MICROSECONDS:
            self._number = (self._number // _MICROSECONDS + 1) * _MICROSECONDS - 1
        self._late = 0

    @property
    def last(self) -> tuple[int, int]:
        """The newest millisecond, and the number of its last line."""
        return self._timestamp, self._number

    def number(self, event: LogEvent) -> LogEvent:
        """Return the event with its number among the lines of its millisecond."""
        since = event.timestamp - self._timestamp
        if since < 0:
            self._late = (self._late + 1) % (_MICROSECONDS - _FIRST_LATE)
            return replace(event, microsecond=_FIRST_LATE + self._late)
        self._timestamp, self._number = event.timestamp, max(0, self._number + 1 - since * _MICROSECONDS)
        return replace(event, microsecond=self._number) if self._number else event


def printable(message: str) -> str:
    """Return a text without what steers a terminal, as `LogEvent.text` describes it."""
    if _UNPRINTABLE.search(message):
        message = message.replace("\r\n", "\n")
        if _MOVE.search(message):
            message = "\n".join(_left_of(line) for line in message.split("\n"))
        message = _shown(message)
    return message.rstrip("\n")


def _left_of(line: str) -> str:
    """Return what a terminal shows in the end of a line that was drawn on again and again.

    What is erased stays until the end, when what was drawn before it is left out: so the time grows with the line and
    no faster.
    """
    *drawings, last = _MOVE.split(line)
    if not drawings:
        return last
    cells: list[str] = []
    drawn: list[int] = []  # in which step, for each of the cells
    to_end: dict[int, int] = {}  # in which step the line was erased from a column on
    to_cursor: dict[int, int] = {}
    column = 0
    for step, (text, move) in enumerate(zip([*drawings[::2], last], [*drawings[1::2], "\r"], strict=True)):
        if text and (shown := text if text.isprintable() else _shown(text)):
            end = column + len(shown)
            if (gap := column - len(cells)) > 0:
                cells += " " * gap
                drawn += [-1] * gap
            cells[column:end], drawn[column:end] = shown, [step] * len(shown)
            column = end
        if move in _TO_END:
            to_end[0 if move == _WHOLE else column] = step
        if move in _TO_CURSOR:
            to_cursor[column] = step
        column = min(_moved(column, move), len(line))
    columns = range(len(line) + 1)
    _erase(cells, drawn, to_end, columns)
    _erase(cells, drawn, to_cursor, reversed(columns))
    return "".join(cells).rstrip(" ")


def _erase(cells: list[str], drawn: Sequence[int], erased: Mapping[int, int], columns: Iterable[int]) -> None:
    """Blank the cells that were erased after they were drawn.

    Args:
        cells: What was drawn.
        drawn: In which step, for each of them.
        erased: In which step the line was erased from a column on.
        columns: The columns in the order in which it was erased.
    """
    latest = -1
    for column in columns if erased else ():
        latest = max(latest, erased.get(column, -1))
        if column < len(cells) and drawn[column] <= latest:
            cells[column] = " "


def _moved(column: int, move: str) -> int:
    """Return the column to which a move takes the cursor; an erasure leaves it where it is."""
    if move[0] == "\r":
        return 0
    if move[0] == "\b":
        return max(0, column - len(move))
    count = max(1, int(move[2:-1] or 1))
    return {"C": column + count, "D": max(0, column - count), "G": count - 1}.get(move[-1], column)


def _shown(text: str) -> str:
    return _UNPRINTABLE.sub("", _SURROGATES.sub("\ufffd", _ESCAPES.sub("", text)))
