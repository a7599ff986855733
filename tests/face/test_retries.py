"""BatchRetryPolicy: each cause and each error, at each attempt, and what Airflow is told."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, RetryAction, RetryDecision, RetryRule
from airflow.serialization.serialized_objects import DagSerialization

from airflow_batch_jobs import errors
from airflow_batch_jobs.batch.aws_messages import BLOCKS, EXIT_CODES, FATES, REASONS
from airflow_batch_jobs.batch.cause import Cause, Outlook
from airflow_batch_jobs.batch.diagnosis import Diagnosis
from airflow_batch_jobs.batch.job_failed import FAMILY, job_failed
from airflow_batch_jobs.operators import BatchJobOperator
from airflow_batch_jobs.retries import BY_CAUSE, BY_ERROR, BatchRetryPolicy, Retry
from airflow_batch_jobs.sensors import BatchJobSensor

MINUTE = timedelta(minutes=1)
#: What 3.3 says for each answer, at attempts 1, 2 and 3 of `retries=4`.
DELAYS: dict[Retry, list[timedelta | None]] = {
    Retry.NEVER: [None, None, None],
    Retry.NOW: [timedelta(0)] * 3,
    Retry.LATER: [MINUTE, 2 * MINUTE, 4 * MINUTE],
    Retry.DEFAULT: [None, None, None],
}
ACTIONS = {
    Retry.NEVER: RetryAction.FAIL,
    Retry.NOW: RetryAction.RETRY,
    Retry.LATER: RetryAction.RETRY,
    Retry.DEFAULT: RetryAction.DEFAULT,
}
#: Causes that Airflow 3.4 waits for without using up a retry.
WAITED_FOR = {Cause.CAPACITY, Cause.IMAGE_RATE_LIMIT}


def failure(
    cause: Cause = Cause.EXIT_CODE, outlook: Outlook = Outlook.UNCLEAR, exit_code: int | None = None
) -> errors.JobFailedError:
    """Return the error of a job that failed."""
    job = {"job_id": "0f5e", "job_name": "d-t-0", "exit_code": exit_code}
    return job_failed(job, Diagnosis(cause, "It failed.", "See.", outlook, exit_code))


def decide(
    error: BaseException,
    policy: BatchRetryPolicy | None = None,
    *,
    attempt: int = 1,
    retries: int = 4,
    cleared_after: int = 0,
    **context: Any,
) -> RetryDecision:
    """Return what a policy says of an error.

    Args:
        error: The error.
        policy: The policy; the default one if None.
        attempt: Which attempt it was, from 1.
        retries: The task's.
        cleared_after: How many attempts there were before a clear.
        context: What else the context has.
    """
    task = context.pop("task", SimpleNamespace(retries=retries))
    told: Any = {"task": task, **context}
    return (policy or BatchRetryPolicy()).evaluate(error, attempt + cleared_after, retries + cleared_after, told)


def outlooks_of(cause: Cause) -> set[Outlook]:
    """Return the outlooks that diagnoses of a cause have."""
    meanings = [sign.meaning for sign in (*FATES, *REASONS, *BLOCKS)] + list(EXIT_CODES.values())
    return {meaning.outlook for meaning in meanings if meaning.cause is cause} or {Outlook.UNCLEAR}


@pytest.mark.parametrize("cause", Cause)
@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_every_cause_has_an_answer_at_every_attempt(cause: Cause, attempt: int) -> None:
    """As the table has it, for a failure of which AWS's words say no more than the cause."""
    decision = decide(failure(cause), attempt=attempt)
    if cause in WAITED_FOR and hasattr(RetryAction, "RESCHEDULE"):
        assert decision.action is RetryAction.RESCHEDULE
    else:
        assert decision.action is ACTIONS[BY_CAUSE[cause]]
    assert decision.retry_delay == DELAYS[BY_CAUSE[cause]][attempt - 1]
    assert decision.reason is not None
    assert decision.reason.startswith(cause.value)


@pytest.mark.parametrize("cause", Cause)
def test_what_lasts_is_not_tried_again_and_what_passes_is(cause: Cause) -> None:
    """Where AWS's words say more than the cause, they count: a secret can be missing, or its service away."""
    for outlook in outlooks_of(cause):
        action = decide(failure(cause, outlook)).action
        if outlook is Outlook.LASTS:
            assert action is RetryAction.FAIL
        if outlook is Outlook.PASSES:
            assert action not in (RetryAction.FAIL, RetryAction.DEFAULT)


def test_the_tables_know_every_cause_and_only_errors_of_ours() -> None:
    """A new cause must not be left out of them."""
    assert set(BY_CAUSE) == set(FAMILY) == set(Cause)
    assert all(issubclass(kind, errors.BatchJobsError) for kind in BY_ERROR)


