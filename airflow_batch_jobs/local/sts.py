"""The operations of STS."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_batch_jobs.local.account import Account
    from airflow_batch_jobs.local.call import Call, Operations
    from airflow_batch_jobs.local.clock import Timeline

_SESSION_SECONDS = 3600


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
        """Tell who the caller is."""
        return {"Arn": self._account.arn("user/local", "iam"), "UserId": call.access_key, "Account": self._account.id}

    def assume_role(self, call: Call) -> dict[str, Any]:
        """Issue an access key that expires; any role may be assumed."""
        request = call.parameters
        until = self._timeline.now() + request.get("DurationSeconds", _SESSION_SECONDS)
        access_key, secret_key = self._account.issue_key(until)
        role = f"{request['RoleArn'].rpartition('/')[2]}/{request['RoleSessionName']}"
        return {
            "Credentials": {
                "AccessKeyId": access_key,
                "SecretAccessKey": secret_key,
                "SessionToken": access_key,
                "Expiration": datetime.fromtimestamp(until, tz=UTC).isoformat(timespec="seconds"),
            },
            "AssumedRoleUser": {
                "AssumedRoleId": f"{access_key}:{request['RoleSessionName']}",
                "Arn": self._account.arn(f"assumed-role/{role}", "sts"),
            },
        }
