"""Whether a failed attempt is followed by another: attempts and evaluateOnExit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_batch_jobs.local.jobs import Attempt


def is_retried(strategy: Mapping[str, Any], attempt: Attempt) -> bool:
    """Tell whether an attempt that failed is followed by another.

    The first condition that matches decides; if none matches, the job is tried again.

    Args:
        strategy: A job's retryStrategy, as AWS tells it.
        attempt: The attempt, which has ended.
    """
    if attempt.number >= strategy["attempts"]:
        return False
    part = attempt.decided_by or attempt.parts[0]
    said = {
        "onStatusReason": attempt.status_reason,
        "onReason": part.reason,
        "onExitCode": "" if part.exit_code is None else str(part.exit_code),
    }
    for rule in strategy["evaluateOnExit"]:
        if all(_matches(rule[key], said[key]) for key in said if key in rule):
            return bool(rule["action"] == "retry")
    return True


def _matches(pattern: str, text: str) -> bool:
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern
