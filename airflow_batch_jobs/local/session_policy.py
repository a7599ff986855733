"""What STS refuses of the session policies of a role that is assumed."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.local.wire import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

#: What the service model says of inline and managed session policies together.
_MOST_CHARACTERS = 2048
_MOST_ARNS = 10
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
_OF_POLICY = frozenset({"Version", "Id", "Statement"})
#: Lists: whatever JSON has in their place is compared with them, and not all of that can be in a set.
_VERSIONS = ["2008-10-17", "2012-10-17"]
_EFFECTS = ["Allow", "Deny"]
_OF_STATEMENT = frozenset({"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"})
_ACTION = re.compile(r"\*|[\w-]+:.+", re.ASCII | re.DOTALL)
_RESOURCE = re.compile(r"\*|arn:.*", re.DOTALL)


def check_policies(request: Mapping[str, Any]) -> int | None:
    """Refuse session policies that are too large, or no policies.

    AWS refuses them by the size of a packed form that it does not document; here that is the text itself, and session
    tags do not count. The grammar is IAM's; which actions, resources and conditions there are is not looked at.

    Args:
        request: The parameters of AssumeRole.

    Returns:
        How much of the allotted space the policies take, in percent; None if there are none.

    Raises:
        ServiceError: A PackedPolicyTooLarge, a MalformedPolicyDocument, or a ValidationError.
    """
    arns = [one.get("arn", "") for one in request.get("PolicyArns", [])]
    if len(arns) > _MOST_ARNS:
        problem = f"Member must have length less than or equal to {_MOST_ARNS}"
        raise ServiceError("ValidationError", f"Value at 'policyArns' failed to satisfy constraint: {problem}")
    if "Policy" not in request and not arns:
        return None
    percent = -(-sum(map(len, [request.get("Policy", ""), *arns])) * 100 // _MOST_CHARACTERS)
    if percent > 100:  # noqa: PLR2004 - all of it
        problem = f"Packed policy consumes {percent}% of allotted space, please use smaller policy."
        raise ServiceError("PackedPolicyTooLarge", problem)
    for problem in _policy_problems(request["Policy"]) if "Policy" in request else ():
        raise ServiceError("MalformedPolicyDocument", problem)
    return percent


def _policy_problems(text: str) -> Iterator[str]:
    try:
        policy = json.loads(text)
    except (ValueError, RecursionError):
        yield "This policy contains invalid Json"
        return
    if not isinstance(policy, dict) or policy.keys() - _OF_POLICY:
        yield "Syntax errors in policy."
        return
    if policy.get("Version", "2012-10-17") not in _VERSIONS:
        yield "The policy must contain a valid version string"
    statements = policy.get("Statement")
    for statement in statements if isinstance(statements, list) and statements else [statements]:
        if isinstance(statement, dict):
            yield from _statement_problems(statement)
        else:
            yield "Syntax errors in policy."


def _statement_problems(statement: Mapping[str, Any]) -> Iterator[str]:
    if {"Principal", "NotPrincipal"} & statement.keys():
        yield "Policy document should not specify a principal."
    if statement.keys() - _OF_STATEMENT or not isinstance(statement.get("Condition", {}), dict):
        yield "Syntax errors in policy."
    if "Effect" not in statement:
        yield "Missing required field Effect"
    elif statement["Effect"] not in _EFFECTS:
        yield f"Invalid effect: {statement['Effect']}"
    for kind, is_one, problem in (
        ("Action", _ACTION.fullmatch, "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."),
        ("Resource", _RESOURCE.fullmatch, 'Resource {} must be in ARN format or "*".'),
    ):
        given = [statement[key] for key in (kind, f"Not{kind}") if key in statement]
        if not given:
            yield f"Missing required field {kind}"
        elif len(given) > 1:
            yield f"Statement contains both {kind} and Not{kind}"
        else:
            yield from _value_problems(given[0], is_one, problem)


def _value_problems(given: Any, is_one: Callable[[str], object], problem: str) -> Iterator[str]:
    values = given if isinstance(given, list) else [given]
    if not values or not all(isinstance(value, str) for value in values):
        yield "Syntax errors in policy."
        return
    yield from (problem.format(value) for value in values if not is_one(value))
