"""What a process writes, as log events."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from airflow_batch_jobs.local.streams import MOST_EVENT_BYTES, WrittenStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.local.clock import Timeline
    from airflow_batch_jobs.local.jobs import Part
    from airflow_batch_jobs.local.streams import Streams


class Output:
    """The log stream of one part of a job; without a stream its lines are lost, as in AWS."""

    def __init__(self, timeline: Timeline, streams: Streams, part: Part, on_line: Callable[[str], None]) -> None:
        """Open a part's log stream, if it has one.

        Args:
            timeline: The clock for its events.
            streams: Where the stream goes.
            part: The part, with the name of its stream.
            on_line: Called with each line.
        """
        self._timeline = timeline
        self._streams = streams
        self._on_line = on_line
        self._stream: WrittenStream | None = None
        if part.log_stream:
            self._stream = WrittenStream(
                streams.next_number(), part.container.log_group, part.log_stream, timeline.now_ms()
            )
            streams.add(self._stream)

    def write(self, line: str) -> None:
        """Add an event."""
        if self._stream:
            self._streams.write(self._stream, line, self._timeline.now_ms())
        self._on_line(line)

    def close(self) -> None:
        """Note that nothing more will be written."""
        if self._stream:
            self._streams.complete(self._stream)


class Lines(asyncio.Protocol):
    """Splits what comes through a pipe into log events: one per line, none empty, none over CloudWatch's size limit."""

    def __init__(self, write: Callable[[str], None]) -> None:
        """Prepare to read from a pipe.

        Args:
            write: Called with each event's text.
        """
        self.end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._write = write
        self._rest = bytearray()

    def data_received(self, data: bytes) -> None:
        """Write the lines that are complete."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._write_line(bytes(self._rest) + line)
            self._rest.clear()
        self._rest += rest
        while len(self._rest) > MOST_EVENT_BYTES:
            cut = _cut(self._rest)
            self._write_line(bytes(self._rest[:cut]))
            del self._rest[:cut]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Write the last line if it has no line end."""
        self._write_line(bytes(self._rest))
        self.end.set_result(None)

    def _write_line(self, line: bytes) -> None:
        while line:
            cut = _cut(line)
            self._write(line[:cut].decode("utf-8", "replace"))
            line = line[cut:]


def _cut(line: bytes | bytearray) -> int:
    """Return where to cut a line so that it fits into an event and no character is split."""
    if len(line) <= MOST_EVENT_BYTES:
        return len(line)
    cut = MOST_EVENT_BYTES
    while cut > MOST_EVENT_BYTES - 4 and line[cut] & 0xC0 == 0x80:  # noqa: PLR2004 - UTF-8's continuation bytes
        cut -= 1
    return cut
