"""The operations of STS."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.local.account import Identity, unique_id
from airflow_batch_jobs.local.session_policy import check_policies
from airflow_batch_jobs.local.wire import ServiceError

if TYPE_CHECKING:
    from airflow_batch_jobs.local.account import Account
    from airflow_batch_jobs.local.call import Call, Operations
    from airflow_batch_jobs.local.clock import Timeline

_SESSION_SECONDS = 3600
_TOKEN_BYTES = 192
_ROLE = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>[0-9]{12}):role/(?:[^/]+/)*(?P<name>[\w+=,.@-]+)", re.ASCII
)


class Sts:
    """STS."""

    def __init__(self, account: Account, timeline: Timeline) -> None:
        self._account = account
        self._timeline = timeline
        self.operations: Operations = {
            "GetCallerIdentity": self.get_caller_identity,
            "AssumeRole": self.assume_role,
        }

    def get_caller_identity(self, call: Call) -> dict[str, Any]:
        """Tell who the caller is: this account's user, or a session of a role that was assumed."""
        identity = self._account.identity_of(call.access_key)
        return {"Arn": identity.arn, "UserId": identity.user_id, "Account": identity.account}

    def assume_role(self, call: Call) -> dict[str, Any]:
        """Issue an access key that expires; any role of any account may be assumed."""
        request = call.parameters
        role = _ROLE.fullmatch(request["RoleArn"])
        if role is None:
            raise ServiceError("ValidationError", "Request ARN is invalid")
        seconds = request.get("DurationSeconds", _SESSION_SECONDS)
        if self._account.is_issued(call.access_key) and seconds > _SESSION_SECONDS:
            raise ServiceError(
                "ValidationError",
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
            )
        percent = check_policies(request)
        session, until = request["RoleSessionName"], self._timeline.now() + seconds
        identity = Identity(
            arn=f"arn:{role['partition']}:sts::{role['account']}:assumed-role/{role['name']}/{session}",
            user_id=f"{unique_id('AROA', request['RoleArn'])}:{session}",
            account=role["account"],
        )
        access_key, secret_key = self._account.issue_key(identity, until)
        answer: dict[str, Any] = {
            "Credentials": {
                "AccessKeyId": access_key,
                "SecretAccessKey": secret_key,
                "SessionToken": secrets.token_urlsafe(_TOKEN_BYTES),
                "Expiration": datetime.fromtimestamp(until, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
            "AssumedRoleUser": {"AssumedRoleId": identity.user_id, "Arn": identity.arn},
        }
        if percent is not None:
            answer["PackedPolicySize"] = percent
        return answer | {key: request[key] for key in ("SourceIdentity",) if key in request}
