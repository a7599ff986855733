"""BatchRetryPolicy: whether a failed task is tried again, and when, by what made it fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from airflow.sdk import RetryAction, RetryDecision, RetryPolicy

from airflow_batch_jobs import errors
from airflow_batch_jobs.batch.cause import Cause, Outlook
from airflow_batch_jobs.batch.numbers import reasonable, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from airflow_batch_jobs.batch.changes.change import RequestChange
    from airflow_batch_jobs.errors import BatchJobsError, JobFailedError

__all__ = ["BatchRetryPolicy", "Retry"]


class Retry(Enum):
    """What becomes of a task that has failed."""

    #: It fails at once, however many retries are left.
    NEVER = "never"
    #: It is tried again at once.
    NOW = "now"
    #: It is tried again after a delay that grows with each attempt.
    LATER = "later"
    #: Airflow decides, by the task's `retries` and `retry_delay`.
    DEFAULT = "default"


#: What a user says of a failure; a timedelta is a delay that grows from there.
Answer: TypeAlias = Retry | timedelta

#: What becomes of a task whose job failed, for each cause.
BY_CAUSE: Mapping[Cause, Retry] = {
    Cause.EXIT_CODE: Retry.DEFAULT,
    Cause.SIGNAL: Retry.DEFAULT,
    Cause.KILLED: Retry.DEFAULT,
    Cause.ESSENTIAL_EXITED: Retry.DEFAULT,
    Cause.OUT_OF_MEMORY: Retry.NEVER,
    Cause.DISK_FULL: Retry.DEFAULT,
    Cause.TIMEOUT: Retry.DEFAULT,
    Cause.CANCELLED: Retry.NEVER,
    Cause.TERMINATED: Retry.NEVER,
    Cause.DEPENDENCY_FAILED: Retry.NEVER,
    Cause.IMAGE_NOT_FOUND: Retry.NEVER,
    Cause.IMAGE_ACCESS_DENIED: Retry.NEVER,
    Cause.IMAGE_RATE_LIMIT: Retry.LATER,
    Cause.IMAGE_NETWORK: Retry.LATER,
    Cause.IMAGE_PULL: Retry.LATER,
    Cause.COMMAND_NOT_FOUND: Retry.NEVER,
    Cause.NOT_EXECUTABLE: Retry.NEVER,
    Cause.WRONG_ARCHITECTURE: Retry.NEVER,
    Cause.CANNOT_START: Retry.LATER,
    Cause.END_UNKNOWN: Retry.DEFAULT,
    Cause.SECRETS: Retry.NEVER,
    Cause.LOG_SETUP: Retry.NEVER,
    Cause.RESOURCE_SETUP: Retry.LATER,
    Cause.REQUEST_REFUSED: Retry.NEVER,
    Cause.AWS_ERROR: Retry.LATER,
    Cause.HOST_LOST: Retry.NOW,
    Cause.CAPACITY: Retry.LATER,
    Cause.MISCONFIGURATION: Retry.NEVER,
    Cause.ACTION_REQUIRED: Retry.NEVER,
    Cause.UNDETERMINED: Retry.DEFAULT,
    Cause.WAITING: Retry.DEFAULT,
    Cause.DEPENDENCY_PENDING: Retry.DEFAULT,
    Cause.UNKNOWN: Retry.DEFAULT,
}
#: What becomes of a task that failed without a job's end, for each error that is not left to Airflow; a subclass that
#: is not named is like its base.
BY_ERROR: Mapping[type[BatchJobsError], Retry] = {
    errors.DefinitionError: Retry.NEVER,
    errors.RequestError: Retry.NEVER,
    errors.AccessDeniedError: Retry.NEVER,
    errors.ConfigurationError: Retry.NEVER,
    errors.ConnectionUnansweredError: Retry.LATER,
    errors.EndpointError: Retry.LATER,
    errors.ExhaustedError: Retry.LATER,
    errors.ThrottledError: Retry.LATER,
    errors.QueueNotFoundError: Retry.NEVER,
    errors.DefinitionNotFoundError: Retry.NEVER,
    errors.RevisionInactiveError: Retry.NEVER,
    errors.RequestRefusedError: Retry.NEVER,
    errors.SubmitUnansweredError: Retry.LATER,
    errors.RecordUnavailableError: Retry.LATER,
    errors.TaskEvictedError: Retry.NOW,
    errors.NoDeploymentError: Retry.NEVER,
    errors.WaitCrashedError: Retry.NOW,
    errors.ResultError: Retry.NEVER,
}
#: Errors that a retry can meet while it looks for the job of an earlier attempt, which may still be running, and any
#: attempt while it reads the result of a job: then the task is not given up as long as Airflow would try it again.
_WHILE_LOOKING = (errors.AccessDeniedError, errors.ConfigurationError, errors.RequestRefusedError)
#: Causes in whose words a program's own exit code is told; what AWS did to a job is stronger than any code.
_OF_THE_PROGRAM = frozenset(
    {
        Cause.EXIT_CODE,
        Cause.SIGNAL,
        Cause.KILLED,
        Cause.ESSENTIAL_EXITED,
        Cause.COMMAND_NOT_FOUND,
        Cause.NOT_EXECUTABLE,
    }
)
#: What is over when AWS has room or a rate is no longer used up: waiting for that need not cost a retry.
_ROOM_AND_RATES = frozenset({Cause.CAPACITY, Cause.IMAGE_RATE_LIMIT})
#: A delay grows no more after this many attempts: the longest that a user can give would overflow.
_MOST_DOUBLINGS = 16
_HIGHEST_EXIT_CODE = 255


class _Rule(NamedTuple):
    """What applies to a failure, and why."""

    retry: Answer
    why: str


class BatchRetryPolicy(RetryPolicy):
    """Decide by the cause of a failure whether and when a task is tried again.

    ::

        BatchJobOperator(..., retries=4, retry_policy=BatchRetryPolicy())
        BatchRetryPolicy(overrides={Cause.TIMEOUT: Retry.NEVER}, exit_codes={75: timedelta(minutes=10)})

    What lasts fails at once, what passes by itself is tried again, and the program's own failures are left to Airflow.
    Each decision is one line in the task log, with its reason, which Airflow also stores. Never goes beyond `retries`,
    except that Airflow 3.4 waits for room and for rates without using up one.

    Is asked on the worker, also for a task that was deferred: a failure is always concluded there. Airflow asks no
    policy where the worker's process was lost, and for a task that a user stopped.

    Args:
        overrides: By cause, what applies in place of the default; a timedelta is a delay that grows from there.
        exit_codes: By the program's own exit code, likewise; goes before `overrides`.
        errors: By class of `airflow_batch_jobs.errors`, likewise; the nearest class counts. Causes go before it.
        first_delay: How long `Retry.LATER` waits at first; it doubles with each attempt.
        longest_delay: How long it waits at most.
        reschedule_timeout: How long Airflow 3.4 waits for room and for rates without using up a retry.

    Raises:
        ValueError: An argument is not of its kind; the error names it.
    """

    def __init__(
        self,
        *,
        overrides: Mapping[Cause, Answer] | None = None,
        exit_codes: Mapping[int, Answer] | None = None,
        errors: Mapping[type[BatchJobsError], Answer] | None = None,
        first_delay: timedelta = timedelta(minutes=1),
        longest_delay: timedelta = timedelta(minutes=30),
        reschedule_timeout: timedelta = timedelta(hours=12),
    ) -> None:
        self.overrides = _rules(overrides, "overrides", _is_cause, "a Cause")
        self.exit_codes = _rules(exit_codes, "exit_codes", _is_exit_code, "an exit code from 1 to 255")
        self.errors = _rules(errors, "errors", _is_error, "an error class of airflow_batch_jobs.errors")
        self.first_delay = _span(first_delay, "first_delay")
        self.longest_delay = _span(longest_delay, "longest_delay")
        self.reschedule_timeout = _span(reschedule_timeout, "reschedule_timeout")
        if self.longest_delay < self.first_delay:
            raise ValueError(f"longest_delay must not be below first_delay, which is {shown(first_delay)}")

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide what becomes of a failure; what is no error of this package is left to Airflow.

        Args:
            exception: What ended the attempt.
            try_number: The number of the attempt, from 1; a clear does not begin anew.
            max_tries: The number of the last retry, as Airflow counts: a clear adds to it.
            context: Airflow's context of the task instance; without it, `on_retry` is not asked.

        Returns:
            Whether it is tried again, when, and the reason, which Airflow writes in the log.
        """
        if not isinstance(exception, errors.BatchJobsError):
            return RetryDecision.default()
        task: Any = (context or {}).get("task")
        number = max(1, try_number - max_tries + getattr(task, "retries", max_tries))
        rule = self._rule(exception, task, number, context)
        if rule.retry is Retry.NEVER:
            return RetryDecision.fail(f"{rule.why}; not tried again")
        if rule.retry is Retry.DEFAULT:
            return RetryDecision(reason=f"{rule.why}; left to retries and retry_delay")
        return self._again(exception, rule, number, context, is_last=try_number > max_tries)

    def serialize(self) -> dict[str, Any]:
        """Return the policy as JSON."""
        return {
            "__type": type(self).__name__,
            "overrides": {cause.value: _plain(rule) for cause, rule in self.overrides.items()},
            "exit_codes": {str(code): _plain(rule) for code, rule in self.exit_codes.items()},
            "errors": {kind.__name__: _plain(rule) for kind, rule in self.errors.items()},
            "first_delay": self.first_delay.total_seconds(),
            "longest_delay": self.longest_delay.total_seconds(),
            "reschedule_timeout": self.reschedule_timeout.total_seconds(),
        }

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> BatchRetryPolicy:
        """Return the policy of its JSON form.

        Args:
            data: What `serialize` has returned; of a later version, what this one does not know is left out.
        """
        spans = ("first_delay", "longest_delay", "reschedule_timeout")
        return cls(
            overrides={
                known: _rule_of(rule)
                for cause, rule in data.get("overrides", {}).items()
                if (known := Cause.named(cause))
            },
            exit_codes={int(code): _rule_of(rule) for code, rule in data.get("exit_codes", {}).items()},
            errors={
                getattr(errors, kind): _rule_of(rule)
                for kind, rule in data.get("errors", {}).items()
                if hasattr(errors, kind)
            },
            **{name: timedelta(seconds=data[name]) for name in spans if name in data},
        )

    def _rule(self, error: BatchJobsError, task: Any, number: int, context: Context | None) -> _Rule:
        """Return what applies to an error: what the user says of it, else what is the default."""
        if isinstance(error, errors.JobFailedError):
            return self._rule_of_job(error, task, context)
        own, default = _nearest(self.errors, error), _nearest(BY_ERROR, error)
        has_a_job = number > 1 or getattr(task, "job_has_succeeded", False)
        if has_a_job and isinstance(error, _WHILE_LOOKING):
            default = Retry.DEFAULT
        return _Rule(own or default or Retry.DEFAULT, type(error).__name__)

    def _rule_of_job(self, error: JobFailedError, task: Any, context: Context | None) -> _Rule:
        from airflow_batch_jobs.sensors import BatchJobSensor

        cause, code = error.diagnosis.cause, error.exit_code
        if isinstance(task, BatchJobSensor):
            return _Rule(Retry.NEVER, "the job has failed, and waiting for it again changes nothing")
        if cause in _OF_THE_PROGRAM and code in self.exit_codes:
            return _Rule(self.exit_codes[code], f"exit code {code}")
        if own := self.overrides.get(cause) or _nearest(self.errors, error):
            return _Rule(own, cause.value)
        answers = [change for change in getattr(task, "on_retry", ()) if cause in change.after]
        if left := _left(answers, error, task, context):
            return _Rule(Retry.NOW, f"{cause.value}, for which on_retry has {_names(left)}")
        why = f"exit code {code}" if cause is Cause.EXIT_CODE and code is not None else cause.value
        no_more = f", and {_names(answers)} of on_retry has no more to give" if answers else ""
        default, outlook = BY_CAUSE[cause], error.diagnosis.outlook
        if outlook is Outlook.LASTS:
            return _Rule(Retry.NEVER, why + (no_more or ", which lasts until something is changed"))
        if outlook is Outlook.PASSES and default in (Retry.NEVER, Retry.DEFAULT):
            default = Retry.LATER
        passes = ", which passes by itself" if outlook is Outlook.PASSES else ""
        return _Rule(default, why + passes + no_more)

    def _again(
        self, error: BatchJobsError, rule: _Rule, number: int, context: Context | None, *, is_last: bool
    ) -> RetryDecision:
        """Return the decision to try again.

        Args:
            error: What made the task fail.
            rule: What applies to it.
            number: Which attempt this was, from 1 after each clear.
            context: The task's.
            is_last: Whether no retry is left.
        """
        if rule.retry is Retry.NOW:
            delay = timedelta(0)
        else:
            waits: Any = (context or {}).get("task_reschedule_count") or 0
            first = rule.retry if isinstance(rule.retry, timedelta) else self.first_delay
            longest = max(first, self.longest_delay)
            delay = min(first * 2 ** min(number + waits - 1, _MOST_DOUBLINGS), longest)
        when = "at once" if not delay else f"in {delay}"
        if rule.retry is Retry.LATER and _waits_for_room(error) and hasattr(RetryAction, "RESCHEDULE"):
            reschedule: Any = RetryDecision
            decided: RetryDecision = reschedule.reschedule(
                delay,
                reschedule_timeout=self.reschedule_timeout,
                reason=f"{rule.why}; tried again {when}, which uses up no retry",
            )
            return decided
        end = "no retry is left" if is_last else f"tried again {when}"
        return RetryDecision.retry(delay, f"{rule.why}; {end}")


