"""TriggererWait: the wait in a triggerer, and what a cancellation means there."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from airflow.sdk.configuration import conf

from airflow_batch_jobs.batch.operations import TERMINATE_SECONDS
from airflow_batch_jobs.batch.xcoms import JOB_XCOM, RETURN_XCOM
from airflow_batch_jobs.task import log, stop
from airflow_batch_jobs.task.saved_job import SavedJob
from airflow_batch_jobs.task.saved_log import SavedLog, are_logs_remote
from airflow_batch_jobs.task.states_question import without_pass
from airflow_batch_jobs.task.supervisor import UNANSWERED, TaskInstance, UnansweredError, answered
from airflow_batch_jobs.task.triggerer import Triggerer
from airflow_batch_jobs.task.wait import JobWait

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from typing import Any

    from airflow_batch_jobs.batch.identity import TaskKey
    from airflow_batch_jobs.task.connection import AwsConnection
    from airflow_batch_jobs.task.handover import Outcome, WaitPlan

#: How long the API server may take to tell a stopped task's state, with a thousand others stopped at the same time.
STATE_SECONDS = 30.0
#: How long a stopped task's state may stay inconclusive: scheduled, queued, running.
UNDECIDED_SECONDS = 20.0
#: How long to wait for the end of a stopped job and its last lines: AWS gives it 30 s before it kills it.
LAST_LINES_SECONDS = 45.0
#: How long a stopped job's XCom may take, with a thousand others.
LAST_WORDS_SECONDS = 60.0
#: How long a stop may take at most, whatever does not answer.
STOP_SECONDS = STATE_SECONDS + TERMINATE_SECONDS + LAST_LINES_SECONDS + LAST_WORDS_SECONDS
#: How long a worker's process may live on after it has deferred its task, and the scheduler take to learn of its end:
#: on busy machines each takes some seconds.
SCHEDULER_SECONDS = 5.0
#: How long a supervisor takes to read what is in its log socket: some 200 lines, a few at a time between other work.
LINES_READ_SECONDS = 5.0


class TriggererWait:
    """Waits for one job in a triggerer's event loop, on behalf of the attempt that deferred.

    Args:
        plan: What to wait for.
        connection: The AWS settings.
        key: The task instance; None under `dag.test()`, where the API server cannot be asked.
        try_number: The attempt.
        max_tries: The task instance's `max_tries`, which tells a retry from a clear.
        may_finish: Whether to end the task here when the job has succeeded and all of its log is copied.
        carrier: The task instance's trace context.
    """

    def __init__(
        self,
        plan: WaitPlan,
        connection: AwsConnection,
        key: TaskKey | None,
        *,
        try_number: int,
        max_tries: int,
        may_finish: bool,
        carrier: Mapping[str, str] | None = None,
    ) -> None:
        self.plan = plan
        self._task = None if key is None else TaskInstance(key)
        self._attempt = {"try_number": try_number, "max_tries": max_tries}
        self._may_finish = may_finish
        self._triggerer = Triggerer.here()
        self._saved_log: SavedLog | None = None
        if self._task is not None and plan.copy_logs:
            self._saved_log = SavedLog(plan.job_id, self._task, self._triggerer)
        self._saved_job: SavedJob | None = None
        if self._task is not None:
            turns, questions = self._triggerer.job_turns, self._triggerer.questions
            is_there = plan.submitted_at is not None  # its worker has pushed it
            self._saved_job = SavedJob(self._task, self._attempt, turns, questions, is_there=is_there)
        self._wait = JobWait(
            plan,
            self._triggerer.watcher(connection),
            listener=self._saved_log,
            on_news=self._saved_job.on_news if self._saved_job else None,
            is_current=self._is_current,
            has_groups=self._task is not None,
            carrier=carrier,
        )
        self._is_decided = False

    async def run(self) -> Outcome:
        """Wait for the job, and stop it if need be when Airflow cancels the wait.

        A task has to stay deferred for a while: the supervisor of the worker that deferred may notice the end of its
        process one heartbeat late. If the task runs again by then, the scheduler mistakes that for the end of the task
        and marks it failed.
        """
        begun = asyncio.get_running_loop().time()
        if self._saved_log is not None and self._task is not None and not self._task.is_looped:
            self._triggerer.ask_ahead(self._saved_log.ask_ahead)
        async with self._wait:
            try:
                outcome = await self._wait.outcome()
                if self._saved_job is not None:
                    await self._saved_job.close()
                if self._task is not None and not self._can_finish(outcome):
                    await stay_deferred(begun)
                await self._forget_pass()
            except asyncio.CancelledError as cancelled:
                if stop.is_reassigned(cancelled):
                    self._leave_to_another("deferred")
                elif stop.is_users(cancelled):
                    await undisturbed(self._stop_if_wanted())
                    await self._until_lines_are_read()
                raise
        return outcome

    async def has_finished(self, outcome: Outcome) -> bool:
        """Do what the worker would do at the end, if all of it can be done here; return whether it was.

        The event could carry XComs, but Airflow 3.3 encodes those twice: readers would get a string of JSON.
        """
        if self._task is None or self._saved_job is None or not self._can_finish(outcome):
            return False
        try:
            if not await self._saved_job.save(outcome.job):
                return False  # another attempt has taken over, and nobody takes this one's event
            async with self._triggerer.questions:
                await self._task.set_xcom(RETURN_XCOM, outcome.job_id)
        except UnansweredError as error:
            why = f"its XComs could not be written: {error}"
            log.problem(f"The task is ended by a worker, since {why}")
            return False
        log.note(outcome.summary)
        return True

    async def linger(self) -> None:
        """Stay a little longer when all is done, although Airflow cancels a trigger whose event it has.

        Not where logs are remote: if the triggerer were killed meanwhile, the whole log would never be uploaded.
        """
        if are_logs_remote():
            return
        await self.leave()
        self._saved_log = self._saved_job = None  # by now it may belong to the next attempt
        self._is_decided = True
        await self._until_lines_are_read()

    async def kill(self) -> None:
        """Terminate the job if `run` had no chance to find out whether to; Airflow gives this method a second."""
        if not self._is_decided:
            await self._stop_if_wanted()

    async def leave(self) -> None:
        """Save how far the log is copied, or forget it if the job has ended. Never stops the job."""
        if self._saved_job is not None:
            self._saved_job.drop()
        if self._saved_log is None:
            return
        with suppress(UnansweredError, TimeoutError):
            async with self._triggerer.goodbye():
                if self._wait.ended or self._is_decided:
                    await self._saved_log.forget()
                else:
                    await self._saved_log.save(self._wait.cursors(), left=True)

    async def _forget_pass(self) -> None:
        """In a loop, forget how far the log is copied before the task goes on: later that is refused."""
        if self._saved_log is not None and self._wait.ended and self._task is not None and self._task.is_looped:
            with suppress(UnansweredError):
                await self._saved_log.forget()
            self._saved_log = None

    def _can_finish(self, outcome: Outcome) -> bool:
        return (
            self._may_finish
            and self._task is not None
            and outcome.succeeded
            and not outcome.unread
            and not outcome.timed_out
        )

    async def _stop_if_wanted(self) -> None:
        """Find out whether a user wants the job gone; then terminate it and copy its last lines."""
        if self._saved_job is not None:
            self._saved_job.drop()
        state, verdict = await self._verdict()
        if verdict is not stop.Verdict.TERMINATE or not self.plan.terminate_on_kill:
            self._leave_to_another(state)
            return
        if self._saved_log is not None:
            self._saved_log.close()
        if self._task is not None and self._task.is_looped:
            self._saved_log = None  # only its own trigger may delete it, and only while the task is deferred
        # A wait that has not begun yet can stop its job all the same, but then there is no log to wait for.
        reason = stop.reason(state)
        try:
            async with asyncio.timeout(TERMINATE_SECONDS + 1):
                self._is_decided = await self._wait.terminate(reason)
        except TimeoutError:
            log.problem("AWS has yet to accept the termination of the job, which is still being tried.")
            return
        if self._wait.is_open and not self._wait.ended:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wait.outcome(), LAST_LINES_SECONDS)
        if self._is_decided and self._saved_job is not None:
            await self._save_stopped(self._saved_job, reason)

    async def _save_stopped(self, saved_job: SavedJob, reason: str) -> None:
        """Tell in the XCom what became of the job: no worker will. Of a pass of a loop, Airflow lets nobody do that."""
        if self._task is None or self._task.is_looped:
            return
        with suppress(UnansweredError, TimeoutError):
            async with asyncio.timeout(LAST_WORDS_SECONDS), self._triggerer.last_words:
                await saved_job.save_stopped(self._wait.job(), reason)

    def _leave_to_another(self, state: str | None) -> None:
        self._is_decided = True
        if self._saved_log is not None:
            self._saved_log.close()
        self._saved_log = None  # it belongs to another attempt or triggerer now
        log.note(f"The task is {state or 'cleared'}; its job is left alone.")

    async def _until_lines_are_read(self) -> None:
        """Wait until what was written is in the task log.

        The supervisor closes the log of a trigger as soon as it hears that it has ended. The lines that are still in
        the socket between the two go into the triggerer's own output then.
        """
        if self._task is not None and not are_logs_remote():
            await undisturbed(asyncio.sleep(LINES_READ_SECONDS))

    async def _is_current(self) -> bool:
        """Ask whether the task is still deferred by this very attempt; no answer counts as no.

        A triggerer that stalled may wake up long after a later attempt has adopted the job.
        """
        if self._task is None:
            return True
        try:
            state, stored = await answered(self._ask(self._task), STATE_SECONDS)
        except UnansweredError:  # the wait asks again
            return False
        if self._task.is_looped:
            return state != stop.REPLACED  # the state may be another pass's
        return state == "deferred" and not stop.is_newer(stored, self._attempt["try_number"])

    async def _verdict(self) -> tuple[str | None, stop.Verdict]:
        """Ask the API server until the task instance's state is conclusive; no answer means: leave the job alone."""
        if self._task is None:
            return None, stop.Verdict.TERMINATE
        loop = asyncio.get_running_loop()
        until = loop.time() + UNDECIDED_SECONDS
        while True:
            try:
                state, stored = await answered(self._ask(self._task), STATE_SECONDS)
            except UnansweredError as error:
                log.problem(
                    "The job is left running: it is not known whether a user stopped this task. Terminate it by hand "
                    f"if it is not wanted. ({error})"
                )
                return UNANSWERED, stop.Verdict.LEAVE
            verdict = stop.in_triggerer(state, stored, self.plan.job_id, self._attempt["try_number"])
            if verdict is not stop.Verdict.ASK_AGAIN:
                return state, verdict
            if loop.time() >= until:
                return state, stop.Verdict.LEAVE
            await asyncio.sleep(1)

    async def _ask(self, task: TaskInstance) -> tuple[str | None, Any]:
        """Ask for the task instance's state and, if it is deferred, for its `batch_job` XCom.

        Of a pass of a loop the XCom tells whether its attempt is replaced; if not, the state is the latest pass's.
        """
        if task.is_looped:
            return await self._ask_of_pass(task)
        state = await self._triggerer.states.of(task.key)
        if state != "deferred":
            return state, None
        async with self._triggerer.urgent_questions:
            return state, await task.get_xcom(JOB_XCOM)

    async def _ask_of_pass(self, task: TaskInstance) -> tuple[str | None, Any]:
        try:
            async with self._triggerer.urgent_questions:
                stored = await task.get_xcom(JOB_XCOM)
        except UnansweredError as error:
            if error.is_replaced:
                return stop.REPLACED, None
            raise
        return await self._triggerer.states.of(without_pass(task.key)), stored


async def undisturbed(work: Coroutine[Any, Any, None]) -> None:
    """Finish some work although Airflow repeats its cancellation at every sync, about once a second.

    A cancellation without a reason means that the triggerer is shutting down: then the work is dropped at once.
    """
    loop, task = asyncio.get_running_loop(), asyncio.create_task(work)
    until = loop.time() + STOP_SECONDS
    while not task.done() and (left := until - loop.time()) > 0:
        try:
            await asyncio.wait({task}, timeout=left)
        except asyncio.CancelledError as again:
            if not again.args:
                task.cancel()
                raise
    if task.done() and not task.cancelled() and (error := task.exception()):
        raise error


async def stay_deferred(begun: float) -> None:
    """Wait until a task can safely run again; see `TriggererWait.run` for the reason.

    Args:
        begun: When its trigger began, in seconds of the event loop.
    """
    shortest = float(conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0)) + SCHEDULER_SECONDS
    await asyncio.sleep(max(0.0, begun + shortest - asyncio.get_running_loop().time()))
