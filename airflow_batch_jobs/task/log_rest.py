"""RestCopy: what the line budget left over of an ended job's log, copied in the process that executes the task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.log_stream import LogStream, incomplete_logs
from airflow_batch_jobs.batch.logs import LogCursor, LogRest
from airflow_batch_jobs.batch.logs.rest import WHOLE_SECONDS
from airflow_batch_jobs.batch.storable import time_of
from airflow_batch_jobs.config import Settings
from airflow_batch_jobs.errors import BatchJobsError
from airflow_batch_jobs.task import log
from airflow_batch_jobs.task.on_worker import stopped_after_end
from airflow_batch_jobs.task.sigterm import SigtermError, UntilSigterm
from airflow_batch_jobs.task.supervisor import TaskInstance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.aws.clock import Clock
    from airflow_batch_jobs.batch.identity import TaskKey
    from airflow_batch_jobs.task.handover import Outcome
    from airflow_batch_jobs.task.supervisor import LoopRegion

#: How long the copy may take, with the call and the lines that it is at when its time is up.
MOST_SECONDS = WHOLE_SECONDS + 120.0


class RestCopy:
    """Copies what is left of an ended job's log, up to `log_max_lines` a stream.

    The job's end is the task's end, whatever becomes of the copy: it ends by itself, and a line for each stream that is
    not complete says where the rest is. SIGTERM ends it at once.

    Args:
        outcome: The wait's, with what is left.
        clients: Makes the `logs` clients.
        key: The task instance.
        clock: The machine's own if None.
        loop_region: Where Airflow keeps the pass of a loop, see `TaskInstance`.
    """

    def __init__(
        self,
        outcome: Outcome,
        clients: ClientFactory,
        key: TaskKey,
        clock: Clock | None = None,
        *,
        loop_region: LoopRegion | None = None,
    ) -> None:
        self._outcome = outcome
        self._clients = clients
        self._task = TaskInstance(key, loop_region)
        self._until = UntilSigterm(clock)

    def run(self) -> None:
        """Copy until all is copied, or no more can be, or SIGTERM has come.

        Raises:
            AirflowTaskTerminated: A user has stopped the task. A worker that is told to stop for another reason only
                leaves the copy.
        """
        if not self._outcome.unread:
            return
        try:
            rest = self._rest()
            _tell(rest.missing if self._copy(rest) else {**rest.missing, **dict.fromkeys(rest.left(), _KILLED)})
        except Exception as error:  # noqa: BLE001 - the job has ended, and with it the task
            log.problem(f"The rest of the job's log is not copied: {error!r}")
        if self._until.has_come and (why := stopped_after_end(self._task, self._outcome.job_id)):
            raise why

    def kill(self) -> None:
        """Leave the copy: SIGTERM has come. Made for a signal handler: it raises there, whatever the copy is at."""
        self._until.kill()

    def _rest(self) -> LogRest:
        settings = Settings.read()
        return LogRest(
            self._clients,
            [(LogStream.from_dict(entry), _cursor(entry["cursor"])) for entry in self._outcome.unread],
            max_lines=settings.log_max_lines,
            ended_at=time_of(self._outcome.job.get("stopped_at")),
            settle_seconds=settings.log_settle_seconds,
            lookback_seconds=settings.log_lookback_seconds,
            clock=self._until,
        )

    def _copy(self, rest: LogRest) -> bool:
        """Write what is read; return whether that came to its own end."""
        try:
            self._until.run(lambda: _write(rest))
        except SigtermError:
            return False
        return True


def _cursor(stored: Mapping[str, Any]) -> LogCursor:
    """Read where to go on in a stream; its beginning if that cannot be read."""
    try:
        return LogCursor.from_dict(stored)
    except Exception as error:  # noqa: BLE001 - it may be anything, of another version or damaged
        log.problem(f"Where the log copy left off cannot be read; lines may appear twice: {error!r}")
        return LogCursor.from_dict({})


_KILLED = InterruptedError("The worker was told to stop.")


def _write(rest: LogRest) -> None:
    for stream, events in rest:
        try:
            log.lines(stream, events)
        except Exception as error:  # noqa: BLE001 - the other streams' lines do not depend on it
            rest.drop(stream, error)


def _tell(missing: Mapping[LogStream, Exception]) -> None:
    reasons = {stream: str(why) if isinstance(why, BatchJobsError) else repr(why) for stream, why in missing.items()}
    for line in incomplete_logs(reasons):
        log.problem(line)
