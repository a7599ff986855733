"""TaskResult: what an ended job hands back, read in the process that executes the task, as its return value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from airflow_batch_jobs.batch.aws.clock import LOOK_AGAIN_SECONDS
from airflow_batch_jobs.batch.job import BatchJob
from airflow_batch_jobs.batch.result.model import dump_result
from airflow_batch_jobs.batch.result.search import LATE_SECONDS, ResultSearch
from airflow_batch_jobs.config import Settings
from airflow_batch_jobs.errors import ResultError, TaskEvictedError
from airflow_batch_jobs.task.on_worker import stopped_after_end
from airflow_batch_jobs.task.sigterm import SigtermError, UntilSigterm
from airflow_batch_jobs.task.supervisor import TaskInstance

if TYPE_CHECKING:
    from pydantic import BaseModel

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.identity import TaskKey
    from airflow_batch_jobs.task.supervisor import LoopRegion

#: How long the supervisor has to let the task live: CloudWatch may be away for five minutes, twice.
MOST_SECONDS = LATE_SECONDS + 600.0


class FinalResultError(ResultError, AirflowFailException):
    """A ResultError that Airflow does not retry, with or without a policy: the job has run, and would not run again."""


class TaskResult:
    """The result of a job that has succeeded.

    Args:
        job_id: The job.
        model: What its result is read as.
        clients: Makes the clients.
        key: The task instance.
        loop_region: Where Airflow keeps the pass of a loop, see `TaskInstance`.
    """

    def __init__(
        self,
        job_id: str,
        model: type[BaseModel],
        clients: ClientFactory,
        key: TaskKey,
        *,
        loop_region: LoopRegion | None = None,
    ) -> None:
        self._job_id = job_id
        self._model = model
        self._clients = clients
        self._task = TaskInstance(key, loop_region)
        self._until = UntilSigterm()

    def read(self) -> Any:
        """Return the result as JSON data; of an array the list of its children's.

        Raises:
            FinalResultError: There is none, or one that does not fit.
            AwsError: AWS refused, or did not answer for five minutes; another attempt reads again, of the same job.
            AirflowTaskTerminated: A user has stopped the task.
            TaskEvictedError: The worker was told to stop for another reason.
        """
        try:
            return self._until.run(self._read)
        except ResultError as error:
            raise _final(error) from error
        except SigtermError:
            why = stopped_after_end(self._task, self._job_id)
            raise why or TaskEvictedError(self._job_id, has_ended=True) from None

    def kill(self) -> None:
        """Leave it: SIGTERM has come. Made for a signal handler: it raises there, whatever is being read."""
        self._until.kill()

    def _read(self) -> Any:
        settle_seconds = Settings.read().log_settle_seconds
        # It has ended: this is one look, repeated while AWS is away.
        job = BatchJob.from_id(self._job_id, clients=self._clients, clock=self._until)
        ended = job.wait(poll_interval=LOOK_AGAIN_SECONDS)
        search = ResultSearch(
            self._clients, ended, settle_seconds=settle_seconds, late_seconds=LATE_SECONDS, clock=self._until
        )
        result = search.read(self._model)
        if isinstance(result, list):
            return [dump_result(each, f"{self._job_id}:{index}") for index, each in enumerate(result)]
        return dump_result(result, self._job_id)


def _final(error: ResultError) -> FinalResultError:
    final = FinalResultError.__new__(FinalResultError, *error.args)
    vars(final).update(vars(error))
    return final