def _left(
    answers: Sequence[RequestChange], error: JobFailedError, task: Any, context: Context | None
) -> Sequence[RequestChange]:
    """Return which changes have something to give to an attempt after this one.

    Where AWS or Airflow does not tell, the XCom `batch_job` does, for all of a class together.
    """
    from airflow_batch_jobs.batch.changes.change import CHANGES

    left: Sequence[RequestChange] | None = None
    if answers:
        with suppress(Exception):  # what is away may be back for the next attempt; a user's change can raise anything
            left = task.changes_left(context, error.job_id)
    if left is not None:
        return [change for change in answers if any(change is each for each in left)]
    most = Counter(change.get("by") for change in error.job.get(CHANGES) or () if change.get("is_most"))
    all_of = Counter(type(change).__name__ for change in answers)
    return [change for change in answers if most[name := type(change).__name__] < all_of[name]]


def _names(changes: Sequence[RequestChange]) -> str:
    return " and ".join(dict.fromkeys(type(change).__name__ for change in changes))


def _waits_for_room(error: BatchJobsError) -> bool:
    if isinstance(error, errors.JobFailedError):
        return error.diagnosis.cause in _ROOM_AND_RATES
    return isinstance(error, errors.ThrottledError)


def _nearest(rules: Mapping[type[BatchJobsError], Answer], error: BatchJobsError) -> Answer | None:
    """Return what is said of an error's class, or of the nearest class above it."""
    return next((rules[kind] for kind in type(error).__mro__ if kind in rules), None)


