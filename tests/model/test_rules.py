"""The rules of submitting and stopping keep the model's invariants, and each is there because one breaks without it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.model.model import Violation, explore
from tests.model.world import RULE_NAMES, Disturbances, Rules, Scenario

#: To trace it takes as long as the run itself, and finds no line that others miss.
pytestmark = pytest.mark.no_cover

#: Scenarios that the rules alone keep in order, each with the least number of states its exploration must reach.
SCENARIOS: dict[str, tuple[Scenario, int]] = {
    "nothing goes wrong": (Scenario(Disturbances()), 13),
    "the job fails": (Scenario(Disturbances(job_failures=1)), 33),
    "a crash": (Scenario(Disturbances(crashes=1), listings_lag=True), 120),
    "two crashes": (Scenario(Disturbances(crashes=2), retries=2, listings_lag=True), 390),
    "two failed jobs and a crash, with changes": (
        Scenario(Disturbances(job_failures=2, crashes=1), retries=3, listings_lag=True, changes_on_retry=True),
        820,
    ),
    "a failed job, a crash and a lost answer, with changes": (
        Scenario(
            Disturbances(job_failures=1, crashes=1, lost_answers=1),
            retries=3,
            listings_lag=True,
            changes_on_retry=True,
        ),
        1_500,
    ),
    "a failed job and a pause, with changes": (
        Scenario(Disturbances(job_failures=1, pauses=1), retries=2, listings_lag=True, changes_on_retry=True),
        2_100,
    ),
    "two failed jobs and a clear, with changes": (
        Scenario(Disturbances(job_failures=2, clears=1), retries=2, listings_lag=True, changes_on_retry=True),
        7_400,
    ),
    "two failed jobs of which one is forgotten, with changes": (
        Scenario(Disturbances(job_failures=2, forgets=1, crashes=1), retries=3, changes_on_retry=True),
        900,
    ),
    "a failed job and a retry that asks for something else, with changes": (
        Scenario(Disturbances(job_failures=1, crashes=1), retries=3, request_changes=True, changes_on_retry=True),
        300,
    ),
    "a crash and a failed job": (Scenario(Disturbances(crashes=1, job_failures=1), retries=2, listings_lag=True), 400),
    "a lost answer": (Scenario(Disturbances(lost_answers=1), listings_lag=True), 62),
    "a lost answer and a crash": (Scenario(Disturbances(lost_answers=1, crashes=1), listings_lag=True), 270),
    "two lost answers and a crash": (
        Scenario(Disturbances(lost_answers=2, crashes=1), retries=2, listings_lag=True),
        560,
    ),
    "a pause": (Scenario(Disturbances(pauses=1), listings_lag=True), 480),
    "a pause and a crash": (Scenario(Disturbances(pauses=1, crashes=1), retries=2, listings_lag=True), 3_200),
    "two pauses": (Scenario(Disturbances(pauses=2), retries=2, listings_lag=True), 8_000),
    "a pause and a lost answer": (Scenario(Disturbances(pauses=1, lost_answers=1), listings_lag=True), 990),
    "a pause and a clear": (Scenario(Disturbances(pauses=1, clears=1), listings_lag=True), 29_000),
    "throttling and a crash": (Scenario(Disturbances(throttles=1, crashes=1), listings_lag=True), 260),
    "throttling and a clear": (Scenario(Disturbances(throttles=1, clears=1), listings_lag=True), 2_000),
    "throttling and a pause": (Scenario(Disturbances(throttles=1, pauses=1), listings_lag=True), 1_000),
    "a clear": (Scenario(Disturbances(clears=1), listings_lag=True), 920),
    "a clear without a carrier": (Scenario(Disturbances(clears=1), carrier_known=False, listings_lag=True), 350),
    "a clear and a lost answer": (Scenario(Disturbances(clears=1, lost_answers=1), listings_lag=True), 3_200),
    "a clear and a crash": (Scenario(Disturbances(clears=1, crashes=1), listings_lag=True), 6_100),
    "a clear beside another deployment": (Scenario(Disturbances(clears=1, crashes=1), neighbour=True), 3_800),
    "two clears": (Scenario(Disturbances(clears=2), listings_lag=True), 33_000),
    "a clear that discards the record": (Scenario(Disturbances(clears=1), forgets=True, listings_lag=True), 650),
    "a clear that discards the record, and a crash": (
        Scenario(Disturbances(clears=1, crashes=1), forgets=True, listings_lag=True),
        4_700,
    ),
    "a clear that discards the record, of a trace that does not change, and a crash": (
        Scenario(Disturbances(clears=1, crashes=1), forgets=True, carrier_known=False, listings_lag=True),
        4_700,
    ),
    "a clear that discards the record, and a pause": (
        Scenario(Disturbances(clears=1, pauses=1), forgets=True, carrier_known=False),
        19_000,
    ),
    "two clears that discard the record": (
        Scenario(Disturbances(clears=2), forgets=True, carrier_known=False, listings_lag=True),
        10_000,
    ),
    "a clear that discards the record, of a worker that waits": (
        Scenario(Disturbances(clears=1, crashes=1), forgets=True, waits_on_worker=True),
        1_500,
    ),
    "a clear that discards the record, and a stalled triggerer": (
        Scenario(Disturbances(clears=1, stalls=1), forgets=True, carrier_known=False),
        1_900,
    ),
    "a clear that discards the record, and a scheduler's death": (
        Scenario(Disturbances(clears=1, resets=1), forgets=True, carrier_known=False),
        10_000,
    ),
    "a clear that discards the record, beside another deployment": (
        Scenario(Disturbances(clears=1, crashes=1), forgets=True, neighbour=True),
        2_900,
    ),
    "a clear that discards the record of what asks for something else, and a pause": (
        Scenario(Disturbances(clears=1, pauses=1), forgets=True, request_changes=True),
        21_000,
    ),
    "a user's stop": (Scenario(Disturbances(marks=1)), 41),
    "a stalled triggerer": (Scenario(Disturbances(stalls=1)), 36),
    "a stalled triggerer and a user's stop": (Scenario(Disturbances(stalls=1, marks=1)), 130),
    "a stalled triggerer and a clear": (Scenario(Disturbances(stalls=1, clears=1)), 2_600),
    "two stalled triggerers and a clear": (Scenario(Disturbances(stalls=2, clears=1)), 14_000),
    "a stalled triggerer, a clear and a crash": (Scenario(Disturbances(stalls=1, clears=1, crashes=1)), 19_000),
    "a stalled triggerer, a clear and a trigger that crashes again and again": (
        Scenario(Disturbances(stalls=1, clears=1, trigger_crashes=4)),
        36_000,
    ),
    "a stalled triggerer and a trigger that crashes again and again": (
        Scenario(Disturbances(stalls=1, trigger_crashes=4)),
        340,
    ),
    "a stalled triggerer, a pause and a failed job": (
        Scenario(Disturbances(stalls=1, pauses=1, job_failures=1)),
        2_100,
    ),
    "a crashed trigger without a retry": (Scenario(Disturbances(trigger_crashes=1), retries=0), 22),
    "a trigger that crashes again and again": (Scenario(Disturbances(trigger_crashes=5)), 65),
    "a trigger that crashes again and again without a retry": (
        Scenario(Disturbances(trigger_crashes=5), retries=0),
        43,
    ),
    "a trigger that crashes again and again, and a clear": (
        Scenario(Disturbances(trigger_crashes=4, clears=1), listings_lag=True),
        6_900,
    ),
    "a crashed trigger and a user's stop": (Scenario(Disturbances(trigger_crashes=2, marks=1)), 87),
    "a crashed trigger and a crash": (Scenario(Disturbances(trigger_crashes=2, crashes=1), listings_lag=True), 310),
    "a store out of order": (Scenario(Disturbances(outages=2)), 49),
    "a store out of order and a crash": (Scenario(Disturbances(outages=2, crashes=1)), 330),
    "a retry that asks for something else": (
        Scenario(Disturbances(crashes=1), request_changes=True, listings_lag=True),
        160,
    ),
    "a pause of a retry that asks for something else": (
        Scenario(Disturbances(crashes=1, pauses=1), retries=2, request_changes=True),
        3_900,
    ),
    "a pause and a clear of what asks for something else": (
        Scenario(Disturbances(clears=1, pauses=1), request_changes=True),
        23_000,
    ),
    "a user's stop of a worker that waits": (Scenario(Disturbances(marks=1), waits_on_worker=True), 32),
    "a clear of a worker that waits": (Scenario(Disturbances(clears=1), waits_on_worker=True, listings_lag=True), 640),
    "a pause and a clear of a worker that waits": (
        Scenario(Disturbances(clears=1, pauses=1), waits_on_worker=True),
        12_000,
    ),
    "a scheduler's death": (Scenario(Disturbances(resets=1, crashes=1), listings_lag=True), 1_600),
    "a scheduler's death and a clear": (Scenario(Disturbances(resets=1, clears=1)), 16_000),
    "a scheduler's death and a pause": (Scenario(Disturbances(resets=1, pauses=1), listings_lag=True), 6_400),
    "a scheduler's death while a worker waits": (
        Scenario(Disturbances(resets=1, pauses=1), waits_on_worker=True),
        4_600,
    ),
    "a scheduler's death without a retry": (Scenario(Disturbances(resets=1), waits_on_worker=True, retries=0), 160),
    "a scheduler's death, a stalled triggerer and a trigger that crashes again and again": (
        Scenario(Disturbances(resets=1, stalls=1, trigger_crashes=4), retries=0),
        4_100,
    ),
    "an eviction": (Scenario(Disturbances(evictions=1), waits_on_worker=True), 26),
    "an eviction and a clear without a retry": (
        Scenario(Disturbances(evictions=1, clears=1), waits_on_worker=True, retries=0),
        790,
    ),
    "an eviction and a pause": (Scenario(Disturbances(evictions=1, pauses=1), waits_on_worker=True), 570),
    "a timeout and a pause": (Scenario(Disturbances(timeouts=1, pauses=1), waits_on_worker=True), 1_300),
    "a timeout and a crash": (Scenario(Disturbances(timeouts=1, crashes=1), listings_lag=True), 490),
    "a timeout and a lost answer without a retry": (
        Scenario(Disturbances(timeouts=1, lost_answers=1), retries=0, listings_lag=True),
        110,
    ),
    "a timeout and a scheduler's death without a retry": (
        Scenario(Disturbances(timeouts=1, resets=1), retries=0, listings_lag=True),
        950,
    ),
    "a timeout and a clear": (Scenario(Disturbances(timeouts=1, clears=1), listings_lag=True), 8_700),
    "a timeout, a stalled triggerer and a trigger that crashes again and again": (
        Scenario(Disturbances(timeouts=1, stalls=1, trigger_crashes=4)),
        3_300,
    ),
}

#: Scenarios that need the sweep, each with the reason why no rule can do without it.
SWEPT: dict[str, tuple[Scenario, int]] = {
    # A check and the send are two calls, and AWS takes no token that could be checked with the second.
    "a pause before the send": (
        Scenario(Disturbances(pauses=1), pauses_before_send=True, listings_lag=True, is_swept=True),
        1_500,
    ),
    "a pause before the send and a clear": (
        Scenario(Disturbances(pauses=1, clears=1), pauses_before_send=True, is_swept=True),
        91_000,
    ),
    "a pause before the send and a user's stop": (
        Scenario(Disturbances(pauses=1, marks=1), pauses_before_send=True, is_swept=True),
        4_800,
    ),
    # No trigger hears of a stop that comes while none runs, and a worker may be killed before it has asked.
    "a user's stop that no trigger hears": (Scenario(Disturbances(marks=1, crashes=1), is_swept=True), 570),
    "a user's stop while a worker waits and crashes": (
        Scenario(Disturbances(marks=1, crashes=1), waits_on_worker=True, is_swept=True),
        490,
    ),
    "all that stops a worker that waits": (
        Scenario(
            Disturbances(marks=1, clears=1, evictions=1, timeouts=1),
            waits_on_worker=True,
            is_swept=True,
        ),
        130_000,
    ),
    # The job of a clear is left to the next attempt, which may not live to end it, or not even begin.
    "a clear whose attempts are lost": (Scenario(Disturbances(clears=1, crashes=1), retries=0, is_swept=True), 2_800),
    "a stalled triggerer, a user's stop, and a clear after retries were lowered": (
        Scenario(Disturbances(stalls=1, clears=1, marks=1), retries=2, retries_lowered=True, is_swept=True),
        35_000,
    ),
    "a clear and a user's stop": (Scenario(Disturbances(clears=1, marks=1), is_swept=True), 6_700),
    "a last attempt that crashes": (Scenario(Disturbances(crashes=1), retries=0, is_swept=True), 45),
    # What was sent without a record is known by its tags alone: not to who may not see it yet, and not as an older
    # generation's.
    "a job without a record and a crash": (
        Scenario(Disturbances(outages=2, crashes=1), listings_lag=True, is_swept=True),
        1_400,
    ),
    "a job without a record and a clear": (Scenario(Disturbances(outages=2, clears=1), is_swept=True), 12_000),
    "a job without a record and a pause": (Scenario(Disturbances(outages=2, pauses=1), is_swept=True), 6_200),
}

ALL = {**SCENARIOS, **SWEPT}

#: What breaks without each rule: an invariant, and a scenario in which it does.
BROKEN = [
    ("max_tries_count", "I3", "a clear without a carrier"),
    ("carrier_counts", "I3", "a clear"),
    ("record_first", "I1", "a clear"),
    ("fence", "I1", "a pause"),
    ("lease", "I4", "a pause"),
    ("lease_when_throttled", "I1", "throttling and a crash"),
    ("one_send", "I1", "a lost answer"),
    ("grace", "I1", "a crash"),
    ("grace_with_id", "I1", "a crash"),
    ("look_first", "I1", "a crash"),
    ("look_first", "I5", "a stalled triggerer and a clear"),
    ("take_success", "I4", "a crash"),
    ("end_older", "I1", "a clear"),
    ("end_older", "I5", "a clear"),
    ("look_after_end", "I4", "a retry that asks for something else"),
    ("end_forgotten", "I1", "a clear that discards the record"),
    ("end_forgotten", "I5", "a clear that discards the record"),
    ("grace_forgotten", "I1", "a clear that discards the record"),
    ("remember_forgotten", "I1", "a clear that discards the record, and a crash"),
    ("leave_unknown", "I2", "a clear beside another deployment"),
    ("stale_leaves_its_job", "I2", "a pause"),
    ("fence_before_end", "I2", "a pause of a retry that asks for something else"),
    ("fence_before_timeout", "I2", "a timeout and a pause"),
    ("fence_before_timeout", "I2", "a timeout and a scheduler's death without a retry"),
    ("fence_before_timeout", "I2", "a timeout, a stalled triggerer and a trigger that crashes again and again"),
    ("xcom_attempt_marks", "I2", "a stalled triggerer, a pause and a failed job"),
    ("xcom_stays_newest", "I2", "a timeout, a stalled triggerer and a trigger that crashes again and again"),
    ("fence_before_eviction", "I2", "a scheduler's death without a retry"),
    ("newer_by_try_number", "I2", "a stalled triggerer, a user's stop, and a clear after retries were lowered"),
    (
        "no_state_is_no_stop",
        "I2",
        "a scheduler's death, a stalled triggerer and a trigger that crashes again and again",
    ),
    ("resume_after_crash", "I2", "a crashed trigger without a retry"),
    ("ask_state_before_kill", "I2", "a stalled triggerer"),
    ("leave_on_the_way", "I2", "a stalled triggerer and a trigger that crashes again and again"),
    ("failures_of_aws", "I6", "two failed jobs and a crash, with changes"),
    ("failures_of_record", "I6", "two failed jobs of which one is forgotten, with changes"),
    ("failures_of_generation", "I6", "two failed jobs and a clear, with changes"),
    ("digest_before_change", "I7", "two failed jobs and a crash, with changes"),
    ("ask_state_on_worker", "I2", "an eviction"),
    ("sweep_lists_first", "I2", "a clear and a user's stop"),
    *(("sweep", "I1", name) for name in SWEPT),
]


def _violation(rule: str, invariant: str, name: str) -> Violation:
    """Return the shortest way to the violation."""
    violation = explore(ALL[name][0], replace(Rules(), **{rule: False}), only=invariant).violation
    assert violation is not None, f"{invariant} holds without {rule}"
    return violation


@pytest.mark.long
@pytest.mark.parametrize("name", ALL)
def test_the_rules_keep_all_invariants(name: str) -> None:
    """Whatever happens in whatever order, the invariants hold; after the sweep, where that is needed."""
    scenario, least_states = ALL[name]
    explored = explore(scenario)
    assert explored.violation is None, str(explored.violation)
    assert explored.states >= least_states
    assert explored.rests


@pytest.mark.parametrize(("rule", "invariant", "name"), BROKEN)
def test_without_a_rule_an_invariant_breaks(rule: str, invariant: str, name: str) -> None:
    """Each rule is needed: without it, an invariant that holds with it does not."""
    violation = _violation(rule, invariant, name)
    assert violation.invariant == invariant
    assert violation.trace[0] == "attempt 1 begins"


def test_no_rule_is_there_without_a_reason() -> None:
    """Every rule of the model is switched off in some test."""
    assert {rule for rule, _, _ in BROKEN} == set(RULE_NAMES)


def test_a_violation_tells_the_shortest_way_to_it() -> None:
    """A broken invariant reads as a story: who did what, in which order."""
    assert str(_violation("stale_leaves_its_job", "I2", "a pause")).splitlines() == [
        "I2 is broken by:",
        "  1 attempt 1 begins",
        "  2 attempt 1 reads no record",
        "  3 attempt 1 writes its record",
        "  4 attempt 1 finds its record new",
        "  5 attempt 1 sends job 0",
        "  6 attempt 1 pauses before it would write id",
        "  7 Airflow sees attempt 1 silent",
        "  8 attempt 1 goes on after its pause",
        "  9 attempt 1 is refused by the store, and terminates its job",
    ]