@pytest.mark.parametrize("kind", BY_ERROR, ids=lambda kind: kind.__name__)
def test_every_error_has_its_answer(kind: type[errors.BatchJobsError]) -> None:
    """Whatever it says."""
    error = kind.__new__(kind)
    decision = decide(error)
    if kind is errors.ThrottledError and hasattr(RetryAction, "RESCHEDULE"):
        assert decision.action is RetryAction.RESCHEDULE
    else:
        assert decision.action is ACTIONS[BY_ERROR[kind]]
    assert decision.retry_delay == DELAYS[BY_ERROR[kind]][0]


@pytest.mark.parametrize("kind", [errors.AccessDeniedError, errors.ConfigurationError, errors.RequestRefusedError])
def test_a_retry_that_may_not_look_is_not_given_up(kind: type[errors.AwsError]) -> None:
    """The job of an earlier attempt may be running, and would run on unwatched."""
    assert decide(kind("no"), attempt=1, cleared_after=3).action is RetryAction.FAIL
    assert decide(kind("no"), attempt=2).action is RetryAction.DEFAULT


@pytest.mark.parametrize("error", [ValueError("x"), TimeoutError(), KeyboardInterrupt()], ids=repr)
def test_what_is_not_ours_is_left_to_airflow_without_a_word(error: BaseException) -> None:
    """A policy of the user's own can be asked for those."""
    assert decide(error) == RetryDecision.default()


def test_an_error_that_is_not_named_is_like_its_base() -> None:
    """A parameter that does not fit is a definition that does not."""
    assert decide(errors.ParameterError("align", "sample", "is missing")).action is RetryAction.FAIL
    assert decide(errors.StaleAttemptError()).action is RetryAction.DEFAULT


def test_a_delay_grows_up_to_its_limit_and_begins_anew_after_a_clear() -> None:
    """The attempt counts from the clear, as `retries` does."""
    policy = BatchRetryPolicy(first_delay=MINUTE, longest_delay=5 * MINUTE)
    delays = [decide(failure(Cause.AWS_ERROR), policy, attempt=attempt).retry_delay for attempt in (1, 2, 3, 4)]
    assert delays == [MINUTE, 2 * MINUTE, 4 * MINUTE, 5 * MINUTE]
    assert decide(failure(Cause.AWS_ERROR), policy, attempt=1, cleared_after=7).retry_delay == MINUTE
    forever = BatchRetryPolicy(longest_delay=timedelta(seconds=1e9))
    assert decide(failure(Cause.AWS_ERROR), forever, attempt=900, retries=1000).retry_delay is not None


def test_a_user_has_the_last_word() -> None:
    """By exit code, then by cause, then by class of error."""
    policy = BatchRetryPolicy(
        overrides={Cause.EXIT_CODE: Retry.NEVER, Cause.HOST_LOST: Retry.DEFAULT, Cause.TIMEOUT: 10 * MINUTE},
        exit_codes={75: 3 * MINUTE},
        errors={errors.ImagePullError: Retry.NEVER, errors.AwsError: Retry.NOW},
    )
    assert decide(failure(exit_code=1), policy).action is RetryAction.FAIL
    assert decide(failure(exit_code=75), policy).retry_delay == 3 * MINUTE
    assert decide(failure(exit_code=75), policy, attempt=2).retry_delay == 6 * MINUTE
    assert decide(failure(Cause.HOST_LOST), policy).action is RetryAction.DEFAULT
    assert decide(failure(Cause.TIMEOUT), policy).retry_delay == 10 * MINUTE
    assert decide(failure(Cause.IMAGE_PULL, Outlook.PASSES), policy).action is RetryAction.FAIL
    assert decide(errors.QueueNotFoundError("x"), policy).action is RetryAction.RETRY


def test_an_exit_code_does_not_count_where_aws_ended_the_job() -> None:
    """A program on a host that goes away ends with whatever code."""
    policy = BatchRetryPolicy(exit_codes={1: Retry.NEVER})
    assert decide(failure(Cause.HOST_LOST, Outlook.PASSES, exit_code=1), policy).action is RetryAction.RETRY


def test_the_exit_code_of_an_arrays_child_counts() -> None:
    """The parent itself has none."""
    error = job_failed(
        {"job_id": "0f5e", "exit_code": None}, Diagnosis(Cause.EXIT_CODE, "1 of 2 failed.", "See.", exit_code=75)
    )
    assert error.exit_code == 75
    assert decide(error, BatchRetryPolicy(exit_codes={75: Retry.NEVER})).action is RetryAction.FAIL


def test_the_reason_says_when_no_retry_is_left() -> None:
    """A line that promises a retry which does not come would mislead."""
    reasons = [decide(failure(Cause.HOST_LOST), attempt=attempt, retries=1).reason for attempt in (1, 2)]
    assert reasons == ["host lost; tried again at once", "host lost; no retry is left"]


