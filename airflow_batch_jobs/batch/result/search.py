"""ResultSearch: the result lines of a job that has succeeded, found by CloudWatch's own filter."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.aws import KeptClients, Patience, service
from airflow_batch_jobs.batch.aws.clock import Clock, SystemClock, look_until
from airflow_batch_jobs.batch.aws.outage import OUTAGE_SECONDS, ask_until
from airflow_batch_jobs.batch.aws.pacing import Backoff, Pace
from airflow_batch_jobs.batch.aws.trouble import may_pass
from airflow_batch_jobs.batch.detail import JobDetail, JobKind
from airflow_batch_jobs.batch.logs.page import MOST_STREAMS, LogPage, fetch_at_pace, is_group_missing, is_missing
from airflow_batch_jobs.batch.logs.reading import CALLS_BESIDE_FOLLOWERS, start_of
from airflow_batch_jobs.batch.logs.stream_reader import no_lines
from airflow_batch_jobs.batch.operations import describe_jobs
from airflow_batch_jobs.batch.result.line import (
    FILTER_PATTERN,
    MARK,
    MOST_BYTES,
    NoJsonError,
    after_mark,
    is_cut,
    json_of,
)
from airflow_batch_jobs.batch.result.model import read_result
from airflow_batch_jobs.errors import AwsError, JobNotFoundError, ResultError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import TypeVar

    from pydantic import BaseModel

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.log_stream import LogStream
    from airflow_batch_jobs.batch.logs.event import LogEvent

    Answer = TypeVar("Answer")

#: How long after its job's end a result is looked for, and how long at least by this machine's clock, which may differ
#: from AWS's.
LATE_SECONDS = 60.0
LEAST_LATE_SECONDS = 15.0
#: Between two looks: AWS allows 5 calls per second for the whole account and region.
LOOK_SECONDS = 5.0
#: The longest that the results of an array may be together, in bytes.
MOST_BYTES_TOGETHER = 4 * 1024 * 1024
_REMEDY = f'Print one line `{MARK} {{"…": …}}` at the end of the program'
_SHORTER = "Write it to S3, and hand its location over."


class ResultSearch:
    """Looks for the result of a job that has succeeded: the last such line of its last attempt.

    An array's results are its children's, in the order of their indexes; a multi-node job's is its main node's. Ends
    nothing and submits nothing, whatever it finds.

    Args:
        clients: Makes the `batch` and `logs` clients.
        detail: The job, as AWS describes it after its end.
        settle_seconds: How long after the job's end lines may be followed by others; a line is looked for after that.
        late_seconds: How long after the job's end to look for a line that has not come.
        on_wait: Called once, before the first wait for lines.
        clock: Time and sleep.
    """

    def __init__(
        self,
        clients: ClientFactory,
        detail: JobDetail,
        *,
        settle_seconds: float = 5.0,
        late_seconds: float = LATE_SECONDS,
        on_wait: Callable[[], object] = lambda: None,
        clock: Clock | None = None,
    ) -> None:
        self._clients = KeptClients.of(clients)
        self._detail = detail
        self._settle_seconds = settle_seconds
        self._late_seconds = late_seconds
        self._on_wait = on_wait
        self._is_waiting = False
        self._clock = clock or SystemClock()
        self._pace = Pace(CALLS_BESIDE_FOLLOWERS)

    def read(self, model: type[BaseModel] | None) -> Any:
        """Return the job's result; of an array the list of its children's results, by index.

        Args:
            model: What a result is read as; None for whatever its JSON has.

        Raises:
            ResultError: There is no result, or one that does not fit.
            JobNotFoundError: AWS no longer knows a child.
            AwsError: AWS refused, or did not answer for five minutes.
        """
        results = [read_result(model, text, job_id) for job_id, text in self._texts()]
        return results if self._detail.kind is JobKind.ARRAY_PARENT else results[0]

    def _texts(self) -> list[tuple[str, str]]:
        """Return the id and the result's JSON of each part. Raises as `read` does."""
        parts, ago = self._parts(), self._seconds_since_end()
        for part in parts:
            if not part.last_log_streams() and (elsewhere := part.logs_elsewhere()):
                raise ResultError(part.job_id, elsewhere, "A result needs the awslogs log driver.", is_missing=True)
        self._clock.sleep(self._told(min(self._settle_seconds, max(0.0, self._settle_seconds - ago))))
        ago = self._seconds_since_end()
        found: dict[str, str] = {}

        def look() -> list[ResultError]:
            missing = [part for part in parts if part.job_id not in found]
            problems = []
            for part, lines in zip(missing, self._lines_of(missing), strict=True):
                try:
                    found[part.job_id] = self._text(part, lines)
                except ResultError as error:
                    if lines and not any(is_cut(line.message) for line in lines.values()):
                        raise  # nothing that may still come would fix it
                    problems.append(error)
            self._check_together(found.values())
            return problems

        least = min(LEAST_LATE_SECONDS, self._late_seconds)
        late = max(least, min(self._late_seconds, self._late_seconds - ago))
        if problems := look_until(
            look, lambda problems: not problems, self._clock, late, lambda: self._told(LOOK_SECONDS)
        ):
            raise problems[0]
        return [(part.job_id, found[part.job_id]) for part in parts]

    def _told(self, seconds: float) -> float:
        """Return how long to wait, which is told the first time."""
        if seconds and not self._is_waiting:
            self._is_waiting = True
            self._on_wait()
        return seconds

    def _seconds_since_end(self) -> float:
        """Return how long ago the job ended, by this machine's clock; negative if that is behind AWS's."""
        ended_at = self._detail.stopped_at
        return 0.0 if ended_at is None else (self._clock.now() - ended_at).total_seconds()

    def _parts(self) -> Sequence[JobDetail]:
        """Return whose result lines count."""
        detail = self._detail
        if detail.kind is JobKind.ARRAY_PARENT:
            ids = detail.part_ids()
        elif detail.kind is JobKind.MULTI_NODE:
            ids = (f"{detail.job_id}#{detail.main_node or 0}",)
        else:
            return (detail,)
        parts = self._asked(lambda: describe_jobs(self._clients, ids))
        known = {part.job_id for part in parts}
        for job_id in ids:
            if job_id not in known:
                raise JobNotFoundError(job_id)
        return parts

    def _lines_of(self, parts: Sequence[JobDetail]) -> Iterator[Mapping[LogStream, LogEvent]]:
        """Yield the last result line of each stream of each part's last attempt."""
        streams = [part.last_log_streams() for part in parts]
        found = self._last_lines([stream for each in streams for stream in each])
        for each in streams:
            yield {stream: found[stream] for stream in each if stream in found}

    def _text(self, part: JobDetail, found: Mapping[LogStream, LogEvent]) -> str:
        """Return the JSON of a part's result.

        Raises:
            ResultError: There is none.
        """
        if not found:
            raise ResultError(
                part.job_id,
                f"No line of the log begins with `{MARK}`",
                f"{_REMEDY}; one of an earlier attempt, or of a node that is not the main one, does not count.",
                is_missing=True,
            )
        if len(found) > 1:
            labels = " and ".join(stream.label for stream in found)
            raise ResultError(part.job_id, f"There is a result of {labels}", "Let one container hand it over.")
        [(stream, line)] = found.items()
        try:
            return self._json(part.job_id, stream, line)
        except NoJsonError as error:
            text = after_mark(line.message)
            problem = f"The result is not JSON: {error}"
            raise ResultError(part.job_id, problem, f"{_REMEDY}, written by a JSON library.", value=text) from error

    def _json(self, job_id: str, stream: LogStream, line: LogEvent) -> str:
        pieces = [after_mark(line.message) or ""]
        if is_cut(line.message):
            for piece in self._pieces_after(stream, line):
                pieces.append(piece)
                if not is_cut(piece) or _size(pieces) > MOST_BYTES:
                    break
        try:
            text = json_of(pieces)
        except NoJsonError:
            if _size(pieces) > MOST_BYTES:
                raise _too_long(job_id) from None
            raise
        if _size([text]) > MOST_BYTES:
            raise _too_long(job_id)
        return text

    def _pieces_after(self, stream: LogStream, line: LogEvent) -> Iterator[str]:
        """Yield the lines that follow one in its stream."""
        is_after = False
        for page in self._pages([stream], startTime=line.timestamp):
            for _, event, _ in page.events:
                if is_after:
                    yield event.message
                is_after = is_after or event == line

    def _last_lines(self, streams: Iterable[LogStream]) -> dict[LogStream, LogEvent]:
        """Return the last result line of each stream that has one."""
        together: dict[tuple[str, str], list[LogStream]] = defaultdict(list)
        for stream in streams:
            together[stream.region, stream.group].append(stream)
        found: dict[LogStream, LogEvent] = {}
        for group in together.values():
            for first in range(0, len(group), MOST_STREAMS):
                self._filter(group[first : first + MOST_STREAMS], found)
                self._check_together(line.message for line in found.values())
        return found

    def _check_together(self, texts: Iterable[str]) -> None:
        """Refuse an array's results before they fill this process's memory.

        Raises:
            ResultError: They are too long.
        """
        if _size(texts) > MOST_BYTES_TOGETHER:
            problem = f"The results of the children are longer than {MOST_BYTES_TOGETHER:,} bytes"
            raise ResultError(self._detail.job_id, problem, _SHORTER)

    def _filter(self, streams: Sequence[LogStream], found: dict[LogStream, LogEvent]) -> None:
        """Add the last result line of each of some streams of one group."""
        named = {stream.stream: stream for stream in streams}
        try:
            begin = min(map(start_of, streams))
            for page in self._pages(streams, startTime=begin, filterPattern=FILTER_PATTERN):
                for name, event, _ in page.events:
                    stream = named.get(name)
                    if stream is None or after_mark(event.message) is None:
                        continue
                    if stream not in found or event.order >= found[stream].order:
                        found[stream] = event
        except AwsError as error:
            if not is_missing(error):
                raise
            if len(streams) > 1 and not is_group_missing(error):  # one that does not exist spoils the call
                half = len(streams) // 2
                self._filter(streams[:half], found)
                self._filter(streams[half:], found)

    def _pages(self, streams: Sequence[LogStream], **request: Any) -> Iterator[LogPage]:
        """Yield the pages of streams of one group.

        Raises:
            AwsError: AWS refused, did not answer for five minutes, or has pages without end and nothing new on them.
        """
        logs = service(self._clients, "logs", streams[0].region, Patience.PACED)
        request |= {"logGroupName": streams[0].group, "logStreamNames": [stream.stream for stream in streams]}
        found_at, seen = self._clock.monotonic(), 0
        keys: set[int] = set()
        while True:
            page = self._asked(lambda: fetch_at_pace(logs, request, self._pace, self._clock))
            now = self._clock.monotonic()
            keys.update(key for _, _, key in page.events)
            found_at, seen = (now if len(keys) > seen else found_at), len(keys)
            yield page
            if page.token is None:
                return
            if now - found_at > OUTAGE_SECONDS:
                raise no_lines()
            request["nextToken"] = page.token

    def _asked(self, ask: Callable[[], Answer]) -> Answer:
        """Ask AWS, and again while it is busy or away, for five minutes.

        Raises:
            AwsError: It refused, or gave no answer.
        """
        return ask_until(ask, self._clock, OUTAGE_SECONDS, Backoff(), may_pass)


def _size(texts: Iterable[str]) -> int:
    """Return how many bytes texts are together."""
    return sum(len(text.encode("utf-8", "replace")) for text in texts)


def _too_long(job_id: str) -> ResultError:
    return ResultError(job_id, f"The result is longer than {MOST_BYTES:,} bytes", _SHORTER)