def _rules(given: Any, name: str, is_key: Any, kind: str) -> dict[Any, Answer]:
    """Return rules as they were given.

    Raises:
        ValueError: They are no mapping, or one of them is not of its kind.
    """
    if not isinstance(given if given is not None else {}, Mapping):
        raise ValueError(f"{name} must be a mapping, not {shown(given)}")  # noqa: TRY004 - as for any argument
    for key, rule in (given or {}).items():
        if not is_key(key):
            raise ValueError(f"{name} must have {kind} as each key, not {shown(key)}")
        if isinstance(rule, timedelta):
            reasonable(rule, f"{name}[{key}]")
        elif not isinstance(rule, Retry):
            raise ValueError(f"{name}[{key}] must be a Retry or a timedelta, not {shown(rule)}")  # noqa: TRY004 - as for any argument
    return dict(given or {})


def _is_cause(key: Any) -> bool:
    return isinstance(key, Cause)


def _is_exit_code(key: Any) -> bool:
    return isinstance(key, int) and not isinstance(key, bool) and 1 <= key <= _HIGHEST_EXIT_CODE


def _is_error(key: Any) -> bool:
    return isinstance(key, type) and issubclass(key, errors.BatchJobsError)


def _span(value: Any, name: str) -> timedelta:
    """Return a span that a user has given.

    Raises:
        ValueError: It is no timedelta above 0.
    """
    if not isinstance(value, timedelta):
        raise ValueError(f"{name} must be a timedelta, not {shown(value)}")  # noqa: TRY004 - as for any argument
    reasonable(value, name)
    return value


def _plain(rule: Answer) -> str | float:
    return rule.total_seconds() if isinstance(rule, timedelta) else rule.value


def _rule_of(stored: str | float) -> Answer:
    return Retry(stored) if isinstance(stored, str) else timedelta(seconds=stored)