def test_a_sensor_does_not_wait_again_for_a_job_that_has_failed() -> None:
    """Its job is not submitted by it, so a retry finds the same end."""
    sensor = BatchJobSensor(task_id="wait", job_id="0f5e", retries=3)
    assert decide(failure(Cause.HOST_LOST), task=sensor).action is RetryAction.FAIL


def test_each_family_of_causes_is_an_exception_that_airflows_own_rules_can_name() -> None:
    """By class or by its path, and with what JobFailedError has."""
    error = failure(Cause.OUT_OF_MEMORY, Outlook.LASTS, 137)
    assert type(error) is errors.OutOfMemoryError
    assert RetryRule(exception="airflow_batch_jobs.errors.OutOfMemoryError").matches(error)
    assert not RetryRule(exception=errors.HostLostError).matches(error)
    assert (error.job_id, error.exit_code, error.diagnosis.cause) == ("0f5e", 137, Cause.OUT_OF_MEMORY)
    families = {kind for kind in vars(errors).values() if isinstance(kind, type)}
    assert {kind for kind in families if issubclass(kind, errors.JobFailedError)} == set(FAMILY.values())


POLICY = BatchRetryPolicy(
    overrides={Cause.TIMEOUT: Retry.NEVER},
    exit_codes={75: timedelta(minutes=10)},
    errors={errors.ThrottledError: Retry.LATER},
    first_delay=timedelta(seconds=10),
)
#: POLICY as version 0.1.0 serializes it.
SERIALIZED = {
    "__type": "BatchRetryPolicy",
    "overrides": {"timeout": "never"},
    "exit_codes": {"75": 600.0},
    "errors": {"ThrottledError": "later"},
    "first_delay": 10.0,
    "longest_delay": 1800.0,
    "reschedule_timeout": 43200.0,
}


def test_a_policy_is_json_and_back() -> None:
    """As Airflow asks of every policy."""
    assert json.loads(json.dumps(POLICY.serialize())) == SERIALIZED
    assert vars(BatchRetryPolicy.deserialize(SERIALIZED)) == vars(POLICY)


def test_a_class_of_a_users_own_is_left_out_of_what_is_read_back() -> None:
    """Its name alone does not tell where it is; nothing else is lost."""

    class Own(errors.AwsError):
        """One of a user's."""

    policy = BatchRetryPolicy(errors={Own: Retry.NOW, errors.ThrottledError: Retry.LATER})
    assert BatchRetryPolicy.deserialize(policy.serialize()).errors == {errors.ThrottledError: Retry.LATER}
    assert decide(Own("x"), policy).action is RetryAction.RETRY


def test_a_cause_of_a_later_version_is_left_out_of_what_is_read_back() -> None:
    """It is none of those that this version finds, UNKNOWN neither."""
    stored = {"overrides": {"timeout": "never", "meteorite": "now"}}
    assert BatchRetryPolicy.deserialize(stored).overrides == {Cause.TIMEOUT: Retry.NEVER}


def test_a_dag_with_a_policy_is_serialized() -> None:
    """Of an operator, of a mapped one, and by default arguments."""
    with DAG("retries", schedule=None, default_args={"retry_policy": POLICY}) as dag:
        BatchJobOperator(task_id="single", job_queue="q", definition="align:7", retries=2)
        BatchJobOperator.partial(task_id="mapped", job_queue="q", definition="align:7").expand(parameters=[{}, {}])
    read = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
    assert [read.get_task(task_id).has_retry_policy for task_id in ("single", "mapped")] == [True, True]
    assert dag.get_task("single").retry_policy is POLICY


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"overrides": {"timeout": Retry.NEVER}}, "overrides must have a Cause as each key, not 'timeout'"),
        ({"overrides": [Cause.TIMEOUT]}, r"overrides must be a mapping, not \[<Cause.TIMEOUT"),
        ({"overrides": {Cause.TIMEOUT: "never"}}, "overrides.Cause.TIMEOUT. must be a Retry or a timedelta"),
        ({"overrides": {Cause.TIMEOUT: timedelta(0)}}, "overrides.Cause.TIMEOUT. must be a number above 0"),
        ({"exit_codes": {0: Retry.NEVER}}, "exit_codes must have an exit code from 1 to 255 as each key, not 0"),
        ({"exit_codes": {True: Retry.NEVER}}, "exit_codes must have an exit code from 1 to 255 as each key, not True"),
        ({"errors": {ValueError: Retry.NOW}}, "errors must have an error class of airflow_batch_jobs.errors"),
        ({"first_delay": 60}, "first_delay must be a timedelta, not 60"),
        ({"longest_delay": timedelta(seconds=-1)}, "longest_delay must be a number above 0"),
        ({"longest_delay": timedelta(seconds=1)}, "longest_delay must not be below first_delay"),
    ],
)
def test_a_wrong_argument_is_an_error_that_names_it(arguments: dict[str, Any], message: str) -> None:
    """When the DAG is parsed."""
    with pytest.raises(ValueError, match=message):
        BatchRetryPolicy(**arguments)
